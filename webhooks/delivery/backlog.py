"""Overdue deliveries, counted in the rows themselves.

Whether the worker is gone, busy or cut off from its broker, an event that no relay has
taken and a delivery that is overdue grow old in the database; nothing else has to be
kept for it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min
from django.utils import timezone

from repositories.models import Event
from webhooks.message import NAMES_OF_KINDS
from webhooks.models import Delivery, Webhook

DELAYED_AFTER = timedelta(seconds=30)  # the sweep comes every five
LOOKED_AT = 1000  # events; more are told of as so many


@dataclass(frozen=True, slots=True)
class Backlog:
    """The deliveries overdue for longer than DELAYED_AFTER, and the oldest."""

    count: int
    since: datetime


def waiting_since() -> datetime | None:
    """Return since when the oldest event or delivery of the site could have gone."""
    event_at = (
        Event.objects.filter(is_relayed=False)
        .order_by("pk")
        .values_list("at", flat=True)
        .first()
    )
    due_at = (
        Delivery.objects.filter(status__in=Delivery.OPEN, due_at__lt=timezone.now())
        .order_by("due_at")
        .values_list("due_at", flat=True)
        .first()
    )
    return min((at for at in (event_at, due_at) if at is not None), default=None)


def is_delayed(delivery: Delivery, now: datetime) -> bool:
    """Return whether no one has taken the delivery although it is due for a while."""
    return delivery.is_open and delivery.due_at < now - DELAYED_AFTER


def backlog_of(webhook: Webhook) -> Backlog | None:
    """Return what is delayed of a webhook, relayed or not; None when nothing is."""
    late = timezone.now() - DELAYED_AFTER
    overdue = webhook.deliveries.filter(
        status__in=Delivery.OPEN, due_at__lt=late
    ).aggregate(count=Count("pk"), since=Min("due_at"))
    events_at = _unrelayed(webhook, late)
    times = [at for at in (overdue["since"], *events_at[:1]) if at is not None]
    if not times:
        return None
    return Backlog(count=overdue["count"] + len(events_at), since=min(times))


def _unrelayed(webhook: Webhook, late: datetime) -> list[datetime]:
    """Return the times of the events that the webhook will get, oldest first."""
    if not webhook.is_active:
        return []
    rows = Event.objects.filter(
        is_relayed=False,
        at__lt=late,
        pk__gt=webhook.after_event,
        kind__in=[
            kind for kind, name in NAMES_OF_KINDS.items() if name in webhook.events
        ],
    )
    if webhook.repository_id is not None:
        rows = rows.filter(repository=webhook.repository_id)
    elif webhook.namespace_id is not None:
        rows = rows.filter(namespace=webhook.namespace_id)
    return [
        at
        for kind, detail, at in rows.order_by("pk").values_list("kind", "detail", "at")[
            :LOOKED_AT
        ]
        if webhook.wants(NAMES_OF_KINDS[kind], str(detail.get("tag", "")))
    ]
