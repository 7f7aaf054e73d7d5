"""Writes the bytes of one request: parts go up while the next one fills.

Memory stays flat. A writer holds the part that fills, and IN_FLIGHT_BYTES that are on
their way; all writers of a process together send PARTS_IN_FLIGHT_MAX parts at once.
"""

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from database.crash_points import crash_point
from distribution.storage.base import Staged, StagedWriter, StoreAway, StoreError
from distribution.storage.s3.calls import Answer
from distribution.storage.s3.state import (
    PART_BYTES,
    PART_MIN_BYTES,
    PARTS_MAX,
    State,
    part_bytes,
    tail_name,
)

if TYPE_CHECKING:
    from distribution.storage.s3.store import S3Store

IN_FLIGHT_BYTES = 2 * PART_BYTES  # of a writer; a larger part goes alone
PARTS_IN_FLIGHT_MAX = 8  # of a process
SLOT_SECONDS = 30.0

_slots = threading.BoundedSemaphore(PARTS_IN_FLIGHT_MAX)


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads that send parts; made in the process that needs them."""
    return ThreadPoolExecutor(PARTS_IN_FLIGHT_MAX, "s3-part")


class PartWriter(StagedWriter):
    """Writes behind ``state``; ``prefix`` is its tail, which becomes part of a part."""

    def __init__(self, store: "S3Store", state: State, prefix: bytes) -> None:
        self._store = store
        self._state = state
        self._buffer = bytearray(prefix)
        self._upload = state.upload
        self._parts = state.parts
        self._parts_bytes = state.parts_bytes
        self._sent: deque[tuple[Future[Answer], int]] = deque()
        self._is_open = True

    def add(self, piece: bytes) -> None:
        self._buffer += piece
        self.size_bytes += len(piece)
        while len(self._buffer) >= (size := part_bytes(self._parts + 1)):
            self._send(size)

    def commit(self) -> Staged:
        crash_point("C03")
        if not self.size_bytes and len(self._buffer) == self._state.tail_bytes:
            self._is_open = False
            return self._state.write()
        if self._upload and len(self._buffer) >= PART_MIN_BYTES:
            self._send(len(self._buffer))
        self._wait_until(0)
        crash_point("C21")
        tail = ""
        commits = self._state.commits + 1
        if self._buffer:
            tail = tail_name(commits)
            self._store.put_tail(self._state.generation, tail, self._buffer)
        if self._state.former_tail:
            self._store.delete_tail(self._state.generation, self._state.former_tail)
        self._is_open = False
        return State(
            generation=self._state.generation,
            size_bytes=self._parts_bytes + len(self._buffer),
            upload=self._upload,
            parts=self._parts,
            parts_bytes=self._parts_bytes,
            tail=tail,
            former_tail=self._state.tail,
            commits=commits,
        ).write()

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        for future, _ in self._sent:
            future.cancel()
        for future, _ in self._sent:
            if not future.cancelled():
                future.exception()  # waits, so that no part comes after the abort
        self._buffer.clear()
        if self._upload and not self._state.upload:
            with suppress(StoreError):  # the collection of garbage aborts it
                self._store.abort(self._state.generation, self._upload)

    def _send(self, size_bytes: int) -> None:
        """Begin to send the first bytes of the buffer as a part."""
        if not self._upload:
            self._upload = self._store.begin_upload(self._state.generation)
        if self._parts >= PARTS_MAX:
            raise StoreError(f"a blob has at most {PARTS_MAX} parts")
        self._wait_until(max(0, IN_FLIGHT_BYTES - size_bytes))
        if not _slots.acquire(timeout=SLOT_SECONDS):
            raise StoreAway(f"{self._store.place} takes parts too slowly")
        rest = self._buffer[size_bytes:]
        del self._buffer[size_bytes:]
        body, self._buffer = self._buffer, rest
        future = _pool().submit(
            self._store.send_part,
            self._state.generation,
            self._upload,
            self._parts + 1,
            body,
        )
        future.add_done_callback(lambda _: _slots.release())
        self._sent.append((future, size_bytes))
        self._parts += 1
        self._parts_bytes += size_bytes

    def _wait_until(self, in_flight_bytes: int) -> None:
        """Wait until no more bytes than that are on their way; raises StoreError."""
        while self._sent and sum(size for _, size in self._sent) > in_flight_bytes:
            future, _ = self._sent[0]
            future.result()
            self._sent.popleft()
