"""Turn what happened into deliveries, exactly once for every webhook that wants it.

They are made in the transaction that marks the events as relayed
(repositories/events/outbox.py).

Pulls are counted in batches and have no rows in the log. In the transaction that counts
a batch, one delivery is made for each tag in it and each webhook that wants it; a batch
counts once, and so is delivered once. Where no webhook asks, this is one small query.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from database.crash_points import crash_point
from repositories.events.outbox import FAULTS
from repositories.models import Event, Repository
from repositories.pulls.counting import Fetch
from webhooks.delivery.dispatch import dispatch_deliveries, publish_deliveries
from webhooks.message import NAMES_OF_KINDS, EventName
from webhooks.models import Delivery, Webhook
from webhooks.rendering import PULLED, full_name_of

log = logging.getLogger(__name__)

Pulled = tuple[int, str, str]  # repository, tag, digest


def plan_deliveries(events: list[Event], *, is_alone: bool) -> None:
    """Make the deliveries of these events, in the transaction that marks them.

    Of an event that is alone, a webhook that cannot have its delivery is left out.
    """
    now = timezone.now()
    told = [event for event in events if event.kind in NAMES_OF_KINDS]
    hooks = _hooks_for(told)
    made = [
        new_delivery(hook, event, now=now)
        for event in told
        for hook in _hooks_of(event, hooks)
    ]
    made = _saved_each(made) if is_alone else Delivery.objects.bulk_create(made)
    delivery_ids = [delivery.pk for delivery in made]
    transaction.on_commit(partial(_after_commit, delivery_ids), robust=True)


def _saved_each(deliveries: list[Delivery]) -> list[Delivery]:
    saved = []
    for delivery in deliveries:
        try:
            with transaction.atomic():
                delivery.save(force_insert=True)
        except FAULTS:
            log.exception("webhook %d cannot have a delivery", delivery.webhook_id)
        else:
            saved.append(delivery)
    return saved


def _after_commit(delivery_ids: list[int]) -> None:
    if delivery_ids:
        crash_point("C27")
        publish_deliveries(delivery_ids)


def _hooks_for(events: list[Event]) -> list[Webhook]:
    if not events:
        return []
    return list(
        Webhook.objects.reached_by(
            repository_ids={e.repository_id for e in events if e.repository_id},
            namespace_ids={e.namespace_id for e in events if e.namespace_id},
        ).order_by("pk")
    )


def _hooks_of(event: Event, hooks: list[Webhook]) -> list[Webhook]:
    name = NAMES_OF_KINDS[event.kind]
    tag = str(event.detail.get("tag", ""))
    return [
        hook
        for hook in hooks
        if hook.has_place(
            repository_id=event.repository_id, namespace_id=event.namespace_id
        )
        and hook.wants(name, tag)
        and hook.after_event < event.pk
        # That it left its namespace is told there; that it came, everywhere else.
        and (event.repository_name or hook.namespace_id is not None)
    ]


def new_delivery(webhook: Webhook, event: Event, *, now: datetime) -> Delivery:
    """Return the delivery of an event, not saved; its body is rendered later.

    The event need not be a row of the log.
    """
    detail = event.detail
    return Delivery(
        uuid=uuid4(),
        webhook=webhook,
        recorded=event if event.pk else None,
        event=NAMES_OF_KINDS[event.kind],
        kind=event.kind,
        repository_id=event.repository_id,
        repository_name=full_name_of(event),
        tag=str(detail.get("tag", "")),
        digest=str(detail.get("digest", "")),
        content_type=webhook.content_type,
        due_at=now,
        dispatched_at=now,
    )


def plan_pulls(
    *, pulls: Mapping[Fetch, int], fetched_at: datetime, **signal: Any
) -> None:
    """Make the deliveries of a batch of pulls; one that counts for no tag has none.

    A mistake here leaves the batch counted; what the database refuses undoes it, and it
    comes again.
    """
    try:
        with transaction.atomic():
            _plan_pulls(pulls, fetched_at)
    except FAULTS:
        log.exception("not all receivers were notified of pulls")


def _plan_pulls(pulls: Mapping[Fetch, int], fetched_at: datetime) -> None:
    counts: Counter[Pulled] = Counter()
    for fetch, count in pulls.items():
        if fetch.tag:
            counts[fetch.repository_id, fetch.tag, fetch.digest] += count
    ids = {repository_id for repository_id, _, _ in counts}
    hooks = [hook for hook in _hooks_for_pulls(ids) if EventName.PULL in hook.events]
    if not hooks:
        return
    repositories = Repository.objects.with_full_name().in_bulk(ids)
    made = [
        delivery
        for pulled, count in sorted(counts.items())
        if pulled[0] in repositories
        for delivery in _deliveries_of_pulls(
            repositories[pulled[0]], pulled, count, fetched_at, hooks
        )
    ]
    Delivery.objects.bulk_create(made)
    delivery_ids = [delivery.pk for delivery in made]
    transaction.on_commit(partial(dispatch_deliveries, delivery_ids), robust=True)


def _hooks_for_pulls(repository_ids: set[int]) -> list[Webhook]:
    here = Repository.objects.filter(pk__in=repository_ids)
    return list(
        Webhook.objects.filter(
            Q(repository__in=repository_ids)
            | Q(namespace__in=here.values("namespace"))
            | Q(repository=None, namespace=None),
            is_active=True,
        )
    )


def _deliveries_of_pulls(
    repository: Repository,
    pulled: Pulled,
    count: int,
    fetched_at: datetime,
    hooks: list[Webhook],
) -> list[Delivery]:
    _, tag, digest = pulled
    wanted = [
        hook
        for hook in hooks
        if hook.wants(EventName.PULL, tag)
        and hook.has_place(
            repository_id=repository.pk, namespace_id=repository.namespace_id
        )
    ]
    if not wanted:
        return []
    event = Event(
        kind=PULLED,
        repository=repository,
        namespace_id=repository.namespace_id,
        repository_name=repository.full_name,
        detail={"tag": tag, "digest": digest},
        at=fetched_at,
    )
    made = [new_delivery(hook, event, now=timezone.now()) for hook in wanted]
    for delivery in made:
        delivery.pulls = {"count": count, "at": fetched_at.isoformat()}
    return made
