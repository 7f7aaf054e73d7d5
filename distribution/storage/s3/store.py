"""The contract of a blob store, kept by a bucket.

An upload's bytes go to the object that will be the blob's: its key is the generation,
chosen at the start, and the row of the blob says which digest it has. So a large blob
is not copied when its digest is known: to finish it completes the multipart upload. A
blob below one part is a tail until then, and becomes the object by a copy inside S3.

Parts cannot be read before the multipart upload is completed. To read them, to fork or
to finish them, ``_settle`` completes it. What others write to it is lost then, so a
session is claimed before (``reading_ends_writing``). To append to settled bytes, they
are copied to a new multipart upload inside S3; this happens only after a request died.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from database.crash_points import crash_point
from distribution.storage.base import (
    BlobStore,
    Mark,
    ObjectMissing,
    Staged,
    StagedWriter,
    StoredObject,
    StoreError,
)
from distribution.storage.marks import (
    MARKER,
    MARKER_MAX_BYTES,
    check_mark,
    marker_text,
    parse_marker,
)
from distribution.storage.s3.calls import Answer, Calls, Missing
from distribution.storage.s3.reading import ObjectPieces, read_object
from distribution.storage.s3.state import MIB, PART_MIN_BYTES, State, tail_name
from distribution.storage.s3.writing import PartWriter
from repositories.oci.digests import Digest

VERIFIED_SECONDS = 10.0  # the marker is read again after that
PROBED_SECONDS = 30.0
COPY_BYTES = 256 * MIB  # of one part that S3 copies by itself
# Of an object's parameters, those that a copy does not take over from its source.
NOT_COPIED = frozenset(
    {
        *("ACL", "BucketKeyEnabled", "SSEKMSEncryptionContext", "SSEKMSKeyId"),
        *("ServerSideEncryption", "StorageClass"),
    }
)
OBJECTS, UPLOADS = "objects/", "uploads/"


class S3Store(BlobStore):
    """A store in a bucket, or below a prefix of one.

    ``expected`` is as for a FilesystemStore. ``options`` override settings of
    django-storages, by its names.
    """

    reading_ends_writing = True
    is_remote = True

    def __init__(
        self, expected: Callable[[], str | None] | None = None, **options: Any
    ) -> None:
        self._calls = Calls(**options)
        self.place = self._calls.place
        self._expected = expected
        location = self._calls.location
        self._root = f"{location}/" if location else ""
        self._verified_until = 0.0
        self._probed: tuple[float, str] = (0.0, "")  # until when, and what was wrong

    # --- the store

    def prepare(self) -> None:
        """See that the bucket is there; berth-store's neighbors need no preparation."""
        try:
            self._calls("head_bucket")
        except Missing as error:
            raise StoreError(
                f"{self.place}: there is no bucket {self._calls.bucket}; create it"
            ) from error

    def check(self) -> None:
        self._verified_until = 0.0
        self.verify()
        self._probe()

    def is_writable(self) -> bool:
        until, problem = self._probed
        if time.monotonic() < until:
            return not problem
        try:
            self._probe()
        except StoreError as error:
            self._probed = time.monotonic() + PROBED_SECONDS, str(error)
            return False
        return True

    def _probe(self) -> None:
        name = f"{self._root}{MARKER}-probe"
        self._calls("put_object", Key=name, Body=b"", **self._calls.object_parameters)
        self._calls("delete_object", Key=name)
        self._probed = time.monotonic() + PROBED_SECONDS, ""

    def verify(self) -> None:
        if time.monotonic() < self._verified_until:
            self._calls.breaker.check()
            return
        mark = self.read_mark()
        if mark is None:
            raise StoreError(f"{self.place} is not a blob store: it has no {MARKER}")
        if self._expected is not None:
            check_mark(mark, self._expected(), store=self.place)
        self._verified_until = time.monotonic() + VERIFIED_SECONDS

    def read_mark(self) -> Mark | None:
        name = f"{self._root}{MARKER}"
        try:
            text = self._read(name)[:MARKER_MAX_BYTES]
        except Missing:
            return None
        marker = f"{self.place}/{MARKER}"
        return parse_marker(text, marker=marker, store=self.place)

    def write_mark(self, identifier: str) -> None:
        self._put(f"{self._root}{MARKER}", marker_text(identifier))
        self._verified_until = 0.0

    # --- staged bytes

    def stage(self, generation: str) -> Staged:
        return State(generation).write()

    def write(self, staged: Staged, offset_bytes: int) -> StagedWriter:
        self.verify()
        state = State.read(staged)
        if offset_bytes > state.size_bytes:
            raise ObjectMissing(f"the staged bytes of {state.generation} are gone")
        if not offset_bytes:
            if state.size_bytes:
                self.discard(staged)
            state = State(state.generation, commits=state.commits)
        elif offset_bytes < state.parts_bytes or not self._is_under_way(state):
            self._settle(state)
            state = self._copy(state, offset_bytes, state.generation)
        prefix = b""
        if offset_bytes > state.parts_bytes:
            prefix = self._read(self._tail_name(state.generation, state.tail))
            prefix = prefix[: offset_bytes - state.parts_bytes]
        return PartWriter(self, replace(state, size_bytes=offset_bytes), prefix)

    def _is_under_way(self, state: State) -> bool:
        """Return whether parts can be added; there may be none yet."""
        try:
            return not state.upload or bool(self._list_parts(state))
        except Missing:
            return False

    def fork(self, staged: Staged, size_bytes: int, generation: str) -> Staged:
        self.verify()
        state = State.read(staged)
        if not state.parts or not size_bytes:
            pieces = self.read_staged(staged, size_bytes)
            return self.append(self.stage(generation), 0, pieces)[0]
        self._settle(state)
        return self._copy(state, size_bytes, generation).write()

    def read_staged(self, staged: Staged, size_bytes: int) -> Iterator[bytes]:
        state = State.read(staged)
        if size_bytes > state.size_bytes:
            self.verify()
            raise ObjectMissing("the staged bytes are gone")
        if not size_bytes:
            return iter(())
        name = self._tail_name(state.generation, state.tail)
        if state.parts:
            self.verify()
            self._settle(state)
            name = self._object_name(state.generation)
        return ObjectPieces(self._calls, name, None, 0, size_bytes)

    def has_staged(self, staged: Staged, size_bytes: int) -> bool:
        state = State.read(staged)
        try:
            if state.upload:
                self._list_parts(state)
            if state.tail:
                name = self._tail_name(state.generation, state.tail)
                return self._size_of(name) == state.tail_bytes
            return size_bytes <= state.size_bytes
        except ObjectMissing:  # completed by a request that died
            return (self._size_of(self._object_name(state.generation)) or 0) >= (
                size_bytes
            )

    def finish(self, staged: Staged, digest: Digest, size_bytes: int) -> str:
        self.verify()
        state = State.read(staged)
        key = f"{OBJECTS}{state.generation}"
        if size_bytes != state.size_bytes:
            raise ObjectMissing(
                f"{state.generation} has {state.size_bytes} bytes and not {size_bytes}"
            )
        crash_point("C06")
        if not size_bytes:
            self._put(f"{self._root}{key}", b"")
        elif state.parts:
            self._settle(state)
        else:
            self._copy_tail(state)
        crash_point("C22")
        crash_point("C08")
        return key

    def _copy_tail(self, state: State) -> None:
        """Make the object of a blob that has no parts."""
        source = self._tail_name(state.generation, state.tail)
        target = self._object_name(state.generation)
        try:
            self._calls(
                "copy_object",
                Key=target,
                CopySource={"Bucket": self._calls.bucket, "Key": source},
                is_patient=True,
                **{
                    name: value
                    for name, value in self._calls.object_parameters.items()
                    if name in NOT_COPIED
                },
            )
        except Missing as error:
            if self._size_of(target) != state.size_bytes:
                raise ObjectMissing("the staged bytes are gone") from error

    def discard(self, staged: Staged) -> None:
        self.verify()
        state = State.read(staged)
        crash_point("C23")
        if state.upload:
            self.abort(state.generation, state.upload)
        for tail in (state.tail, state.former_tail):
            if tail:
                self.delete_tail(state.generation, tail)

    def drop(self, staged: Staged) -> None:
        self.discard(staged)
        state = State.read(staged)
        if state.parts:  # completed, maybe, to be read
            self._calls("delete_object", Key=self._object_name(state.generation))

    # --- stored bytes

    def open(
        self, key: str, size_bytes: int, start: int, length: int
    ) -> Iterator[bytes]:
        try:
            if length:
                name = f"{self._root}{key}"
                return ObjectPieces(self._calls, name, size_bytes, start, length)
            if self.size_of(key) == size_bytes:
                return _Nothing()
        except Missing:
            pass
        self.verify()
        raise ObjectMissing(f"there are not {size_bytes} bytes under {key}")

    def size_of(self, key: str) -> int | None:
        return self._size_of(f"{self._root}{key}")

    def delete(self, key: str) -> None:
        self.verify()
        self._calls("delete_object", Key=f"{self._root}{key}")

    # --- listings

    def stored_objects(self) -> Iterator[StoredObject]:
        for found in self._list("list_objects_v2", "Contents", OBJECTS):
            key = found["Key"].removeprefix(self._root)
            yield StoredObject(key, found["Size"], found["LastModified"].timestamp())

    def staged_objects(self) -> Iterator[StoredObject]:
        """Yield each generation that has a tail, or a multipart upload under way."""
        newest_tails: dict[str, Answer] = {}
        for found in self._list("list_objects_v2", "Contents", UPLOADS):
            generation = self._generation_of(found["Key"], UPLOADS)
            before = newest_tails.get(generation)
            if before is None or before["Key"] < found["Key"]:
                newest_tails[generation] = found
        for found in self._list("list_multipart_uploads", "Uploads", OBJECTS):
            generation = self._generation_of(found["Key"], OBJECTS)
            size, moment = self._measure(found)
            tail = newest_tails.pop(generation, None)
            if tail is not None:
                size += tail["Size"]
                moment = max(moment, tail["LastModified"])
            yield StoredObject(generation, size, moment.timestamp())
        for generation, tail in newest_tails.items():
            moment = tail["LastModified"]
            yield StoredObject(generation, tail["Size"], moment.timestamp())

    def _measure(self, upload: Answer) -> tuple[int, datetime]:
        """Return how many bytes a multipart upload has, and when the last ones came."""
        size, moment = 0, upload["Initiated"]
        with suppress(Missing):  # completed at this moment
            for part in self._parts_of(upload["Key"], upload["UploadId"]):
                size += part["Size"]
                moment = max(moment, part.get("LastModified", moment))
        return size, moment

    def discard_generation(self, generation: str) -> None:
        """Abort every multipart upload of a generation and delete its tails.

        A stored object of the generation stays: it has a key of its own.
        """
        self.verify()
        name = f"{OBJECTS}{generation}"
        for found in self._list("list_multipart_uploads", "Uploads", name):
            if found["Key"] == self._object_name(generation):
                self.abort(generation, found["UploadId"])
        for found in self._list(
            "list_objects_v2", "Contents", f"{UPLOADS}{generation}/"
        ):
            self._calls("delete_object", Key=found["Key"])

    def _list(self, operation: str, member: str, prefix: str) -> Iterator[Answer]:
        """Yield the entries of a listing below the store's own prefix, page by page."""
        parameters: Answer = {"Prefix": f"{self._root}{prefix}"}
        while True:
            page = self._calls(operation, **parameters)
            yield from page.get(member, [])
            # SeaweedFS sorts multipart uploads by id, and names no key to go on from.
            following = {
                name: page[f"Next{name}"]
                for name in ("ContinuationToken", "KeyMarker", "UploadIdMarker")
                if page.get(f"Next{name}")
            }
            if not page.get("IsTruncated") or not following:
                return
            parameters |= following

    # --- for the writer

    def begin_upload(self, generation: str) -> str:
        parameters = dict(self._calls.object_parameters)
        if self._calls.adds_checksums:
            # One of the whole object: those of the parts need not be remembered, and a
            # GET of it is checked.
            parameters |= {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
        answer = self._calls(
            "create_multipart_upload", Key=self._object_name(generation), **parameters
        )
        crash_point("C20")
        upload: str = answer["UploadId"]
        return upload

    def send_part(
        self, generation: str, upload: str, number: int, body: bytes | bytearray
    ) -> Answer:
        return self._calls(
            "upload_part",
            is_of_request=False,
            Key=self._object_name(generation),
            UploadId=upload,
            PartNumber=number,
            Body=body,
        )

    def abort(self, generation: str, upload: str) -> None:
        """Abort a multipart upload; nothing happens if it is gone."""
        with suppress(Missing):
            name = self._object_name(generation)
            self._calls("abort_multipart_upload", Key=name, UploadId=upload)

    def put_tail(self, generation: str, tail: str, body: bytes | bytearray) -> None:
        self._put(self._tail_name(generation, tail), body)

    def read_tail(self, generation: str, tail: str) -> bytes:
        return self._read(self._tail_name(generation, tail))

    def delete_tail(self, generation: str, tail: str) -> None:
        self._calls("delete_object", Key=self._tail_name(generation, tail))

    # --- multipart uploads

    def _settle(self, state: State) -> None:
        """Complete the multipart upload with what the state says; safe to repeat."""
        name = self._object_name(state.generation)
        try:
            parts = self._list_parts(state)
            if state.tail:
                tail = self._read(self._tail_name(state.generation, state.tail))
                number = state.parts + 1
                sent = self.send_part(state.generation, state.upload, number, tail)
                parts.append({"PartNumber": number, **sent})
            self._calls(
                "complete_multipart_upload",
                is_patient=True,
                Key=name,
                UploadId=state.upload,
                MultipartUpload={
                    "Parts": [
                        {"PartNumber": part["PartNumber"], "ETag": part["ETag"]}
                        for part in parts
                    ]
                },
            )
        except Missing as error:
            if self._size_of(name) != state.size_bytes:
                raise ObjectMissing(f"the parts of {state.generation} are gone") from (
                    error
                )

    def _copy(self, source: State, size_bytes: int, generation: str) -> State:
        """Copy the first bytes of a settled generation to a new multipart upload."""
        name = self._object_name(source.generation)
        commits = source.commits + 1
        target = self._object_name(generation)
        upload = self.begin_upload(generation) if size_bytes >= PART_MIN_BYTES else ""
        number = position = 0
        try:
            while size_bytes - position >= PART_MIN_BYTES:
                end = min(position + COPY_BYTES, size_bytes)
                number += 1
                self._calls(
                    "upload_part_copy",
                    is_patient=True,
                    Key=target,
                    UploadId=upload,
                    PartNumber=number,
                    CopySource={"Bucket": self._calls.bucket, "Key": name},
                    CopySourceRange=f"bytes={position}-{end - 1}",
                )
                position = end
            tail = ""
            if position < size_bytes:
                tail = tail_name(commits)
                rest = size_bytes - position
                pieces = ObjectPieces(self._calls, name, None, position, rest)
                self.put_tail(generation, tail, b"".join(pieces))
        except BaseException:
            if upload:
                with suppress(StoreError):
                    self.abort(generation, upload)
            raise
        return State(
            generation, size_bytes, upload, number, position, tail, commits=commits
        )

    def _list_parts(self, state: State) -> list[Answer]:
        """Return the parts that the state counts; raises ObjectMissing without them."""
        name = self._object_name(state.generation)
        parts = [
            part
            for part in self._parts_of(name, state.upload)
            if part["PartNumber"] <= state.parts
        ]
        size_bytes = sum(part["Size"] for part in parts)
        if len(parts) != state.parts or size_bytes != state.parts_bytes:
            raise ObjectMissing(
                f"{state.generation} has {len(parts)} parts of {size_bytes} bytes, and "
                f"not {state.parts} of {state.parts_bytes}"
            )
        return parts

    def _parts_of(self, name: str, upload: str) -> Iterator[Answer]:
        parameters: Answer = {"Key": name, "UploadId": upload}
        while True:
            page = self._calls("list_parts", **parameters)
            yield from page.get("Parts", [])
            if not page.get("IsTruncated"):
                return
            parameters["PartNumberMarker"] = page["NextPartNumberMarker"]

    # --- objects

    def _object_name(self, generation: str) -> str:
        return f"{self._root}{OBJECTS}{generation}"

    def _tail_name(self, generation: str, tail: str) -> str:
        return f"{self._root}{UPLOADS}{generation}/{tail}"

    def _generation_of(self, name: str, prefix: str) -> str:
        return name.removeprefix(f"{self._root}{prefix}").partition("/")[0]

    def _put(self, name: str, body: bytes | bytearray) -> None:
        self._calls("put_object", Key=name, Body=body, **self._calls.object_parameters)

    def _read(self, name: str) -> bytes:
        """Return a small object; raises Missing."""
        return read_object(self._calls, name)

    def _size_of(self, name: str) -> int | None:
        try:
            size_bytes: int = self._calls("head_object", Key=name)["ContentLength"]
        except Missing:
            return None
        return size_bytes


class _Nothing(Iterator[bytes]):
    """No bytes."""

    def __next__(self) -> bytes:
        raise StopIteration

    def close(self) -> None:
        """Do nothing: nothing was opened."""
