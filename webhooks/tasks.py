"""Tasks of webhooks; arguments are ids, and running one twice does no harm."""

from celery import shared_task

from repositories.events import outbox
from webhooks.delivery import attempts
from webhooks.delivery import sweep as upkeep


@shared_task
def relay_event(event_id: int) -> None:
    """Deliver one event, and others that wait, to the webhooks that want them."""
    outbox.relay_event(event_id)


@shared_task
def deliver(delivery_ids: list[int]) -> None:
    """Have deliveries sent."""
    attempts.deliver(delivery_ids=delivery_ids)


@shared_task
def sweep() -> None:
    """Find what no message came for: after a crash, without a broker, or due again."""
    while outbox.relay_events() == outbox.BATCH:
        pass
    upkeep.sweep_deliveries()


@shared_task
def expire_deliveries() -> None:
    """Forget old deliveries."""
    upkeep.expire_deliveries()
