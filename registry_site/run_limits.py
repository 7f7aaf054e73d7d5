"""Limit how many runs of a periodic task a worker has at once.

The scheduler sends some tasks every few seconds, and a run can take minutes: a mail
server accepts connections and then hangs, or a row is locked. Without a limit such
runs would take every thread, and no webhook would be delivered. So there are RUNS_MAX
of each; one that hangs does not stop the task. A run beyond them ends as ignored, which
is no success in task_health.py: a task of which every run hangs is shown as late.
"""

import threading
from collections import Counter
from typing import Any

from celery import Task
from celery.exceptions import Ignore

RUNS_MAX = 2


class LimitedTask(Task[Any, Any]):
    """A task that is not run more often at once than the table of times allows."""

    abstract = True
    _lock = threading.Lock()
    _runs: Counter[str] = Counter()  # by name, of this process

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.is_periodic():
            return self.run(*args, **kwargs)
        with self._lock:
            if self._runs[self.name] >= RUNS_MAX:
                raise Ignore
            self._runs[self.name] += 1
        try:
            return self.run(*args, **kwargs)
        finally:
            with self._lock:
                self._runs[self.name] -= 1

    def is_periodic(self) -> bool:
        """Return whether the scheduler sends it (the table in celery.py)."""
        timetable = self.app.conf.beat_schedule.values()
        return any(entry["task"] == self.name for entry in timetable)
