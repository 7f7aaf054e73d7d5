"""Wake the worker at once, without making a push wait for the broker.

A thread of this process asks whether any webhook wants what was recorded and sends the
message. A push only puts a number into a queue; a broker that hangs holds up
the thread and no one else, and what the thread cannot do the sweep does.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Full, Queue
from typing import Any

from amqp.exceptions import AMQPError
from celery import current_app
from django.db import DatabaseError, connection
from kombu.exceptions import KombuError

from repositories.models import Event
from webhooks.message import NAMES_OF_KINDS
from webhooks.models import Webhook

logger = logging.getLogger(__name__)

RELAY = "webhooks.tasks.relay_event"
DELIVER = "webhooks.tasks.deliver"
MESSAGE_MAX = 100  # deliveries of one message
WAITING_MAX = 1000
PAUSE_SECONDS = 5.0  # after the broker refused; nothing is sent to it in the meantime


def publish(task: str, rows: int | list[int]) -> bool:
    """Ask the worker for a task on rows; False when the broker does not take it."""
    try:
        current_app.send_task(task, (rows,), retry=False)
    except _broker_errors() as error:
        logger.warning("the broker takes no messages (%s)", type(error).__name__)
        return False
    return True


def publish_deliveries(delivery_ids: Sequence[int]) -> None:
    """Ask the worker to send these; after a refusal, leave the rest to the sweep.

    Messages wait in one queue, so what is for many webhooks is few messages.
    """
    for ids in _chunks(delivery_ids):
        if not publish(DELIVER, ids):
            return


def _broker_errors() -> tuple[type[Exception], ...]:
    """Return what a transport raises when it cannot take a message."""
    from redis.exceptions import RedisError  # most processes never need this client

    return KombuError, AMQPError, RedisError, OSError


def _chunks(delivery_ids: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(delivery_ids), MESSAGE_MAX):
        yield list(delivery_ids[start : start + MESSAGE_MAX])


@dataclass(frozen=True, slots=True)
class _Wakeup:
    task: str
    rows: int | list[int]
    kind: str = ""
    tag: str = ""
    repository_id: int | None = None
    namespace_id: int | None = None

    def is_wanted(self) -> bool:
        """Return whether a webhook wants it; the answer of a moment is enough."""
        if self.task == DELIVER:
            return True
        hooks = Webhook.objects.reached_by(
            repository_ids=[self.repository_id] if self.repository_id else [],
            namespace_ids=[self.namespace_id] if self.namespace_id else [],
        )
        name = NAMES_OF_KINDS[self.kind]
        columns = hooks.only("events", "format", "tag_glob")
        return any(hook.wants(name, self.tag) for hook in columns)


class _Dispatcher:
    def __init__(self) -> None:
        self.waiting: Queue[_Wakeup] = Queue(WAITING_MAX)
        self.starting = threading.Lock()
        self.thread: threading.Thread | None = None
        self.quiet_until = 0.0

    def put(self, wakeup: _Wakeup) -> None:
        if time.monotonic() < self.quiet_until:
            return
        with self.starting:  # a forked process has no thread of its parent's
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(
                    target=self.work, name="dispatch", daemon=True
                )
                self.thread.start()
        with suppress(Full):  # the sweep comes
            self.waiting.put_nowait(wakeup)

    def work(self) -> None:
        while True:
            wakeup = self.waiting.get()
            if time.monotonic() < self.quiet_until:
                continue
            try:
                sent = not wakeup.is_wanted() or publish(wakeup.task, wakeup.rows)
            except DatabaseError:
                connection.close()  # a new one next time
                sent = False
            if not sent:
                self.quiet_until = time.monotonic() + PAUSE_SECONDS


_dispatcher = _Dispatcher()


def dispatch_event(*, event: Event, **signal: Any) -> None:
    """Have an event relayed soon; called after its commit."""
    if event.kind in NAMES_OF_KINDS:
        _dispatcher.put(
            _Wakeup(
                RELAY,
                event.pk,
                event.kind,
                str(event.detail.get("tag", "")),
                event.repository_id,
                event.namespace_id,
            )
        )


def dispatch_deliveries(delivery_ids: Sequence[int]) -> None:
    """Have deliveries sent soon; called after their commit."""
    for ids in _chunks(delivery_ids):
        _dispatcher.put(_Wakeup(DELIVER, ids))
