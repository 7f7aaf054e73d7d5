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

import json
import logging
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import uuid4

from django.conf import settings
from django.db import DataError, IntegrityError, OperationalError, transaction
from django.utils import timezone

from database.crash_points import reach
from repositories.events.recording import events_relayed
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

# What code raises that does not expect what it is given, here or in a listener.
MISTAKES = (
    *(ArithmeticError, AssertionError, AttributeError),
    *(LookupError, RecursionError, TypeError, ValueError),
)
# The same, and what the database refuses for good: trying again does not help.
FAULTS = (*MISTAKES, MemoryError, DataError, IntegrityError)
BATCH = 50  # events in one transaction; on SQLite pushes wait for it
REFUSALS_MAX = 3  # of one batch in a row, before its events are relayed one by one
ASIDE_SECONDS = (60.0, 3600.0)  # for an event that cannot be relayed, at first and most
ASIDE_MAX = 1000  # events; of more, the oldest come first again


class _Aside:
    """Events of which relaying failed: for a while, others come first.

    Kept in this process only. After a restart each of them is tried once more.
    """

    def __init__(self) -> None:
        self._until: dict[int, tuple[float, float]] = {}  # when, and how long it was
        self._first = 0  # of the batch that was refused last
        self._refusals = 0

    def ids(self) -> list[int]:
        now = time.monotonic()
        return [pk for pk, (until, _) in self._until.items() if now < until]

    def add(self, event_id: int) -> None:
        first, most = ASIDE_SECONDS
        _, waited = self._until.pop(event_id, (0.0, 0.0))
        wait = min(waited * 2, most) or first
        self._until[event_id] = (time.monotonic() + wait, wait)
        while len(self._until) > ASIDE_MAX:
            del self._until[next(iter(self._until))]

    def forget(self, event_ids: Iterable[int]) -> None:
        self._refusals = 0
        for event_id in event_ids:
            self._until.pop(event_id, None)

    def is_refused_often(self, first: int) -> bool:
        """Count a refusal of the batch that begins with this event."""
        self._refusals = self._refusals + 1 if first == self._first else 1
        self._first = first
        return self._refusals >= REFUSALS_MAX


_aside = _Aside()


def relay_events(*, event_ids: Collection[int] | None = None) -> int:
    """Relay a batch of what is not relayed yet, the oldest first; return how many.

    Rows that another relay has in hand are left to it. An event that cannot be relayed
    holds up no other: its batch is relayed one by one, and it is set aside. What a
    database that is away or busy refuses is raised and comes again as it was.
    """
    rows = Event.objects.filter(is_relayed=False)
    if event_ids is not None:
        rows = rows.filter(pk__in=event_ids)
    else:
        rows = rows.exclude(pk__in=_aside.ids())
    ids = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
    if not ids:
        return 0
    try:
        count = _relay(ids)
    except FAULTS:
        log.exception("a batch of events cannot be relayed; trying one by one")
        return _relay_each(ids)
    except OperationalError:
        if not _aside.is_refused_often(ids[0]):
            raise
        return _relay_each(ids)
    _aside.forget(ids)
    return count


def _relay_each(ids: list[int]) -> int:
    """Relay these events one by one; return how many are done or set aside."""
    count = 0
    for event_id in ids:
        try:
            count += _relay([event_id], is_alone=True)
        except (*FAULTS, OperationalError):
            log.exception("event %d cannot be relayed now", event_id)
            _aside.add(event_id)
            count += 1
        else:
            _aside.forget([event_id])
    return count


def _relay(ids: list[int], *, is_alone: bool = False) -> int:
    """Make the deliveries of these events and mark them, in one transaction.

    Of an event that is alone as much is written as can be: a webhook that fails, or a
    listener, is left out.
    """
    now = timezone.now()
    with transaction.atomic():
        events = list(
            Event.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("repository__namespace", "namespace")
            .filter(is_relayed=False, pk__in=ids)
            .order_by("pk")
        )
        told = [event for event in events if event.kind in NAMES_OF_KINDS]
        hooks = _hooks_for(told)
        made = [
            new_delivery(hook, event, now=now)
            for event in told
            for hook in _hooks_of(event, hooks)
        ]
        made = _saved_each(made) if is_alone else Delivery.objects.bulk_create(made)
        _tell_listeners(events, is_alone=is_alone)
        reach("C26")
        Event.objects.filter(pk__in=[event.pk for event in events]).update(
            is_relayed=True
        )
        delivery_ids = [delivery.pk for delivery in made]
        transaction.on_commit(partial(_after_commit, delivery_ids), robust=True)
    return len(events)


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


def _tell_listeners(events: list[Event], *, is_alone: bool) -> None:
    """Let others write what follows from these events."""
    if not events:
        return
    try:
        with transaction.atomic():
            events_relayed.send(sender=Event, events=events)
    except FAULTS:
        if not is_alone:
            raise
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
