"""Web workers that hang are ended one by one, and Granian starts others.

The workers are processes of a Granian that does not serve. tests/faults/ has the whole.
"""

import ctypes
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from granian import Granian
from granian.server.mp import WorkerProcess

from registry_site.server.hung_workers import (
    HUNG_LOOKS,
    STARTING_LOOKS,
    Counts,
    HungWorkers,
    replace,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

PTRACE_SEIZE = 0x4206
WORKERS = 2


@pytest.fixture
def granian() -> Iterator[Any]:
    """Yield one whose workers sleep."""
    server: Any = Granian("not.loaded:answer", workers=WORKERS, log_enabled=False)
    with ExitStack() as stack:
        for place in range(WORKERS):
            worker: Any = WorkerProcess(server, place, time.sleep, (600,))
            worker.start()
            stack.callback(worker.kill)
            server.wrks.append(worker)
        yield server


def looks_until_found(watch: HungWorkers, server: Any) -> tuple[int, int | None]:
    """Return how many looks found nothing, and the place that the next one found."""
    processes = {worker.idx: worker.inner.pid for worker in server.wrks}
    for looks in range(STARTING_LOOKS * 2):
        if (place := watch.look(processes)) is not None:
            return looks, place
    return STARTING_LOOKS * 2, None


def counting(server: Any) -> HungWorkers:
    """Return a watch of workers that have counted once."""
    counts = Counts(WORKERS)
    watch = HungWorkers(counts)
    processes = {worker.idx: worker.inner.pid for worker in server.wrks}
    watch.look(processes)
    for place in range(WORKERS):
        counts[place] = 1
    watch.look(processes)
    return watch


def test_of_workers_that_hang_at_once_each_look_finds_one(granian: Any) -> None:
    """Granian forgets a worker that ends while it replaces another."""
    watch = counting(granian)
    assert looks_until_found(watch, granian) == (HUNG_LOOKS - 1, 0)
    assert looks_until_found(watch, granian) == (0, 1)
    # If Granian has missed the end of one, it is found again.
    assert looks_until_found(watch, granian) == (HUNG_LOOKS - 2, 0)


def test_a_worker_that_hangs_is_logged_before_it_ends_and_granian_forks(
    granian: Any,
) -> None:
    first, second = granian.wrks
    alive_when_logged = []

    class Watch(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            alive_when_logged.append(first.is_alive())

    log = logging.getLogger("registry_site.server.hung_workers")
    handler = Watch()
    log.addHandler(handler)
    try:
        replace(granian, first)
        assert granian.main_loop_interrupt.wait(30)
        assert alive_when_logged == [True]
        assert granian.interrupt_children == [0]
        assert second.is_alive()
        # Granian forgot it: it is reported again, and no process is ended for it.
        granian.interrupt_children.clear()
        granian.main_loop_interrupt.clear()
        replace(granian, first)
    finally:
        log.removeHandler(handler)
    assert alive_when_logged == [True, False]
    assert granian.interrupt_children == [0]
    assert granian.main_loop_interrupt.is_set()


def test_a_worker_that_a_debugger_has_stopped_is_left_alone(granian: Any) -> None:
    traced = granian.wrks[0].inner.pid
    if ctypes.CDLL(None, use_errno=True).ptrace(PTRACE_SEIZE, traced, 0, 0) != 0:
        pytest.skip("this system lets no process trace its children")
    watch = counting(granian)
    for _ in range(2):
        assert looks_until_found(watch, granian)[1] == 1
