"""Receivers, and a Berth that may reach them."""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from tests.webhooks.receivers import Receiver, run_receiver
from webhooks.delivery import attempts

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as running:
        yield running


@pytest.fixture
def loopback_allowed(settings: Any) -> None:
    settings.BERTH_WEBHOOK_ALLOWED_NETWORKS = LOOPBACK


class InlineCouriers:
    """Carry each delivery in the thread of the test, which alone sees its rows."""

    def submit(self, carry: Callable[[Any], None], job: Any) -> None:
        carry(job)


@pytest.fixture(autouse=True)
def inline_couriers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "couriers", InlineCouriers())
