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
def deliver(delivery_ids: list[int] | int) -> None:
    """Have deliveries sent; messages of 0.1.0 have the id of one."""
    ids = [delivery_ids] if isinstance(delivery_ids, int) else delivery_ids
    attempts.deliver(delivery_ids=ids)


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
