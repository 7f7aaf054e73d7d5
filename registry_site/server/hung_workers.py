"""Ends web workers that hang, so that Granian starts others in their place.

Each worker counts once a second in memory that it shares with the main process. One
whose count stands still for HUNG_LOOKS is killed: it is stopped, or native code holds
the interpreter, and its share of the connections waits for nothing. Looks are counted
rather than seconds, since a machine that was asleep stops the main process, too. A
worker that a debugger has stopped is left alone.
"""

import logging
import multiprocessing
import threading
import time
from contextlib import suppress
from mmap import mmap
from pathlib import Path
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
            workers = {worker.idx: worker for worker in list(server.wrks)}
            place = self.look({n: worker.inner.pid for n, worker in workers.items()})
            if place is not None and not server.interrupt_signal:
                replace(server, workers[place])

    def look(self, processes: dict[int, int | None]) -> int | None:
        """Look once; return the place of a process that hangs.

        Of several it is one, and the next look returns the next one: Granian forgets a
        worker that ends while it replaces another. Places without a process are
        skipped, and so are those that a debugger has stopped.
        """
        hung = None
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
            if self._still_looks[place] < limit:
                continue
            if _is_traced(pid):
                self._still_looks[place] = 0
            elif hung is None:
                hung = place
        if hung is not None:
            self._still_looks[hung] = 0
        return hung


def replace(server: Any, worker: Any) -> None:
    """Let a Granian start another worker in place of one that hangs.

    The line of the log is written first: as soon as the process ends, Granian forks,
    and no lock may be held then.
    """
    pid = worker.inner.pid
    if worker.inner.is_alive():
        log.error("web worker %d hangs; another one takes its place", pid)
        worker.inner.kill()  # not worker.kill(), after which Granian starts no other
    else:
        log.error("web worker %d has ended; another one takes its place", pid)
        server.interrupt_children.append(worker.idx)
        server.main_loop_interrupt.set()


def _is_traced(pid: int) -> bool:
    """Return whether a debugger has the process, which may have stopped it."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "TracerPid":
                return value.strip() != "0"
    return False
