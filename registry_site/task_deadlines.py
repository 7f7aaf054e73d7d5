"""End tasks that take too long, in a worker of threads.

Celery limits the time of tasks in pools of processes only: it can kill a process, and
no one can kill a thread. But Python can raise an exception in one, at its next line:
SoftTimeLimitExceeded, which is what Celery raises in a process of its own. The task
fails, its transaction is rolled back, and what it did not do the next run of the beat
table does. One that hangs in the operating system sees it when that answers.

The limit is the task's ``soft_time_limit``, else CELERY_TASK_SOFT_TIME_LIMIT. In a pool
of processes nothing runs in the process that watches, and Celery's own limits hold.
Why not a pool of processes: docs/decisions/0014-time-limits-in-threads.md.
"""

import ctypes
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import task_postrun, task_prerun, worker_ready

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0

_raise_in_thread = ctypes.pythonapi.PyThreadState_SetAsyncExc


@dataclass(slots=True)
class _Running:
    name: str
    thread_id: int
    ends_at: float
    is_ended: bool = False


class TaskLimits:
    """The tasks that run in this process, and until when they may."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}

    def begin(self, *, task_id: str, name: str, limit_seconds: float | None) -> None:
        """Note that this thread has begun a task."""
        if limit_seconds is None:
            return
        running = _Running(
            name, threading.get_ident(), time.monotonic() + limit_seconds
        )
        with self._lock:
            self._running[task_id] = running

    def end(self, *, task_id: str) -> None:
        """Note that this thread has ended a task; the next one is not to pay for it."""
        with self._lock:
            running = self._running.pop(task_id, None)
            if running is not None and running.is_ended:
                _raise_in_thread(ctypes.c_ulong(running.thread_id), None)

    def enforce(self) -> list[str]:
        """Raise SoftTimeLimitExceeded in those that are over their time; name them."""
        now = time.monotonic()
        with self._lock:
            over = [
                running
                for running in self._running.values()
                if running.ends_at < now and not running.is_ended
            ]
            for running in over:
                running.is_ended = True
                _raise_in_thread(
                    ctypes.c_ulong(running.thread_id),
                    ctypes.py_object(SoftTimeLimitExceeded),
                )
        return [running.name for running in over]


_limits = TaskLimits()


@task_prerun.connect
def _task_begins(*, task_id: str, task: Any, **signal: Any) -> None:
    limit = task.soft_time_limit or task.app.conf.task_soft_time_limit
    _limits.begin(task_id=task_id, name=task.name, limit_seconds=limit)


@task_postrun.connect
def _task_ends(*, task_id: str, **signal: Any) -> None:
    _limits.end(task_id=task_id)


@worker_ready.connect
def _watch(**signal: Any) -> None:
    threading.Thread(target=_enforce_for_ever, name="limits", daemon=True).start()


def _enforce_for_ever() -> None:
    while True:
        time.sleep(LOOK_SECONDS)
        for name in _limits.enforce():
            log.error("%s took too long and was ended", name)
