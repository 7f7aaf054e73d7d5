"""Makes the body of a delivery: once, by the worker, right before the first attempt.

A body is made of what people push and of a template that people write. Where it is
made, nobody else waits: outside of every transaction, and in the time of the webhook's
own queue (webhooks/lanes.py). What cannot be rendered is the failure of that delivery.
"""

import logging
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from repositories.events.outbox import MISTAKES
from repositories.models import Event
from webhooks.callbacks import callback_url
from webhooks.formats.custom import TemplateInvalid
from webhooks.formats.writing import PayloadTooLarge
from webhooks.message import Notice
from webhooks.models import Delivery, Webhook
from webhooks.relay import notice_of

log = logging.getLogger(__name__)

PULLED = "tag.pulled"


class PayloadInvalid(Exception):
    """A payload that cannot be rendered; the message says why, for the log."""


def render_payload(webhook: Webhook, notice: Notice, uuid: UUID) -> str:
    """Return the body for a message under the id of its delivery.

    Raises PayloadInvalid.
    """
    named = replace(notice, id=str(uuid), callback_url=callback_url(uuid))
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
        notice = notice_of(delivery.recorded)
    elif delivery.pulls:
        notice = _notice_of_pulls(delivery, delivery.pulls)
    else:
        raise PayloadInvalid("the event is not in the activity log any more")
    return render_payload(delivery.webhook, notice, delivery.uuid)


def shown_body(delivery: Delivery) -> str:
    """Return what was sent, or what would be sent now; "" if nothing can be."""
    if delivery.body:
        return delivery.body
    try:
        return render_delivery(delivery)
    except PayloadInvalid:
        return ""


def _notice_of_pulls(delivery: Delivery, pulls: dict[str, Any]) -> Notice:
    repository = delivery.repository
    event = Event(
        kind=PULLED,
        repository=repository,
        namespace_id=repository.namespace_id if repository else None,
        repository_name=delivery.repository_name,
        detail={"tag": delivery.tag, "digest": delivery.digest},
        at=datetime.fromisoformat(pulls["at"]),
    )
    return replace(notice_of(event), pull_count=pulls["count"])
