"""Sends what people ask for: a test, one delivery again, or all that failed."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from database.locking import retry_deadlocks
from webhooks.delivery.dispatch import dispatch_deliveries
from webhooks.delivery.sweep import EXPIRE_CHUNK, SWEEP_MAX
from webhooks.failures import FailureReason
from webhooks.models import Delivery, Webhook
from webhooks.rendering import PayloadInvalid, render_payload, sample_message


class WebhookIsOff(Exception):
    """Nothing is sent again to a disabled webhook."""

    def __init__(self) -> None:
        super().__init__("the webhook is disabled; enable it first")


def send_test(*, webhook: Webhook) -> Delivery:
    """Send the webhook's last message again, once, marked as a test.

    Returns the delivery at once; what is wrong is in it a moment later, in words.
    Works with a disabled webhook, too.
    """
    message = sample_message(webhook)
    now = timezone.now()
    delivery = Delivery(
        uuid=uuid4(),
        webhook=webhook,
        event=message.event,
        kind=message.kind,
        repository_id=webhook.repository_id,
        repository_name=message.full_name,
        tag=message.tag,
        digest=message.digest,
        content_type=webhook.content_type,
        is_test=True,
        due_at=now,
        dispatched_at=now,
    )
    try:
        delivery.body = render_payload(webhook, message, delivery.uuid)
    except PayloadInvalid as error:
        delivery.status = Delivery.Status.FAILED
        delivery.problem, delivery.reason = FailureReason.PAYLOAD, str(error)[:500]
        delivery.finished_at = now
        delivery.save()
        return delivery
    with transaction.atomic():
        delivery.save()
        transaction.on_commit(partial(dispatch_deliveries, [delivery.pk]), robust=True)
    return delivery


@retry_deadlocks
def redeliver(*, delivery: Delivery) -> Delivery:
    """Send a delivery again, with a new retry schedule and the same id and body.

    One that is open is tried now instead of later. Raises WebhookIsOff.
    """
    if not delivery.webhook.is_active and not delivery.is_test:
        raise WebhookIsOff
    with transaction.atomic():
        _start_again([delivery.pk])
        transaction.on_commit(partial(dispatch_deliveries, [delivery.pk]), robust=True)
    delivery.refresh_from_db()
    return delivery


@retry_deadlocks
def redeliver_failed_since(*, webhook: Webhook, since: datetime) -> int:
    """Send again all that was given up since then, oldest first; return how many.

    What counts is when it failed, not when it happened: the retries take a day. Raises
    WebhookIsOff.
    """
    if not webhook.is_active:
        raise WebhookIsOff
    with transaction.atomic():
        failed = Delivery.objects.filter(
            webhook=webhook,
            status=Delivery.Status.FAILED,
            is_test=False,
            finished_at__gte=since,
        )
        ids = list(failed.order_by("pk").values_list("pk", flat=True))
        _start_again(ids)
        first = ids[:SWEEP_MAX]  # the sweep continues
        transaction.on_commit(partial(dispatch_deliveries, first), robust=True)
    return len(ids)


def _start_again(ids: Sequence[int]) -> None:
    """Make rows due now, except for those that are being sent at this moment."""
    now = timezone.now()
    for start in range(0, len(ids), EXPIRE_CHUNK):
        Delivery.objects.filter(pk__in=ids[start : start + EXPIRE_CHUNK]).exclude(
            status=Delivery.Status.SENDING
        ).update(
            status=Delivery.Status.WAITING,
            due_at=now,
            dispatched_at=now,
            try_count=0,
            finished_at=None,
        )
