"""Finds deliveries that are due without a message, and forgets old ones."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from database.locking import retry_deadlocks
from webhooks.delivery import attempts
from webhooks.delivery.dispatch import publish_deliveries
from webhooks.delivery.retry import RETRY_SCHEDULE_SECONDS
from webhooks.delivery.scheduler import REMEMBERED_MAX
from webhooks.models import Delivery
from webhooks.reports import expire_reports

DISPATCH_AGAIN = timedelta(seconds=15)  # a message that no one heeded is sent once more
WAIT_MAX = timedelta(seconds=max(RETRY_SCHEDULE_SECONDS))
CLOCK_SLACK = timedelta(minutes=1)  # between the clocks of two machines
SWEEP_MAX = 500
WAITING_MAX = 5000  # webhooks that a statement can name
EXPIRE_CHUNK = 500


@retry_deadlocks
def sweep_deliveries() -> int:
    """Have everything sent that is due and that no message is on its way for.

    What this process remembers and has no room for yet is left to it: a receiver that
    is slow, or many deliveries to one, are not asked for again and again. Webhooks of
    which it remembers nothing come first, however much is older, and accounts take
    turns.
    """
    now = timezone.now()
    _follow_clock(now)
    due = Delivery.objects.filter(status__in=Delivery.OPEN, due_at__lte=now).exclude(
        dispatched_at__gt=now - DISPATCH_AGAIN
    )
    oldest = due.order_by("due_at").values_list("pk", flat=True)
    waiting = sorted(attempts.scheduler.waiting_webhooks())[:WAITING_MAX]
    ids = _in_turns(due.exclude(webhook__in=waiting))
    if waiting and len(ids) < SWEEP_MAX:
        looked_at = oldest.filter(webhook__in=waiting)[: REMEMBERED_MAX + SWEEP_MAX]
        unheld = [pk for pk in looked_at if not attempts.scheduler.holds(pk)]
        ids += unheld[: SWEEP_MAX - len(ids)]
    if ids:
        Delivery.objects.filter(pk__in=ids).update(dispatched_at=now)
        connection.close()
        publish_deliveries(ids)
    return len(ids)


def _in_turns(due: QuerySet[Delivery]) -> list[int]:
    """Return the oldest of each account first, then the second of each, and so on.

    The account is here who set the webhook (attempts.py), and those without share one.
    """
    number = Window(RowNumber(), partition_by="webhook__owner", order_by="due_at")
    turns = due.annotate(number=number).order_by("number", "due_at")
    return list(turns.values_list("pk", flat=True)[:SWEEP_MAX])


def _follow_clock(now: datetime) -> None:
    """Make due what a clock that was ahead has put off beyond every retry."""
    put_off = Delivery.objects.filter(
        Q(due_at__gt=now + WAIT_MAX) | Q(dispatched_at__gt=now + CLOCK_SLACK),
        status__in=Delivery.OPEN,
    )
    if put_off.exists():
        put_off.filter(due_at__gt=now + WAIT_MAX).update(due_at=now)
        put_off.update(dispatched_at=None)


@retry_deadlocks
def expire_deliveries() -> int:
    """Delete what is older than BERTH_WEBHOOK_RETENTION_DAYS and not open any more.

    Reports go with it, except for those on what a tag still points to.
    """
    days = timedelta(days=settings.BERTH_WEBHOOK_RETENTION_DAYS)
    before = timezone.now() - days
    old = Delivery.objects.filter(created_at__lt=before).exclude(
        status__in=Delivery.OPEN
    )
    expire_reports(before)
    count = 0
    while ids := list(old.order_by("created_at").values_list("pk")[:EXPIRE_CHUNK]):
        count += Delivery.objects.filter(pk__in=[pk for (pk,) in ids]).delete()[0]
    return count
