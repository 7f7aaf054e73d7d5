"""Send messages to the worker; what no message came for is found by the sweep."""

import logging
from collections.abc import Iterable

from amqp.exceptions import AMQPError
from celery import current_app
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

# Whatever the transport, and whatever it says when it cannot take a message.
BROKER_ERRORS = (KombuError, AMQPError, RedisError, OSError)

RELAY = "webhooks.tasks.relay_event"
DELIVER = "webhooks.tasks.deliver"


def publish(task: str, row_id: int) -> bool:
    """Ask the worker for a task on a row; False when the broker does not take it."""
    try:
        current_app.send_task(task, (row_id,), retry=False)
    except BROKER_ERRORS as error:
        logger.warning("the broker takes no messages (%s)", type(error).__name__)
        return False
    return True


def publish_deliveries(delivery_ids: Iterable[int]) -> None:
    """Ask the worker to send these; after a refusal, leave the rest to the sweep."""
    for delivery_id in delivery_ids:
        if not publish(DELIVER, delivery_id):
            return
