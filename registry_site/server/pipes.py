"""A pipe that Granian reads from, as fast as the client takes it."""

import fcntl
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from termios import FIONREAD

from django.conf import settings

from registry_site.server.deadlines import deadlines

PIPE_BYTES = 256 * 1024  # the kernel may refuse, and then there are 64 KiB
OPENING_SECONDS = 10.0


class Pipe:
    """The end that Berth writes to; ``path`` is what Granian opens.

    ``count_sent`` is called with the number of bytes after each write.
    """

    def __init__(self, count_sent: Callable[[int], None]) -> None:
        self._count_sent = count_sent
        self._receiver, self.sender = os.pipe()
        os.set_blocking(self.sender, False)
        with suppress(OSError):
            fcntl.fcntl(self.sender, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.path = f"/dev/fd/{self._receiver}"
        self._window_started = time.monotonic()
        self._window_bytes = self._written_bytes = 0

    def write_some(self, piece: memoryview) -> int:
        """Write what fits; raises BlockingIOError if nothing does, BrokenPipeError."""
        if self._receiver >= 0 and self._unread_bytes() < self._written_bytes:
            self.was_read()
        written = os.write(self.sender, piece)
        self._window_bytes += written
        self._written_bytes += written
        self._count_sent(written)
        return written

    def seconds_left(self) -> float:
        """Return how long the client may take for the next byte; begin a new window."""
        window = settings.BERTH_TRANSFER_SECONDS
        left = self._window_started + window - time.monotonic()
        if left > 0:
            return left
        if self._window_bytes < window * settings.BERTH_TRANSFER_RATE:
            return 0.0
        self._window_started, self._window_bytes = time.monotonic(), 0
        return window

    def is_too_slow(self) -> bool:
        return self.seconds_left() <= 0

    def was_read(self) -> None:
        """Note that something was read, so Granian has its own end.

        With ours closed, we notice when Granian's is.
        """
        receiver, self._receiver = self._receiver, -1
        if receiver >= 0:
            os.close(receiver)

    def _unread_bytes(self) -> int:
        count = fcntl.ioctl(self.sender, FIONREAD, bytes(4))
        return int.from_bytes(count, sys.byteorder)

    def close(self) -> None:
        """End the stream."""
        os.close(self.sender)
        if self._receiver >= 0:
            # Granian may not have opened its own end yet.
            deadlines.enter(OPENING_SECONDS, self.was_read)
