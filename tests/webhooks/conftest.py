"""Receivers, and a Berth that may reach them."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from tests.webhooks.receivers import Receiver, run_receiver

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as running:
        yield running


@pytest.fixture
def loopback_allowed(settings: Any) -> None:
    settings.BERTH_WEBHOOK_ALLOWED_NETWORKS = LOOPBACK
