"""Ends web workers that hang, so that Granian starts others in their place.

Each worker counts once a second in memory that it shares with the main process. One
whose count stands still for HUNG_LOOKS is killed: it is stopped, or native code holds
the interpreter, and its share of the connections waits for nothing. Looks are counted
rather than seconds, since a machine that was asleep stops the main process, too.
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from contextlib import suppress
from mmap import mmap
from typing import Any

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
HUNG_LOOKS = 20
STARTING_LOOKS = 120  # before its first count: loading Berth takes a while
COUNT_BYTES = 8


class Counts:
    """A count for each worker, in memory that forks share."""

    def __init__(self, workers: int) -> None:
        self._memory = mmap(-1, workers * COUNT_BYTES)

    def __getitem__(self, place: int) -> int:
        start = place * COUNT_BYTES
        return int.from_bytes(self._memory[start : start + COUNT_BYTES], "little")

    def __setitem__(self, place: int, count: int) -> None:
        start = place * COUNT_BYTES
        content = count.to_bytes(COUNT_BYTES, "little")
        self._memory[start : start + COUNT_BYTES] = content


class HungWorkers:
    """Watches the workers of a Granian from its main process."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._seen: dict[int, tuple[int, int]] = {}  # process and count, by place
        self._starting: set[int] = set()  # places whose process has not counted yet
        self._still_looks: dict[int, int] = {}

    def watch(self, server: Any) -> None:
        """Look after the workers from now on, where they are forks of this process."""
        if multiprocessing.get_start_method() == "fork":
            threading.Thread(
                target=self._watch, args=(server,), name="hung-workers", daemon=True
            ).start()

    def _watch(self, server: Any) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            processes = {worker.idx: worker.inner.pid for worker in list(server.wrks)}
            for pid in self.look(processes):
                log.error("web worker %d hangs; another one takes its place", pid)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def look(self, processes: dict[int, int | None]) -> list[int]:
        """Look once; return the processes that hang. Places without one are skipped."""
        hung = []
        for place, pid in processes.items():
            if pid is None:
                continue
            before, count = self._seen.get(place), self._counts[place]
            self._seen[place] = pid, count
            if before is None or before[0] != pid:
                self._starting.add(place)
                self._still_looks[place] = 0
            elif before[1] != count:
                self._starting.discard(place)
                self._still_looks[place] = 0
            else:
                self._still_looks[place] += 1
            limit = STARTING_LOOKS if place in self._starting else HUNG_LOOKS
            if self._still_looks[place] == limit:
                hung.append(pid)
        return hung
