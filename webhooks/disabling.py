"""Disable webhooks and delete them, for reasons that lie outside of them.

Every process connects these functions to the events that they wait for (apps.py).
registration.py checks URLs and templates, and few processes need it.
"""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.actors import ANONYMOUS
from accounts.models import Namespace, User
from webhooks.events import WebhookEvent, record_webhook_event
from webhooks.failures import FailureReason
from webhooks.models import Delivery, Webhook

DELETED_AT_ONCE = 500  # rows of one statement


def delete_with_namespace(*, namespace: Namespace, **signal: Any) -> None:
    """Delete the webhooks of a namespace that is being deleted, in its transaction."""
    delete_with_logs(Webhook.objects.filter(namespace=namespace))


def delete_with_logs(webhooks: QuerySet[Webhook]) -> None:
    """Delete rows that the relay and the worker continue writing to in the meantime.

    Once a webhook's row is locked no one makes a delivery for it, and once that one's
    is no one makes an attempt; a worker that wanted to finds no row.
    """
    for row in webhooks.select_for_update(of=("self",)).order_by("pk"):
        deliveries = Delivery.objects.filter(webhook=row).order_by("pk")
        while batch := list(deliveries.select_for_update()[:DELETED_AT_ONCE]):
            Delivery.objects.filter(pk__in=[one.pk for one in batch]).delete()
        row.delete()


def disable_webhook(*, webhook_id: int, reason: str) -> bool:
    """Stop a webhook for a reason of Berth's own, with an event in the audit log.

    What was waiting for it failed, and can be sent again. False if it was off already.
    Runs in the caller's transaction.
    """
    stopped = Webhook.objects.filter(pk=webhook_id, is_active=True).update(
        is_active=False, disabled_reason=reason[:300]
    )
    if not stopped:
        return False
    webhook = Webhook.objects.select_related("namespace", "repository__namespace").get(
        pk=webhook_id
    )
    Delivery.objects.filter(
        webhook=webhook, status=Delivery.Status.WAITING, is_test=False
    ).update(
        status=Delivery.Status.FAILED,
        problem=FailureReason.DISABLED,
        reason=f"the webhook was disabled: {reason}"[:500],
        finished_at=timezone.now(),
    )
    record_webhook_event(
        kind=WebhookEvent.DISABLED,
        webhook=webhook,
        actor=ANONYMOUS,
        detail={"reason": reason},
    )
    return True


def disable_of_member(*, namespace: Namespace, user: User, **signal: Any) -> None:
    """Stop the webhooks in a namespace that lead where a user who leaves decided."""
    there = Q(namespace=namespace) | Q(repository__namespace=namespace)
    reason = f"{user.username}, who set its URL, no longer has access here"
    _disable_all(Webhook.objects.filter(there, owner=user), reason)


def disable_of_user(*, user: User, **signal: Any) -> None:
    """Stop the webhooks of a suspended user, wherever they are."""
    reason = f"{user.username}, who set its URL, is suspended"
    _disable_all(Webhook.objects.filter(owner=user), reason)


def _disable_all(webhooks: QuerySet[Webhook], reason: str) -> None:
    ids = webhooks.filter(is_active=True).order_by("pk").values_list("pk", flat=True)
    for webhook_id in list(ids):
        disable_webhook(
            webhook_id=webhook_id,
            reason=f"{reason}; check its URL before you enable it",
        )
