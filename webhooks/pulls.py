"""Tell of pulls, to those few webhooks that asked for it.

Pulls are counted in batches and have no rows in the log. In the transaction that counts
a batch, one delivery is made for each tag in it and each webhook that wants it; a batch
counts once, and so it is told once. Where no webhook asks, this is one small query.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from repositories.events.outbox import FAULTS
from repositories.models import Event, Repository
from repositories.pulls.counting import Fetch
from webhooks.message import EventName
from webhooks.models import Delivery, Webhook
from webhooks.nudges import nudge_delivery
from webhooks.relay import new_delivery
from webhooks.rendering import PULLED

log = logging.getLogger(__name__)

Pulled = tuple[int, str, str]  # repository, tag, digest


def tell_of_pulls(
    *, pulls: Mapping[Fetch, int], fetched_at: datetime, **signal: Any
) -> None:
    """Make the deliveries of a batch of pulls; one that counts for no tag is not told.

    A mistake here leaves the batch counted; what the database refuses undoes it, and it
    comes again.
    """
    try:
        with transaction.atomic():
            _tell(pulls, fetched_at)
    except FAULTS:
        log.exception("not all was told of pulls")


def _tell(pulls: Mapping[Fetch, int], fetched_at: datetime) -> None:
    counts: Counter[Pulled] = Counter()
    for fetch, count in pulls.items():
        if fetch.tag:
            counts[fetch.repository_id, fetch.tag, fetch.digest] += count
    ids = {repository_id for repository_id, _, _ in counts}
    hooks = [hook for hook in _hooks_of(ids) if EventName.PULL in hook.events]
    if not hooks:
        return
    repositories = Repository.objects.with_full_name().in_bulk(ids)
    made = [
        delivery
        for pulled, count in sorted(counts.items())
        if pulled[0] in repositories
        for delivery in _deliveries(
            repositories[pulled[0]], pulled, count, fetched_at, hooks
        )
    ]
    Delivery.objects.bulk_create(made)
    for delivery in made:
        transaction.on_commit(partial(nudge_delivery, delivery.pk), robust=True)


def _hooks_of(repository_ids: set[int]) -> list[Webhook]:
    here = Repository.objects.filter(pk__in=repository_ids)
    return list(
        Webhook.objects.filter(
            Q(repository__in=repository_ids)
            | Q(namespace__in=here.values("namespace"))
            | Q(repository=None, namespace=None),
            is_active=True,
        )
    )


def _deliveries(
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
