"""Notice when the worker or the scheduler is gone.

Each of their processes writes the time into the database every BEAT_SECONDS, a worker
into one row for each of its queues. So nothing is lost with a broker that is emptied,
and nothing is left behind by a process that is killed: its rows grow old. It costs one
statement every 15 seconds.

That someone is there does not say that work gets done: for that, look at how long the
oldest has waited (webhooks/delivery/backlog.py) and at the queues
(registry_site/queues.py).
"""

import logging
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from celery.signals import beat_init, worker_ready
from django.db import Error, connection
from django.utils import timezone

from registry_site.celery import app
from registry_site.models import Heartbeat

log = logging.getLogger(__name__)

BEAT_SECONDS = 15.0
SILENT_AFTER = timedelta(seconds=60)  # three that failed to come are no hiccup
SCHEDULER = "scheduler"


def record_heartbeat(names: Iterable[str]) -> None:
    """Record that those who take from these queues are there, in one statement."""
    now = timezone.now()
    Heartbeat.objects.bulk_create(
        [Heartbeat(name=name, heard_at=now) for name in names],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["heard_at"],
    )


def last_heartbeats() -> dict[str, datetime | None]:
    """Return when each queue's worker and the scheduler were heard of; None if never.

    One query.
    """
    heard = dict(Heartbeat.objects.values_list("name", "heard_at"))
    return {name: heard.get(name) for name in (*app.amqp.queues, SCHEDULER)}


def is_silent(heard_at: datetime | None, now: datetime) -> bool:
    """Return whether the last heartbeat is too old, or of a clock that was ahead."""
    return heard_at is None or abs(now - heard_at) > SILENT_AFTER


@worker_ready.connect
def _worker_is_ready(*, sender: Any, **signal: Any) -> None:
    _start(sender.app.amqp.queues.consume_from)


@beat_init.connect
def _scheduler_is_ready(**signal: Any) -> None:
    _start([SCHEDULER])


def _start(names: Iterable[str]) -> None:
    threading.Thread(
        target=_beat_for_ever, args=(tuple(names),), name="heartbeat", daemon=True
    ).start()


def _beat_for_ever(names: tuple[str, ...]) -> None:
    while True:
        try:
            record_heartbeat(names)
        except Error as error:  # the database is away; the next beat tries again
            log.warning("no heartbeat was written (%s)", type(error).__name__)
        finally:
            connection.close()
        time.sleep(BEAT_SECONDS)
