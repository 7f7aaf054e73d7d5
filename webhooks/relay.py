"""Turn what happened into deliveries, exactly once for every webhook that wants it.

They are made in the transaction that marks the events as relayed
(repositories/events/outbox.py).
"""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from database.crash_points import reach
from repositories.events.outbox import FAULTS
from repositories.models import Event, Manifest
from repositories.models.manifests import ENTRIES_SHOWN
from webhooks.message import (
    NAMES_OF_KINDS,
    PLATFORMS_MAX_BYTES,
    REFERENCES_MAX,
    EventName,
    Notice,
)
from webhooks.models import Delivery, Webhook
from webhooks.publishing import publish_deliveries

log = logging.getLogger(__name__)


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
        reach("C27")
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
        nudged_at=now,
    )


def full_name_of(event: Event) -> str:
    """Return the repository's name at the time of an event.

    A namespace that a repository has left is told of it under its old name.
    """
    return event.repository_name or str(event.detail.get("from", ""))


def notice_of(event: Event) -> Notice:
    """Return what is to be told of a row of the log; the delivery adds its own id.

    The row need not be saved: pulls are told of without one.
    """
    namespace, _, name = full_name_of(event).partition("/")
    tag, digest = (str(event.detail.get(key, "")) for key in ("tag", "digest"))
    notice = Notice(
        id="",
        sequence=event.pk or 0,
        event=NAMES_OF_KINDS[event.kind],
        kind=event.kind,
        at=event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        actor=event.actor_name,
        registry_url=settings.BERTH_URL,
        namespace=namespace,
        name=name,
        tag=tag,
        digest=digest,
        previous_digest=str(event.detail.get("previous_digest", "")),
        media_type=str(event.detail.get("media_type", "")),
        detail={} if tag else event.detail,
    )
    repository = event.repository
    if repository is None or repository.namespace_id != event.namespace_id:
        return notice  # what became of it elsewhere is not told here
    notice = replace(
        notice,
        visibility=repository.visibility,
        description=repository.description,
        is_official=repository.namespace.is_official,
        star_count=repository.star_count,
        repository_created_at=repository.created_at.isoformat(timespec="seconds"),
    )
    if not digest:
        return notice
    manifest = (
        Manifest.objects.select_related("config")
        .defer("payload", "referrer_annotations", "config__document")
        .filter(repository=repository, digest=digest)
        .first()
    )
    return notice if manifest is None else _with_manifest(notice, manifest)


def _with_manifest(notice: Notice, manifest: Manifest) -> Notice:
    references = list(manifest.references.order_by("position")[:REFERENCES_MAX])
    named = manifest.platforms_of(references[:ENTRIES_SHOWN])
    platforms = list(_within(PLATFORMS_MAX_BYTES, named))
    return replace(
        notice,
        media_type=manifest.media_type,
        size_bytes=manifest.size_bytes,
        platforms=platforms,
        more_platform_count=manifest.more_platform_count + len(named) - len(platforms),
        references=[
            {
                "mediaType": reference.media_type,
                "size": reference.size_bytes,
                "digest": reference.digest,
            }
            for reference in references
        ],
    )


def _within(bytes_max: int, texts: Iterable[str]) -> Iterator[str]:
    """Yield texts as long as they fit in so many bytes of JSON."""
    for text in texts:
        bytes_max -= len(json.dumps(text))
        if bytes_max < 0:
            return
        yield text


def sample_notice(webhook: Webhook) -> Notice:
    """Return the last notice that the webhook would have been told, marked as a test.

    Where nothing has happened yet, one that is made up.
    """
    kinds = [
        kind for kind, name in NAMES_OF_KINDS.items() if name in set(webhook.events)
    ]
    rows = Event.objects.select_related("repository__namespace").filter(kind__in=kinds)
    if webhook.repository_id is not None:
        rows = rows.filter(repository=webhook.repository_id)
    elif webhook.namespace_id is not None:
        rows = rows.filter(namespace=webhook.namespace_id)
    for event in rows.order_by("-pk")[:20]:
        if webhook.wants(NAMES_OF_KINDS[event.kind], str(event.detail.get("tag", ""))):
            return replace(notice_of(event), is_test=True)
    return _made_up_notice(webhook)


def _made_up_notice(webhook: Webhook) -> Notice:
    namespace, name = "acme", "api"
    if webhook.repository is not None:
        namespace, name = webhook.repository.namespace.name, webhook.repository.name
    elif webhook.namespace is not None:
        namespace = webhook.namespace.name
    name_of_event = EventName(webhook.events[0])
    kind = next(kind for kind, name in NAMES_OF_KINDS.items() if name == name_of_event)
    is_about_tag = name_of_event != EventName.REPOSITORY
    return Notice(
        id="",
        event=name_of_event,
        kind=kind,
        at=timezone.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        actor=webhook.created_by,
        registry_url=settings.BERTH_URL,
        namespace=namespace,
        name=name,
        tag="latest" if is_about_tag else "",
        digest="sha256:" + "0" * 64 if is_about_tag else "",
        media_type="application/vnd.oci.image.manifest.v1+json" if is_about_tag else "",
        is_test=True,
    )
