"""The number of messages in each queue of the broker."""

import logging
from typing import Any

from kombu.exceptions import ChannelError, OperationalError

from registry_site.celery import app

log = logging.getLogger(__name__)

BROKER_TIMEOUT_SECONDS = 2


def waiting_messages() -> dict[str, int]:
    """Return the number of messages in each queue; empty when the broker is away."""
    broker = app.connection_for_read(
        connect_timeout=BROKER_TIMEOUT_SECONDS,
        transport_options={
            **app.conf.broker_transport_options,
            "socket_connect_timeout": BROKER_TIMEOUT_SECONDS,
            "socket_timeout": BROKER_TIMEOUT_SECONDS,
        },
    )
    lost: Any = broker.connection_errors
    try:
        with broker:
            broker.ensure_connection(max_retries=1, interval_start=0)
            channel = broker.default_channel
            return {name: _waiting_in(channel, name) for name in app.amqp.queues}
    except (OperationalError, OSError, *lost) as error:
        log.warning("the broker does not answer: %s", type(error).__name__)
        return {}


def _waiting_in(channel: Any, queue: str) -> int:
    try:
        return int(channel.queue_declare(queue=queue, passive=True).message_count)
    except ChannelError:  # Redis knows no queue that is empty
        return 0
