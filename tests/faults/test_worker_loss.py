"""A worker or a scheduler that is killed is noticed, and one that comes back (P7).

On both brokers; on Redis it is emptied meanwhile, which changes nothing.
"""

import re
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from registry_site.heartbeats import BEAT_SECONDS
from tests.faults.conftest import own_database
from tests.servers import LoadedServer
from tests.webhooks.receivers import run_receiver
from tests.webhooks.stack import BROKERS, Stack, run_stack

STATE = "/-/admin/site/"
# As if it were four minutes later: who is alive writes the time again.
GROW_OLD = """
from datetime import timedelta
from django.db.models import F
from registry_site.models import Heartbeat
from repositories.models import Event
from webhooks.models import Delivery
ago = timedelta(minutes=4)
Heartbeat.objects.update(heard_at=F("heard_at") - ago)
Event.objects.filter(is_relayed=False).update(at=F("at") - ago)
Delivery.objects.update(due_at=F("due_at") - ago)
"""
WORKER_IS_GONE = (
    "No heartbeat from the worker for 4 minutes; on hold: "
    "webhooks, statistics and cleanup."
)
SCHEDULER_IS_GONE = "No heartbeat from the scheduler for 4 minutes"
DELAYED = "Webhooks are delayed: the oldest has waited for 4 minutes."


@pytest.fixture(scope="module", params=BROKERS)
def stack(
    request: pytest.FixtureRequest,
    http: httpx.Client,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("loss")
    with run_stack(
        folder, request.param, http, own_database(), server_class=LoadedServer
    ) as running:
        yield running


def wait_until(stack: Stack, is_true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, (
            heartbeat_ages(stack),
            stack.worker.log_tail(),
            stack.scheduler.log_tail(),
        )
        time.sleep(0.5)


def heartbeat_ages(stack: Stack) -> dict[str, float]:
    """Return what /metrics says of each queue's worker and of the scheduler."""
    answer = stack.client.http.get(
        f"{stack.server.url}/metrics",
        headers={"Authorization": f"Bearer {stack.client.secret}"},
    )
    found = re.findall(
        r"^berth_(worker|scheduler)_last_heartbeat_age_seconds"
        r'(?:\{queue="(\w+)"\})? (\S+)$',
        answer.raise_for_status().text,
        re.MULTILINE,
    )
    return {queue or who: float(seconds) for who, queue, seconds in found}


def sweep_succeeded_seconds(stack: Stack) -> float:
    """Return what /metrics says of the sweep's last success: it did its work (E4)."""
    answer = stack.client.http.get(
        f"{stack.server.url}/metrics",
        headers={"Authorization": f"Bearer {stack.client.secret}"},
    )
    found = re.search(
        r'^berth_task_last_success_age_seconds\{task="webhooks.tasks.sweep"\} (\S+)$',
        answer.raise_for_status().text,
        re.MULTILINE,
    )
    return float(found[1]) if found else float("inf")


def test_a_worker_that_is_killed_is_missed_until_it_is_back(stack: Stack) -> None:
    with run_receiver() as receiver:
        repository = stack.new_repository()
        made = stack.hook(repository, f"{receiver.url}/ok")
        stack.worker.start()
        wait_until(stack, lambda: "No heartbeat" not in stack.page(STATE))
        stack.run_code(GROW_OLD)  # a worker that lives is not taken for dead
        wait_until(stack, lambda: max(heartbeat_ages(stack).values()) < 60)
        wait_until(stack, lambda: sweep_succeeded_seconds(stack) < 60)

        stack.worker.kill()
        if stack.valkey is not None:
            stack.valkey.flush()
        stack.push_tags(repository, ["v1"])
        stack.run_code(GROW_OLD)
        time.sleep(BEAT_SECONDS + 2)
        wait_until(stack, lambda: heartbeat_ages(stack)["scheduler"] < 60)
        page = stack.page(STATE)
        assert WORKER_IS_GONE in page
        assert DELAYED in page
        assert SCHEDULER_IS_GONE not in page, "it lives, and has said so meanwhile"
        heard = heartbeat_ages(stack)
        assert heard.pop("scheduler") < 60
        assert set(heard) == {"deliveries", "statistics", "upkeep"}
        assert min(heard.values()) >= 240
        webhook = f"/{repository}/-/webhooks/{made['id']}"
        assert "2 deliveries are delayed" in stack.page(webhook)
        ready = stack.client.http.get(f"{stack.server.url}/readyz")
        assert ready.status_code == 200, "it serves as before"

        with stack.worker:
            receiver.wait_for(2)
            wait_until(stack, lambda: "No heartbeat" not in stack.page(STATE))
            wait_until(stack, lambda: "delayed" not in stack.page(webhook))


def test_a_scheduler_that_is_killed_is_missed_until_it_is_back(stack: Stack) -> None:
    wait_until(stack, lambda: heartbeat_ages(stack)["scheduler"] < 60)
    stack.scheduler.kill()
    stack.run_code(GROW_OLD)
    time.sleep(BEAT_SECONDS + 2)
    assert SCHEDULER_IS_GONE in stack.page(STATE)
    stack.scheduler.start()
    gone = "No heartbeat from the scheduler"
    wait_until(stack, lambda: gone not in stack.page(STATE))
