"""Webhook events in the audit log. No webhook receives them."""

from typing import Any

from django.db import models

from accounts.actors import Actor
from repositories.events.recording import record_event, record_in_namespace
from repositories.models import Event
from webhooks.models import Webhook


class WebhookEvent(models.TextChoices):
    CREATED = "webhook.created"
    CHANGED = "webhook.changed"
    DELETED = "webhook.deleted"
    DISABLED = "webhook.disabled"  # by Berth itself


def record_webhook_event(
    *,
    kind: WebhookEvent,
    webhook: Webhook,
    actor: Actor,
    detail: dict[str, Any] | None = None,
) -> Event:
    """Add an event about a webhook to the caller's transaction; never its secrets."""
    said = {
        "webhook": webhook.pk,
        "name": webhook.name,
        "host": webhook.host,
        **(detail or {}),
    }
    if webhook.repository is not None:
        return record_event(
            kind=kind, repository=webhook.repository.facts, actor=actor, detail=said
        )
    return record_in_namespace(
        kind=kind, namespace=webhook.namespace, actor=actor, detail=said
    )
