"""Collects the body of a request without waiting for it.

Granian hands out a body in pieces as small as the client's chunks. Each is asked for
with a callback, which runs in a thread of Granian's pool when the piece is there; until
then no thread has anything to do with the request. Pieces are gathered until there are
as many bytes as wanted, so that what follows is worth its while.

How long a client may take, counting only the time for which it is waited for:

    small bodies    BERTH_REQUEST_SECONDS, and more by what has arrived
    blobs           BERTH_TRANSFER_RATE over every BERTH_TRANSFER_SECONDS
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings

from registry_site.server.deadlines import deadlines

SMALL_BODY_RATE_BYTES = 16 * 1024  # a second; what has arrived extends the deadline
GATHERED_MAX_BYTES = 128 * 1024 * 1024  # in all bodies of a worker together


class TooSlow(Exception):
    """The client had its time, and what it sent in it has been handed out."""


class BodyReader:
    """Reads the body of one request, for one caller at a time."""

    def __init__(
        self, protocol: Any, resume: Callable[[bytes | None], None], *, is_blob: bool
    ) -> None:
        """``resume`` is called with what ``gather`` had to wait for.

        It gets None when the client was too slow and nothing more had arrived.
        """
        self._protocol = protocol.__aiter__()
        self._resume = resume
        self._is_blob = is_blob
        self._pieces: list[bytes] = []
        self._gathered_bytes = self._wanted_bytes = 0
        self._awaitable: Any = None
        self._deadline = 0
        self.is_over = False
        self._wait_started = 0.0
        self._waited_seconds = 0.0  # for a blob, since the window began
        self._received_bytes = 0  # likewise

    def gather(self, wanted_bytes: int) -> bytes | None:
        """Return as many bytes or some more, fewer only at the end, b"" behind it.

        None means that they have to be waited for, and that ``resume`` gets them: it
        may run in another thread before this returns. Raises TooSlow.
        """
        if self.is_over:
            raise TooSlow
        self._wanted_bytes = wanted_bytes
        return self._fill()

    def _fill(self) -> bytes | None:
        while True:
            try:
                awaitable = self._protocol.__anext__()
            except StopAsyncIteration:
                return self._all_gathered()
            if not awaitable.done() and not self._wait_for(awaitable):
                return None
            piece = awaitable.result()
            self._keep(piece)
            if not piece or self._has_enough():
                return self._all_gathered()

    def _wait_for(self, awaitable: Any) -> bool:
        """Ask to be called back; True if the piece came before that was possible."""
        self._awaitable = awaitable
        self._wait_started = time.monotonic()
        number = self._deadline = deadlines.enter(self._seconds_left(), self._expire)
        arrival = Arrival(self)
        awaitable.add_done_callback(arrival)
        # Where it was not at once, another thread may be at work already.
        if not arrival.came_at_once or not deadlines.take(number):
            return False
        self._awaitable = None
        return True

    def arrived(self, awaitable: Any) -> None:
        """Take the piece that was waited for, unless the deadline was quicker."""
        if not deadlines.take(self._deadline):
            return
        self._waited_seconds += time.monotonic() - self._wait_started
        self._awaitable = None  # it holds this reader, and Python sees no such circle
        piece = awaitable.result()
        self._keep(piece)
        gathered = (
            self._all_gathered() if not piece or self._has_enough() else self._fill()
        )
        if gathered is not None:
            self._resume(gathered)

    def let_go(self) -> None:
        """Drop the request, so that Granian can end its connection.

        Its body ends with the last reference, which is not to wait for a collection of
        garbage: this object and its owner hold each other.
        """
        self._protocol = self._awaitable = None
        self._resume = _ignore

    def give_up(self) -> bool:
        """End the wait now, as its deadline would; False if there is none."""
        if not deadlines.take(self._deadline):
            return False
        self._end()
        return True

    def _expire(self) -> None:
        self._waited_seconds += time.monotonic() - self._wait_started
        window = settings.BERTH_TRANSFER_SECONDS
        if self._is_blob and self._received_bytes >= (
            settings.BERTH_TRANSFER_RATE * window
        ):
            # A pause after enough bytes: another window begins.
            self._waited_seconds, self._received_bytes = 0.0, 0
            awaitable = self._awaitable
            self._deadline = deadlines.enter(window, self._expire)
            if awaitable.done():  # and arrived() may have come between the windows
                self.arrived(awaitable)
            return
        self._end()

    def _end(self) -> None:
        self.is_over = True
        self._awaitable.cancel()
        self._awaitable = None
        self._resume(self._all_gathered() or None)

    def _seconds_left(self) -> float:
        if self._is_blob:
            if self._waited_seconds >= settings.BERTH_TRANSFER_SECONDS:
                rate = self._received_bytes / self._waited_seconds
                if rate >= settings.BERTH_TRANSFER_RATE:
                    self._waited_seconds, self._received_bytes = 0.0, 0
            return max(0.0, settings.BERTH_TRANSFER_SECONDS - self._waited_seconds)
        allowed = self._received_bytes / SMALL_BODY_RATE_BYTES
        allowed += settings.BERTH_REQUEST_SECONDS
        return max(0.0, allowed - self._waited_seconds)

    def _keep(self, piece: bytes) -> None:
        if not piece:
            return
        self._pieces.append(piece)
        self._gathered_bytes += len(piece)
        self._received_bytes += len(piece)
        _gathered.add(self, len(piece))

    def _has_enough(self) -> bool:
        if self._is_blob and _gathered.is_much:
            return True
        return self._gathered_bytes >= self._wanted_bytes

    def _all_gathered(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        _gathered.remove(self, self._gathered_bytes)
        self._gathered_bytes = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _ignore(piece: bytes | None) -> None:
    """Take what no one waits for."""


class Arrival:
    """The callback of one piece."""

    def __init__(self, reader: BodyReader) -> None:
        self._reader = reader
        self.came_at_once = False

    def __call__(self, awaitable: Any) -> None:
        self._reader.arrived(awaitable)


class CallbackLoop:
    """The event loop that Granian's awaitables need: it runs callbacks where it is.

    Granian calls back in a thread of its pool when a piece arrives, and within
    ``add_done_callback`` when it was there already.
    """

    def call_soon_threadsafe(
        self, callback: Arrival, awaitable: Any, *, context: Any = None
    ) -> None:
        callback(awaitable)

    def call_soon(
        self, callback: Arrival, awaitable: Any, *, context: Any = None
    ) -> None:
        callback.came_at_once = True


class _Gathered:
    """Counts what all bodies hold, and ends the largest when that is too much."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes: dict[BodyReader, int] = {}
        self._total_bytes = 0

    @property
    def is_much(self) -> bool:
        return self._total_bytes > GATHERED_MAX_BYTES // 2

    def add(self, reader: BodyReader, size_bytes: int) -> None:
        with self._lock:
            self._bytes[reader] = self._bytes.get(reader, 0) + size_bytes
            self._total_bytes += size_bytes
            if self._total_bytes <= GATHERED_MAX_BYTES:
                return
            largest = sorted(self._bytes, key=self._bytes.__getitem__, reverse=True)
        for each in largest[:50]:  # those that are not waiting are on their way out
            if each is not reader and each.give_up():
                return

    def remove(self, reader: BodyReader, size_bytes: int) -> None:
        with self._lock:
            if self._bytes.pop(reader, None) is not None:
                self._total_bytes -= size_bytes


_gathered = _Gathered()
