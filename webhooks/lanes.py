"""How many deliveries a worker process carries at once, so that none stands in the way.

A worker has THREADS threads. A receiver that hangs holds one for ten seconds, so those
that are known to fail share a few, those that have never succeeded share most, and what
remains is always there for those that work. To one host, only some go at a time.

A delivery that finds no room is remembered and carried by the next thread that leaves.
This is memory of one process: after a kill, the sweep finds the same rows again.
"""

import threading
from collections import Counter
from enum import StrEnum

THREADS = 160  # the worker's -c in the Procfile; they are made when needed
HOST_MAX = 8
REMEMBERED_MAX = 10_000  # the sweep brings more


class Lane(StrEnum):
    FAILING = "failing"  # the last attempt failed
    UNPROVEN = "unproven"  # none has succeeded yet
    PROVEN = "proven"


ROOM = {Lane.FAILING: 16, Lane.UNPROVEN: 104, Lane.PROVEN: THREADS}


class Lanes:
    """Who is on the way, and who waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lanes: Counter[Lane] = Counter()
        self._hosts: Counter[str] = Counter()
        self._waiting: dict[int, tuple[str, Lane]] = {}
        self._is_closed = False

    def enter(self, delivery_id: int, host: str, lane: Lane) -> bool:
        """Take a place; without room, remember the delivery and answer False."""
        with self._lock:
            if self._has_room(host, lane):
                self._take(delivery_id, host, lane)
                return True
            if len(self._waiting) < REMEMBERED_MAX:
                self._waiting[delivery_id] = (host, lane)
            return False

    def leave(self, host: str, lane: Lane) -> None:
        """Give the place back."""
        with self._lock:
            self._free(host, lane)

    def follow(self, host: str, lane: Lane) -> tuple[int, str, Lane] | None:
        """Give the place back; return a delivery that got in instead, if one waits.

        It has its place already: carry it, and leave for it, too.
        """
        with self._lock:
            self._free(host, lane)
            if self._is_closed:
                return None
            for delivery_id, (its_host, its_lane) in self._waiting.items():
                if self._has_room(its_host, its_lane):
                    self._take(delivery_id, its_host, its_lane)
                    return delivery_id, its_host, its_lane
        return None

    def holds(self, delivery_id: int) -> bool:
        """Tell whether the delivery is remembered and has to wait for its turn."""
        with self._lock:
            wanted = self._waiting.get(delivery_id)
            return wanted is not None and not self._has_room(*wanted)

    def close(self) -> None:
        """Let nobody follow any more: this process is about to end."""
        with self._lock:
            self._is_closed = True

    def _free(self, host: str, lane: Lane) -> None:
        self._lanes[lane] -= 1
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]

    def _has_room(self, host: str, lane: Lane) -> bool:
        return self._lanes[lane] < ROOM[lane] and self._hosts[host] < HOST_MAX

    def _take(self, delivery_id: int, host: str, lane: Lane) -> None:
        self._waiting.pop(delivery_id, None)
        self._lanes[lane] += 1
        self._hosts[host] += 1
