"""Makes the body of a delivery: once, by the worker, right before the first attempt.

A body is made of what people push and of a template that people write. Where it is
made, no one else waits: outside of every transaction, and in the time of the webhook's
own queue (webhooks/delivery/scheduler.py). What cannot be rendered is the failure of
that delivery.
"""

import logging
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from repositories.events.outbox import MISTAKES
from repositories.models import Event, Manifest
from repositories.models.manifests import ENTRIES_SHOWN
from webhooks.callbacks import callback_url
from webhooks.formats.custom import TemplateInvalid
from webhooks.formats.writing import PayloadTooLarge
from webhooks.message import (
    NAMES_OF_KINDS,
    PLATFORMS_MAX_BYTES,
    REFERENCES_MAX,
    EventName,
    Message,
)
from webhooks.models import Delivery, Webhook

log = logging.getLogger(__name__)

PULLED = "tag.pulled"


class PayloadInvalid(Exception):
    """A payload that cannot be rendered; the message says why, for the log."""


def render_payload(webhook: Webhook, message: Message, uuid: UUID) -> str:
    """Return the body for a message under the id of its delivery.

    Raises PayloadInvalid.
    """
    named = replace(message, id=str(uuid), callback_url=callback_url(uuid))
    try:
        return webhook.render(named)
    except (PayloadTooLarge, TemplateInvalid) as error:
        raise PayloadInvalid(str(error)) from error
    except (*MISTAKES, MemoryError) as error:
        log.exception("webhook %s cannot render a payload", webhook.pk)
        raise PayloadInvalid(
            f"the format {webhook.format} has no payload for this event"
        ) from error


def render_delivery(delivery: Delivery) -> str:
    """Return the body of a delivery that has none yet. Raises PayloadInvalid."""
    if delivery.recorded is not None:
        event = delivery.recorded
    elif delivery.pulls:
        event = _event_of_pulls(delivery, delivery.pulls)
    else:
        raise PayloadInvalid("the event is not in the activity log any more")
    webhook = delivery.webhook
    message = message_of(event, has_references=webhook.has_references)
    if delivery.pulls:
        message = replace(message, pull_count=delivery.pulls["count"])
    return render_payload(webhook, message, delivery.uuid)


def shown_body(delivery: Delivery) -> str:
    """Return what was sent, or what would be sent now; "" if nothing can be."""
    if delivery.body:
        return delivery.body
    try:
        return render_delivery(delivery)
    except PayloadInvalid:
        return ""


def _event_of_pulls(delivery: Delivery, pulls: dict[str, Any]) -> Event:
    repository = delivery.repository
    return Event(
        kind=PULLED,
        repository=repository,
        namespace_id=repository.namespace_id if repository else None,
        repository_name=delivery.repository_name,
        detail={"tag": delivery.tag, "digest": delivery.digest},
        at=datetime.fromisoformat(pulls["at"]),
    )


def full_name_of(event: Event) -> str:
    """Return the repository's name at the time of an event.

    A namespace that a repository has left gets the event under its old name.
    """
    return event.repository_name or str(event.detail.get("from", ""))


def message_of(event: Event, *, has_references: bool) -> Message:
    """Return the message of a row of the log; the delivery adds its own id.

    The row need not be saved: events of pulls have none.
    """
    namespace, _, name = full_name_of(event).partition("/")
    tag, digest = (str(event.detail.get(key, "")) for key in ("tag", "digest"))
    message = Message(
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
        return message  # what became of it elsewhere is not told here
    message = replace(
        message,
        visibility=repository.visibility,
        description=repository.description,
        is_official=repository.namespace.is_official,
        star_count=repository.star_count,
        repository_created_at=repository.created_at.isoformat(timespec="seconds"),
    )
    if not digest:
        return message
    manifest = (
        Manifest.objects.select_related("config")
        .defer("payload", "referrer_annotations", "config__document")
        .filter(repository=repository, digest=digest)
        .first()
    )
    return (
        message
        if manifest is None
        else _with_manifest(message, manifest, REFERENCES_MAX if has_references else 0)
    )


def _with_manifest(
    message: Message, manifest: Manifest, references_max: int
) -> Message:
    first = manifest.references.order_by("position")
    references = list(first[: max(references_max, ENTRIES_SHOWN)])
    platforms, more_platform_count = manifest.list_platforms(
        references[:ENTRIES_SHOWN], PLATFORMS_MAX_BYTES
    )
    return replace(
        message,
        media_type=manifest.media_type,
        size_bytes=manifest.size_bytes,
        platforms=platforms,
        more_platform_count=more_platform_count,
        references=[
            {
                "mediaType": reference.media_type,
                "size": reference.size_bytes,
                "digest": reference.digest,
            }
            for reference in references[:references_max]
        ],
    )


def sample_message(webhook: Webhook) -> Message:
    """Return the last message that the webhook would have got, marked as a test.

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
            message = message_of(event, has_references=webhook.has_references)
            return replace(message, is_test=True)
    return _made_up_message(webhook)


def _made_up_message(webhook: Webhook) -> Message:
    namespace, name = "acme", "api"
    if webhook.repository is not None:
        namespace, name = webhook.repository.namespace.name, webhook.repository.name
    elif webhook.namespace is not None:
        namespace = webhook.namespace.name
    name_of_event = EventName(webhook.events[0])
    kind = next(kind for kind, name in NAMES_OF_KINDS.items() if name == name_of_event)
    is_about_tag = name_of_event != EventName.REPOSITORY
    return Message(
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
