"""Stops asking S3 for a while once it has stopped answering.

A call that waits holds a thread, and pages and manifests want threads too. So

* after FAILURES_MAX failures in a row no call is made for PAUSE_SECONDS; then one call
  tries, and the others follow if it succeeds;
* at most ``calls_max`` requests wait for S3 at the same time. If these have waited for
  WAITING_SECONDS, others are refused at once.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from distribution.storage.base import StoreAway

FAILURES_MAX = 3
PAUSE_SECONDS = 5.0
WAITING_SECONDS = 1.0


class Breaker:
    """Counts failures and waiting calls of this process."""

    def __init__(self, place: str, calls_max: int) -> None:
        self._place = place
        self._calls_max = max(1, calls_max)
        self._changed = threading.Condition()
        self._failures = 0
        self._next_try = 0.0
        self._began: dict[object, float] = {}  # in order

    def check(self) -> None:
        """Raise StoreAway if no call is to be made now."""
        with self._changed:
            if self._failures < FAILURES_MAX:
                return
            now = time.monotonic()
            if now < self._next_try:
                raise StoreAway(f"{self._place} did not answer; it is left alone")
            self._next_try = now + PAUSE_SECONDS  # this call is the one that tries

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count a call that holds the thread of a request; raises StoreAway."""
        call = object()
        stop = time.monotonic() + WAITING_SECONDS
        with self._changed:
            while len(self._began) >= self._calls_max:
                oldest = next(iter(self._began.values()))
                now = time.monotonic()
                if now >= stop or now - oldest >= WAITING_SECONDS:
                    raise StoreAway(f"{self._place} is slow: too many requests wait")
                self._changed.wait(stop - now)
            self._began[call] = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                del self._began[call]
                self._changed.notify()

    def succeeded(self) -> None:
        """Note an answer, whatever it says."""
        if self._failures:
            with self._changed:
                self._failures = 0

    def failed(self) -> None:
        """Note that there was no answer, or that S3 could not give one."""
        with self._changed:
            self._failures += 1
            if self._failures >= FAILURES_MAX:
                self._next_try = time.monotonic() + PAUSE_SECONDS
