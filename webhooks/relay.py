"""Turn what happened into deliveries, exactly once for every webhook that wants it.

Each row of the log says of itself whether it has been relayed. The deliveries are made
and the row is marked in one transaction that holds its lock: either all of it is there
or nothing, and of two relays one finds it done. There is no "last id seen": ids are
given before commit, so on PostgreSQL a row may appear after one with a higher number,
and a reader that went by numbers would pass it over. A partial index keeps the search
for unmarked rows small, however long the log.

A message tells the worker of a new row at once (webhooks/nudges.py); the sweep finds
all that no message came for.
"""

import logging
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from repositories.crash_points import reach
from repositories.events import events_relayed
from repositories.models import Event, Manifest
from repositories.oci.documents import ReferenceKind
from webhooks.callbacks import callback_url
from webhooks.models import Delivery, Webhook
from webhooks.notices import NAMES_OF_KINDS, EventName, Notice
from webhooks.publishing import publish_deliveries

log = logging.getLogger(__name__)

# What code raises that does not expect what it is given, here or in a listener.
MISTAKES = (
    *(ArithmeticError, AssertionError, AttributeError),
    *(LookupError, RecursionError, TypeError, ValueError),
)
BATCH = 50  # events in one transaction; on SQLite pushes wait for it


def relay_events(*, event_ids: Collection[int] | None = None) -> int:
    """Relay a batch of what is not relayed yet, the oldest first; return how many.

    Rows that another relay has in hand are left to it.
    """
    now = timezone.now()
    with transaction.atomic():
        rows = (
            Event.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("repository__namespace", "namespace")
            .filter(is_relayed=False)
        )
        if event_ids is not None:
            rows = rows.filter(pk__in=event_ids)
        events = list(rows.order_by("pk")[:BATCH])
        if not events:
            return 0
        told = [event for event in events if event.kind in NAMES_OF_KINDS]
        hooks = _hooks_for(told)
        made = [delivery for event in told for delivery in _deliveries_of(event, hooks)]
        for delivery in made:
            delivery.due_at = delivery.nudged_at = now
        Delivery.objects.bulk_create(made)
        _tell_listeners(events)
        reach("C26")
        Event.objects.filter(pk__in=[event.pk for event in events]).update(
            is_relayed=True
        )
        ids = [delivery.pk for delivery in made]
        transaction.on_commit(partial(_after_commit, ids), robust=True)
    return len(events)


def _tell_listeners(events: list[Event]) -> None:
    """Let others write what follows from these events, or nothing if one fails.

    Webhooks would wait for its mistake without end; what the database refuses is tried
    again with the whole batch.
    """
    try:
        with transaction.atomic():
            events_relayed.send(sender=Event, events=events)
    except MISTAKES:
        log.exception("not all was told of events %s", [event.pk for event in events])


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


def _deliveries_of(event: Event, hooks: list[Webhook]) -> list[Delivery]:
    name = NAMES_OF_KINDS[event.kind]
    tag = str(event.detail.get("tag", ""))
    wanted = [
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
    if not wanted:
        return []
    notice = notice_of(event)
    made = []
    for hook in wanted:
        try:
            made.append(make_delivery(hook, notice, recorded=event))
        except MISTAKES:
            # Its own trouble: the others, and what comes after, are told all the same.
            log.exception("webhook %d cannot be told of event %d", hook.pk, event.pk)
    return made


def make_delivery(
    webhook: Webhook, notice: Notice, *, recorded: Event | None
) -> Delivery:
    """Return the delivery of a notice, not saved, with the body that will be sent."""
    now = timezone.now()
    uuid = uuid4()
    told = replace(notice, id=str(uuid), callback_url=callback_url(uuid))
    repository_id = webhook.repository_id
    if recorded is not None:
        repository_id = recorded.repository_id
    return Delivery(
        uuid=uuid,
        webhook=webhook,
        recorded=recorded,
        event=notice.event,
        kind=notice.kind,
        repository_id=repository_id,
        repository_name=notice.full_name,
        tag=notice.tag,
        digest=notice.digest,
        content_type=webhook.content_type,
        body=webhook.render(told),
        is_test=notice.is_test,
        due_at=now,
        nudged_at=now,
    )


def notice_of(event: Event) -> Notice:
    """Return what is to be told of a row of the log; the delivery adds its own id.

    The row need not be saved: pulls are told of without one.
    """
    # A namespace that a repository has left tells of it under its old name.
    full_name = event.repository_name or str(event.detail.get("from", ""))
    namespace, _, name = full_name.partition("/")
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
        Manifest.objects.prefetch_related("references")
        .filter(repository=repository, digest=digest)
        .defer("payload")
        .first()
    )
    return notice if manifest is None else _with_manifest(notice, manifest)


def _with_manifest(notice: Notice, manifest: Manifest) -> Notice:
    references = sorted(manifest.references.all(), key=lambda one: one.position)
    platforms = {
        reference.platform
        for reference in references
        if reference.kind == ReferenceKind.CHILD
        and reference.platform
        and "unknown" not in reference.platform  # what BuildKit adds is no image
    }
    return replace(
        notice,
        media_type=manifest.media_type,
        size_bytes=manifest.size_bytes,
        platforms=sorted(platforms),
        references=[
            {
                "mediaType": reference.media_type,
                "size": reference.size_bytes,
                "digest": reference.digest,
            }
            for reference in references
        ],
    )


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
