"""Hash a stream while it is written: the digest costs no time of its own (measured)."""

from queue import Queue
from threading import Thread

from repositories.oci.digests import Digest, new_hash

INLINE_BYTES = 1024 * 1024  # a thread is not worth its start for less
QUEUE_PIECES = 8  # of bodies.PIECE_BYTES: 2 MiB in flight at most


class StreamHash:
    """A hash that moves to a thread of its own once the stream turns out to be large.

    hashlib releases the interpreter lock while it works, so reading and writing
    continue. ``close`` ends the thread; ``digest`` waits for it.
    """

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.size_bytes = 0
        self._hash = new_hash(algorithm)
        self._queue: Queue[bytes | None] | None = None
        self._thread: Thread | None = None

    def update(self, piece: bytes) -> None:
        self.size_bytes += len(piece)
        if self._queue is not None:
            self._queue.put(piece)
        elif self.size_bytes <= INLINE_BYTES:
            self._hash.update(piece)
        else:
            self._queue = Queue(QUEUE_PIECES)
            self._queue.put(piece)
            self._thread = Thread(target=self._work, args=(self._queue,), daemon=True)
            self._thread.start()

    def digest(self) -> Digest:
        """Return the digest of everything; nothing can be added afterwards."""
        self.close()
        return Digest(self.algorithm, self._hash.hexdigest())

    def close(self) -> None:
        if self._queue is not None and self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._queue = self._thread = None

    def _work(self, queue: Queue[bytes | None]) -> None:
        while (piece := queue.get()) is not None:
            self._hash.update(piece)
