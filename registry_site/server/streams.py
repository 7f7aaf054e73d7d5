"""Sends blobs that come from elsewhere, such as S3, without a thread for each client.

A blob goes through a pipe that Granian reads as the client takes it. Threads of a
small pool read pieces and fill pipes; a pipe that is full leaves its thread and waits
in epoll until the client has taken something. So a thread waits for S3 at most, and a
client that reads slowly holds a pipe, a piece of memory and a connection to S3.

    STREAMS_MAX     blobs under way in a worker; the next one is 503 with Retry-After
    TURN_BYTES      one blob sends before the others have their turn
"""

import logging
import select
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from django.http import StreamingHttpResponse

from registry_site.server.pipes import Pipe

log = logging.getLogger(__name__)

STREAMS_MAX = 512
READERS = 16
TURN_BYTES = 4 * 1024 * 1024
TICK_SECONDS = 1.0


class Streams:
    """The blobs that a worker sends from elsewhere."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(STREAMS_MAX)
        self._readers = ThreadPoolExecutor(READERS, "blob-stream")
        self._epoll = select.epoll()
        self._lock = threading.Lock()
        self._waiting: dict[int, Stream] = {}
        threading.Thread(target=self._watch, name="blob-streams", daemon=True).start()

    def enter(self) -> bool:
        """Take a slot; False if none is free."""
        return self._slots.acquire(blocking=False)

    def leave(self) -> None:
        """Give back the slot of a blob that was not begun."""
        self._slots.release()

    def begin(self, response: StreamingHttpResponse, pipe: Pipe) -> None:
        """Send a response to a pipe; its slot is free again at the end."""
        self._continue(Stream(response, pipe))

    def _continue(self, stream: "Stream") -> None:
        self._readers.submit(self._take_turn, stream)

    def _take_turn(self, stream: "Stream") -> None:
        try:
            is_full = stream.send()
        except Exception:
            log.exception("a blob ended early")
            is_full = None
        if is_full is None:
            try:
                stream.close()
            finally:
                self._slots.release()
        elif is_full:
            self._wait_for_client(stream)
        else:
            self._continue(stream)

    def _wait_for_client(self, stream: "Stream") -> None:
        descriptor = stream.pipe.sender
        with self._lock:
            self._waiting[descriptor] = stream
            self._epoll.register(descriptor, select.EPOLLOUT | select.EPOLLONESHOT)

    def _watch(self) -> None:
        looked = time.monotonic()
        while True:
            for descriptor, _ in self._epoll.poll(TICK_SECONDS):
                self._resume(descriptor, is_slow=False)
            now = time.monotonic()
            if now - looked >= TICK_SECONDS:
                looked = now
                for descriptor, stream in list(self._waiting.items()):
                    if stream.pipe.is_too_slow():
                        self._resume(descriptor, is_slow=True)

    def _resume(self, descriptor: int, *, is_slow: bool) -> None:
        with self._lock:
            stream = self._waiting.pop(descriptor, None)
            if stream is None:
                return
            self._epoll.unregister(descriptor)
        stream.is_over = is_slow
        stream.pipe.was_read()
        self._continue(stream)


class Stream:
    """One blob on its way; one thread at a time works on it."""

    def __init__(self, response: StreamingHttpResponse, pipe: Pipe) -> None:
        self.pipe = pipe
        self.is_over = False
        self._response = response
        self._pieces = iter(response)
        self._left = memoryview(b"")

    def send(self) -> bool | None:
        """Send until the pipe is full (True) or the turn is over (False).

        None at the end, and when the client is gone or too slow.
        """
        sent_bytes = 0
        while sent_bytes < TURN_BYTES:
            if self.is_over:
                return None
            if not self._left:
                piece = next(self._pieces, None)
                if piece is None:
                    return None
                self._left = memoryview(piece)
            try:
                written = self.pipe.write_some(self._left)
            except BlockingIOError:
                return True
            except BrokenPipeError:
                return None
            sent_bytes += written
            self._left = self._left[written:]
        return False

    def close(self) -> None:
        self.pipe.close()
        self._response.close()


@cache
def streams() -> Streams:
    """Return this worker's; made when the first one is needed."""
    return Streams()
