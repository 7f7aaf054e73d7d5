"""Writes the bytes of one request: parts go up while the next one fills.

Memory stays flat. A writer holds the part that fills, and IN_FLIGHT_BYTES that are on
their way; all writers of a process together send PARTS_IN_FLIGHT_MAX parts at once.

Many slow clients have many parts that fill. Once they have FILLING_BYTES in all, each
writer puts its bytes aside in S3, SPILL_BYTES at a time, and reads them back when they
make a part.
"""

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from secrets import token_hex
from typing import TYPE_CHECKING

from database.crash_points import crash_point
from distribution.storage.base import Staged, StagedWriter, StoreAway, StoreError
from distribution.storage.s3.calls import Answer
from distribution.storage.s3.state import (
    MIB,
    PART_BYTES,
    PART_MIN_BYTES,
    PARTS_MAX,
    SPILLED,
    State,
    part_bytes,
    tail_name,
)

if TYPE_CHECKING:
    from distribution.storage.s3.store import S3Store

IN_FLIGHT_BYTES = 2 * PART_BYTES  # of a writer; a larger part goes alone
PARTS_IN_FLIGHT_MAX = 8  # of a process
SLOT_SECONDS = 30.0
FILLING_BYTES = 64 * MIB  # of a process
SPILL_BYTES = MIB

_slots = threading.BoundedSemaphore(PARTS_IN_FLIGHT_MAX)


class Filling:
    """Counts the bytes of all parts of this process that fill."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.size_bytes = 0

    def change(self, by_bytes: int) -> None:
        with self._lock:
            self.size_bytes += by_bytes


filling = Filling()


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
        self._counted_bytes = 0  # of the buffer, in ``filling``
        self._spilled: list[str] = []
        self._spilled_bytes = 0
        self._upload = state.upload
        self._parts = state.parts
        self._parts_bytes = state.parts_bytes
        self._sent: deque[tuple[Future[Answer], int]] = deque()
        self._is_open = True
        self._count()

    def add(self, piece: bytes) -> None:
        self._buffer += piece
        self.size_bytes += len(piece)
        while self._filled_bytes >= (size := part_bytes(self._parts + 1)):
            self._send(size)
        self._count()
        if filling.size_bytes > FILLING_BYTES and len(self._buffer) >= SPILL_BYTES:
            self._spill()

    @property
    def _filled_bytes(self) -> int:
        return self._spilled_bytes + len(self._buffer)

    def commit(self) -> Staged:
        crash_point("C03")
        self._take_back()
        if not self.size_bytes and len(self._buffer) == self._state.tail_bytes:
            self._end()
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
        size_bytes = self._parts_bytes + len(self._buffer)
        self._end()
        return State(
            generation=self._state.generation,
            size_bytes=size_bytes,
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
        self._end()
        for future, _ in self._sent:
            future.cancel()
        for future, _ in self._sent:
            if not future.cancelled():
                future.exception()  # waits, so that no part comes after the abort
        with suppress(StoreError):  # the collection of garbage finds the rest
            self._delete_spilled()
            if self._upload and not self._state.upload:
                self._store.abort(self._state.generation, self._upload)

    def _end(self) -> None:
        self._is_open = False
        self._buffer = bytearray()
        self._count()

    def _count(self) -> None:
        filling.change(len(self._buffer) - self._counted_bytes)
        self._counted_bytes = len(self._buffer)

    def _spill(self) -> None:
        """Put the buffer aside."""
        name = f"{SPILLED}{token_hex(8)}"
        self._store.put_tail(self._state.generation, name, self._buffer)
        self._spilled.append(name)
        self._spilled_bytes += len(self._buffer)
        self._buffer = bytearray()
        self._count()

    def _take_back(self) -> None:
        """Put what was spilled in front of the buffer."""
        if not self._spilled:
            return
        whole = bytearray()
        for name in self._spilled:
            whole += self._store.read_tail(self._state.generation, name)
        whole += self._buffer
        self._buffer = whole
        self._delete_spilled()

    def _delete_spilled(self) -> None:
        names, self._spilled, self._spilled_bytes = self._spilled, [], 0
        for name in names:
            self._store.delete_tail(self._state.generation, name)

    def _send(self, size_bytes: int) -> None:
        """Begin to send the first bytes of the buffer as a part."""
        if not self._upload:
            self._upload = self._store.begin_upload(self._state.generation)
        if self._parts >= PARTS_MAX:
            raise StoreError(f"a blob has at most {PARTS_MAX} parts")
        self._take_back()
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
