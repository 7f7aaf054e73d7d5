"""Bounds the memory of files that are sent in one piece.

A file in one piece costs less processor time than Granian's own reading, which goes to
another thread for every 128 KiB. But it stays in memory until the client has taken it,
and Granian does not report when that is. So a worker has WHOLE_FILES_MAX_BYTES for all
its connections, and counts for each of them

* its last two answers: hyper may keep one in its buffer and the next one behind it, if
  the client sends requests without waiting for the answers;
* until connections.py finds that it is closed, or that nothing of it waits to be taken.
  While an answer is read from the disk, nothing of it waits yet, and it counts.

Beyond that, and on systems where connections.py does not run, Granian reads the file.

Manifests, pages and answers of the API come from memory, and so are always sent in one
piece. They are not counted here.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

WHOLE_FILE_MAX_BYTES = 2 * 1024 * 1024
WHOLE_FILES_MAX_BYTES = 64 * 1024 * 1024  # of a worker
KEPT_BUFFERS_MAX = 4
SMALL_BYTES = 64 * 1024  # not worth a buffer that is kept


def client_name(address: str, port: int | str) -> str:
    """Return the name of the client's end of a connection."""
    return f"{address.partition('%')[0]} {port}"


@dataclass(slots=True)
class _Held:
    bytes_before: int  # of the answer before the last one
    bytes: int
    moment: float  # when Granian had it
    being_sent: int  # answers that Granian has not got yet


class WholeFiles:
    """Counts what the connections of a worker hold."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self.held_bytes = 0
        self.is_watched = False  # connections.py calls ``release``

    def enter(self, client: str, size_bytes: int) -> bool:
        """Count an answer that is about to be sent; False if there is no room.

        If it returns True, call ``sent`` when Granian has the answer.
        """
        if not self.is_watched or size_bytes > WHOLE_FILE_MAX_BYTES:
            return False
        with self._lock:
            held = self._held.get(client) or _Held(0, 0, 0.0, 0)
            before = held.bytes_before
            if self.held_bytes - before + size_bytes > WHOLE_FILES_MAX_BYTES:
                return False
            self.held_bytes += size_bytes - before
            held.bytes_before, held.bytes = held.bytes, size_bytes
            held.being_sent += 1
            self._held[client] = held
        return True

    def sent(self, client: str) -> None:
        """Note that Granian has the answer, so that it can be taken from now on."""
        with self._lock:
            held = self._held[client]
            held.being_sent -= 1
            held.moment = time.monotonic()

    def release(self, busy: set[str], looked_at: float) -> None:
        """Forget what connections held before the look, except those that are busy."""
        with self._lock:
            for client, held in list(self._held.items()):
                if (
                    client not in busy
                    and not held.being_sent
                    and held.moment < looked_at
                ):
                    del self._held[client]
                    self.held_bytes -= held.bytes_before + held.bytes


whole_files = WholeFiles()


class Buffers:
    """Keeps buffers: a new one costs as much as reading the file into it.

    Granian copies what it sends, and takes no part of a buffer. So a buffer gets the
    length of the file.
    """

    def __init__(self) -> None:
        self._free: list[bytearray] = []

    @contextmanager
    def borrow(self, size_bytes: int) -> Iterator[bytearray]:
        """Return a buffer of this length for the time of the context."""
        if size_bytes < SMALL_BYTES:
            yield bytearray(size_bytes)
            return
        try:
            buffer = self._free.pop()
        except IndexError:
            buffer = bytearray(size_bytes)
        if len(buffer) > size_bytes:
            del buffer[size_bytes:]
        elif len(buffer) < size_bytes:
            buffer.extend(bytes(size_bytes - len(buffer)))
        yield buffer
        if len(self._free) < KEPT_BUFFERS_MAX:
            self._free.append(buffer)


buffers = Buffers()
