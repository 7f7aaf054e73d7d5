"""Ends what waits for a client for too long.

A thread looks four times a second. What waits is entered with a moment
(time.monotonic) and taken out by whichever comes first, the client's next piece or the
deadline: taking it out is one step of a dictionary, so exactly one of the two gets it.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

log = logging.getLogger(__name__)

TICK_SECONDS = 0.25
ENDING_THREADS = 4  # run what the end of a request does, such as saving progress


class Deadlines:
    """Callbacks, each with the moment at which it is run unless it is taken out."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[float, Callable[[], None]]] = {}
        self._next_number = 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(ENDING_THREADS, "ending")

    def start(self) -> None:
        threading.Thread(target=self._watch, name="deadlines", daemon=True).start()

    def enter(self, seconds: float, callback: Callable[[], None]) -> int:
        """Run the callback in that many seconds; returns a number for ``take``."""
        with self._lock:
            self._next_number += 1
            number = self._next_number
        self._waiting[number] = time.monotonic() + seconds, callback
        return number

    def take(self, number: int) -> bool:
        """Take a callback out; False if its moment has come already."""
        return self._waiting.pop(number, None) is not None

    def _watch(self) -> None:
        while True:
            time.sleep(TICK_SECONDS)
            self._end_what_is_due()

    def _end_what_is_due(self) -> None:
        now = time.monotonic()
        for number, (moment, callback) in list(self._waiting.items()):
            if moment <= now and self.take(number):
                self._pool.submit(_run, callback)


def _run(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        log.exception("could not end a request that waited too long")


deadlines = Deadlines()
