"""Celery's scheduler, for a machine whose clock is set while it runs.

Celery stores when each entry last ran. After a clock that was two days ahead, those
times are two days in the future, and nothing runs until then. So at the start and at
every tick:

    an entry last ran in the future   it counts as run now
    the clock jumped, either way      every entry counts as run now: a jump alone makes
                                      no nightly task due
"""

import logging
import time
from datetime import timedelta
from typing import Any

from celery.beat import PersistentScheduler

log = logging.getLogger(__name__)

JUMP_SECONDS = 60.0  # more than NTP corrects at once, less than anything waits
FUTURE = timedelta(seconds=1)


class ClockAwareScheduler(PersistentScheduler):
    """Forgets due times that a wrong clock has made."""

    _offset: float | None = None  # between the wall clock and the monotonic one

    def setup_schedule(self) -> None:
        super().setup_schedule()
        self.follow_clock()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        self.follow_clock()
        return float(super().tick(*args, **kwargs))

    def follow_clock(self) -> None:
        """Reset the entries that a jump of the clock has made useless."""
        offset = time.time() - time.monotonic()
        jump = 0.0 if self._offset is None else offset - self._offset
        self._offset = offset
        has_jumped = abs(jump) > JUMP_SECONDS
        if has_jumped:
            log.warning(
                "the clock jumped by %.0f seconds; the timetable restarts", jump
            )
        reset = []
        for name, entry in self.schedule.items():
            now = entry.default_now()
            last = entry.last_run_at
            if has_jumped or (last is not None and last > now + FUTURE):
                entry.last_run_at = now
                reset.append(name)
        if reset:
            if not has_jumped:
                log.warning("last ran in the future, counts as now: %s", sorted(reset))
            self._heap = None  # the due times are computed again
            self.sync()
