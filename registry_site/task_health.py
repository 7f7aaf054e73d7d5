"""Records when each task of the timetable last succeeded and last failed.

A heartbeat (heartbeats.py) shows that a process is there; this shows that the work gets
done. A task is late when its next run, counted from its last success, was due more than
a while ago. What never ran counts from the installation.
"""

import logging
import threading
import time
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery.schedules import maybe_schedule
from celery.signals import task_failure, task_success
from django.db import Error
from django.utils import timezone

from distribution.models import Installation
from registry_site.celery import app
from registry_site.models import TaskRun

log = logging.getLogger(__name__)

WRITTEN_EVERY_SECONDS = 15.0  # a task that runs every 5 seconds writes less often
LATE_AFTER = timedelta(minutes=10)  # beyond the due time; a nightly task takes a while
CLOCK_SLACK = timedelta(minutes=1)
PROBLEM_MAX_LENGTH = 200

_lock = threading.Lock()
_written_at: dict[tuple[str, bool], float] = {}


@dataclass(frozen=True, slots=True)
class TaskHealth:
    """One task of the timetable."""

    title: str
    task: str
    succeeded_at: datetime | None
    failed_at: datetime | None
    problem: str
    is_late: bool

    @property
    def is_failing(self) -> bool:
        """Return whether its last run failed."""
        if self.failed_at is None:
            return False
        return self.succeeded_at is None or self.failed_at > self.succeeded_at


def list_tasks(now: datetime | None = None) -> list[TaskHealth]:
    """Return each task of the timetable with its last runs. Two queries."""
    now = now or timezone.now()
    runs = {run.task: run for run in TaskRun.objects.all()}
    since = Installation.objects.values_list("created_at", flat=True).first()
    found = []
    timetable: dict[str, dict[str, Any]] = app.conf.beat_schedule
    for title, entry in timetable.items():
        run = runs.get(entry["task"])
        succeeded_at = _past(run.succeeded_at if run else None, now)
        counted_from = succeeded_at or _past(since, now) or now
        schedule: Any = copy(maybe_schedule(entry["schedule"], app=app))
        schedule.nowfun = lambda: now
        due_in = schedule.remaining_estimate(counted_from)
        found.append(
            TaskHealth(
                title=title,
                task=entry["task"],
                succeeded_at=succeeded_at,
                failed_at=_past(run.failed_at if run else None, now),
                problem=run.problem if run else "",
                is_late=due_in < -LATE_AFTER,
            )
        )
    return found


def _past(at: datetime | None, now: datetime) -> datetime | None:
    """Return a time, but None for one that a clock ahead of ours has written."""
    return None if at is None or at > now + CLOCK_SLACK else at


def record_run(task: str, *, problem: str | None = None) -> None:
    """Record a success, or with ``problem`` a failure; not each of frequent ones."""
    key = task, problem is None
    with _lock:
        now = time.monotonic()
        if now - _written_at.get(key, -WRITTEN_EVERY_SECONDS) < WRITTEN_EVERY_SECONDS:
            return
        _written_at[key] = now
    at = timezone.now()
    if problem is None:
        values: dict[str, Any] = {"succeeded_at": at, "problem": ""}
    else:
        values = {"failed_at": at, "problem": problem[:PROBLEM_MAX_LENGTH]}
    try:
        TaskRun.objects.update_or_create(task=task, defaults=values)
    except Error as error:  # the database is away or full; the next run tries again
        log.warning("the run of %s is not recorded: %s", task, type(error).__name__)


@task_success.connect
def _task_succeeded(*, sender: Any, **signal: Any) -> None:
    if sender.is_periodic():
        record_run(sender.name)


@task_failure.connect
def _task_failed(*, sender: Any, exception: BaseException, **signal: Any) -> None:
    if sender.is_periodic():
        record_run(sender.name, problem=f"{type(exception).__name__}: {exception}")
