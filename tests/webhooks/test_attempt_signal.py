"""The end of each attempt is a signal, for those who count."""

from typing import Any

import pytest

from repositories.models import Repository
from tests import make
from tests.conftest import Cast
from tests.servers import free_port
from tests.webhooks.receivers import Receiver
from webhooks.delivery.attempts import deliver
from webhooks.delivery.redelivery import send_test
from webhooks.signals import attempt_ended

pytestmark = pytest.mark.usefixtures("loopback_allowed")


def test_each_attempt_ends_with_its_outcome(
    cast: Cast, private_api: Repository, receiver: Receiver
) -> None:
    outcomes: list[str] = []

    def count(*, outcome: str, **signal: Any) -> None:
        outcomes.append(outcome)

    attempt_ended.connect(count)
    try:
        for url in (
            f"{receiver.url}/ok",
            f"{receiver.url}/status/503",
            f"{receiver.url}/status/410",
            f"http://127.0.0.1:{free_port()}/",
        ):
            hook, _ = make.webhook(url, repository=private_api)
            deliver(delivery_ids=[send_test(webhook=hook).pk])
    finally:
        attempt_ended.disconnect(count)
    assert outcomes == ["delivered", "status", "gone", "refused"]
