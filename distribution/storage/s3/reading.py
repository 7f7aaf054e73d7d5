"""Bytes of an object, read from S3 as they are asked for."""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, FlexibleChecksumError
from urllib3.exceptions import HTTPError

from distribution.storage.base import ObjectMissing, StoreAway, StoreError
from distribution.storage.s3.calls import Answer, Calls, Missing

PIECE_BYTES = 128 * 1024  # a client that reads slowly has one of them wait
REOPENED_MAX = 3  # times without a byte between them
_content_range = re.compile(r"bytes \d+-\d+/(\d+)")


class ObjectPieces(Iterator[bytes]):
    """Bytes from ``start`` on; if the connection breaks, another one continues.

    ``size_bytes`` is what the object should have; None for one that may have more.
    Raises ObjectMissing before the first piece.
    """

    def __init__(
        self, calls: Calls, name: str, size_bytes: int | None, start: int, length: int
    ) -> None:
        self._calls = calls
        self._name = name
        self._position = start
        self._end = start + length
        self._etag = ""
        self._body: Any = None
        self._reopened = 0
        answer = self._open(is_whole=length == size_bytes)
        found = size_in(answer)
        if size_bytes is not None and found != size_bytes:
            self.close()
            raise ObjectMissing(f"{name} has {found} bytes and not {size_bytes}")
        if self._end > found:
            self.close()
            raise ObjectMissing(f"{name} has only {found} bytes")

    def __next__(self) -> bytes:
        while True:
            wanted = min(PIECE_BYTES, self._end - self._position)
            if wanted <= 0 or self._body is None:
                self.close()
                raise StopIteration
            try:
                piece: bytes = self._body.read(wanted)
            except FlexibleChecksumError as error:
                self.close()
                raise StoreError(f"{self._name}: {error}") from error
            except (BotoCoreError, HTTPError, OSError) as error:
                self._reopen(error)
                continue
            if not piece:
                self._reopen(None)
                continue
            self._position += len(piece)
            self._reopened = 0
            return piece

    def close(self) -> None:
        """End the connection, unless all was read and it can be used again."""
        body, self._body = self._body, None
        if body is not None:
            with suppress(Exception):
                body.close()

    def __del__(self) -> None:
        self.close()

    def _open(self, *, is_whole: bool = False) -> Answer:
        parameters: Answer = {"IfMatch": self._etag} if self._etag else {}
        if not is_whole:
            parameters["Range"] = f"bytes={self._position}-{self._end - 1}"
        answer = self._calls("get_object", Key=self._name, **parameters)
        self._etag = answer.get("ETag", "")
        self._body = answer["Body"]
        if not is_whole and "ContentRange" not in answer:
            self.close()
            raise StoreError(f"{self._calls.place} does not support ranges")
        return answer

    def _reopen(self, error: Exception | None) -> None:
        self.close()
        self._reopened += 1
        if self._reopened > REOPENED_MAX:
            raise StoreAway(f"{self._name}: the connection breaks: {error}") from error
        try:
            self._open()
        except Missing as missing:
            # Cut the answer, never end it well.
            raise ObjectMissing(f"{self._name} went away") from missing


def size_in(answer: Answer) -> int:
    """Return the size of the whole object that an answer is of."""
    match = _content_range.fullmatch(answer.get("ContentRange", ""))
    return int(match[1]) if match else int(answer["ContentLength"])


def read_object(calls: Calls, name: str) -> bytes:
    """Return a small object; raises Missing."""
    for _ in range(REOPENED_MAX):
        try:
            content: bytes = calls("get_object", Key=name)["Body"].read()
            return content
        except (BotoCoreError, HTTPError, OSError) as error:
            reason = error
    raise StoreAway(f"{name}: the connection breaks: {reason}")
