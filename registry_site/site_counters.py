"""Counts what happens outside of requests: attempts of webhooks, and garbage.

Workers have no /metrics and can run on any machine. So the totals are rows of the
database, and every node reports the same. A worker adds up in memory and writes every
WRITE_SECONDS, and when it ends: one statement, and none when there was nothing to
count. One that is killed loses the counts of its last WRITE_SECONDS.
"""

import atexit
import logging
import threading
import time
from collections import Counter
from typing import Any

from celery.signals import worker_ready
from django.db import Error, connection

from database.sql import change_rows
from distribution.signals import garbage_collected
from registry_site.models import SiteCounter
from webhooks.failures import FailureReason
from webhooks.signals import attempt_ended

log = logging.getLogger(__name__)

WRITE_SECONDS = 5.0
DELIVERED = "delivered"
OUTCOMES = (DELIVERED, *FailureReason.values)
GARBAGE_OBJECTS, GARBAGE_BYTES = "garbage objects", "garbage bytes"

_ADD = """
INSERT INTO registry_site_sitecounter AS counter (name, total) VALUES {rows}
ON CONFLICT (name) DO UPDATE SET total = counter.total + excluded.total
"""

_lock = threading.Lock()
_counted: Counter[str] = Counter()  # and not written yet


def name_of_outcome(outcome: str) -> str:
    """Return the counter of the attempts with this outcome."""
    return f"attempts {outcome}"


def read_site_counters() -> dict[str, int]:
    """Return the total of each counter that has a row. One query."""
    return dict(SiteCounter.objects.values_list("name", "total"))


def write_counts() -> None:
    """Add what was counted to the rows; keep it for later if that fails."""
    with _lock:
        counts = dict(sorted(_counted.items()))
        _counted.clear()
    if not counts:
        return
    rows = ", ".join(["(%s, %s)"] * len(counts))
    parameters = [value for pair in counts.items() for value in pair]
    try:
        change_rows(_ADD.format(rows=rows), parameters)
    except Error as error:  # the database is away or full
        log.warning("counters are not written: %s", type(error).__name__)
        with _lock:
            _counted.update(counts)


@worker_ready.connect
def _start(**signal: Any) -> None:
    threading.Thread(target=_write_for_ever, name="site-counters", daemon=True).start()
    atexit.register(write_counts)  # the threads that deliver have ended by then


def _write_for_ever() -> None:
    while True:
        time.sleep(WRITE_SECONDS)
        try:
            write_counts()
        finally:
            connection.close()


def _count_attempt(*, outcome: str, **signal: Any) -> None:
    with _lock:
        _counted[name_of_outcome(outcome)] += 1


def _count_garbage(*, collected: Any, **signal: Any) -> None:
    with _lock:
        _counted[GARBAGE_OBJECTS] += collected.objects
        _counted[GARBAGE_BYTES] += collected.freed_bytes
    write_counts()  # a command ends soon


attempt_ended.connect(_count_attempt, dispatch_uid="site-counters")
garbage_collected.connect(_count_garbage, dispatch_uid="site-counters")
