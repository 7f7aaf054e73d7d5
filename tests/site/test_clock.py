"""A clock that was wrong for a while costs nothing once it is right (E4).

It holds K3 of reliability.md, too.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.models import FailedAttempts
from accounts.signin_limits import TooManyAttempts, check_attempts, record_failure
from distribution import tokens
from distribution.tokens import TokenInvalid, verify_token
from registry_site import scheduler
from registry_site.celery import app
from registry_site.heartbeats import is_silent
from registry_site.models import TaskRun
from registry_site.scheduler import ClockAwareScheduler
from registry_site.task_health import TaskHealth, list_tasks, record_run
from repositories.models import Event
from tests import make
from tests.conftest import Cast
from tests.registry_client import RegistryClient
from webhooks.delivery.planning import new_delivery
from webhooks.delivery.sweep import sweep_deliveries
from webhooks.models import Delivery

NOON = datetime(2026, 3, 4, 12, 0, 3, tzinfo=UTC)
TWO_DAYS = timedelta(days=2)


class Machine:
    """A wall clock that can be set, and a monotonic one that cannot."""

    def __init__(self, traveller: time_machine.Traveller, folder: Path) -> None:
        self.traveller = traveller
        self.monotonic = 1000.0
        self.now = NOON
        self.sent: list[str] = []
        self.path = folder / "schedule"

    def start(self) -> ClockAwareScheduler:
        made = ClockAwareScheduler(app, schedule_filename=str(self.path), lazy=True)
        made.setup_schedule()
        made.apply_async = self._send  # type: ignore[assignment, method-assign]
        return made

    def _send(self, entry: Any, **options: Any) -> None:
        self.sent.append(entry.name)

    def set_clock(self, by: timedelta) -> None:
        self.now += by
        self.traveller.move_to(self.now, tick=False)

    def run(self, beat: ClockAwareScheduler, seconds: float) -> list[str]:
        """Let time go by, tick by tick; return what was sent."""
        self.sent = []
        while seconds > 0:
            wait = min(beat.tick(), 5.0, seconds)
            wait = max(wait, 0.01)
            seconds -= wait
            self.monotonic += wait
            self.set_clock(timedelta(seconds=wait))
        return self.sent


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    with time_machine.travel(NOON, tick=False) as traveller:
        made = Machine(traveller, tmp_path)
        clocks = SimpleNamespace(
            time=lambda: made.now.timestamp(), monotonic=lambda: made.monotonic
        )
        monkeypatch.setattr(scheduler, "time", clocks)
        yield made


def test_a_clock_that_jumps_ahead_and_back_stops_no_task(machine: Machine) -> None:
    """Two days ahead for 30 seconds, in a scheduler that runs (E4)."""
    beat = machine.start()
    assert machine.run(beat, 12).count("sweep webhooks") >= 2
    machine.set_clock(TWO_DAYS)
    sent = machine.run(beat, 30)
    assert sent.count("sweep webhooks") >= 4
    assert "collect garbage" not in sent, "the jump alone makes nothing due"
    machine.set_clock(-TWO_DAYS)
    sent = machine.run(beat, 70)
    assert sent.count("sweep webhooks") >= 10
    assert "send mails" in sent
    beat.close()


def test_due_times_in_the_future_are_forgotten_at_a_start(machine: Machine) -> None:
    """It ran while the clock was ahead, and starts again after it is right (E4)."""
    machine.set_clock(TWO_DAYS)
    beat = machine.start()
    machine.run(beat, 12)
    beat.close()
    machine.set_clock(-TWO_DAYS)
    beat = machine.start()
    sent = machine.run(beat, 70)
    assert sent.count("sweep webhooks") >= 10
    assert "send mails" in sent
    beat.close()


def test_nightly_tasks_run_at_night(machine: Machine) -> None:
    """Once, and not at each tick after a start."""
    beat = machine.start()
    machine.run(beat, 6)
    machine.set_clock(timedelta(hours=15, minutes=39) - timedelta(seconds=30))
    machine.monotonic += timedelta(hours=15, minutes=39).total_seconds() - 30
    sent = machine.run(beat, 120)
    assert sent.count("collect garbage") == 1
    beat.close()


@pytest.mark.usefixtures("database")
def test_guesses_counted_by_a_wrong_clock_close_no_door() -> None:
    """Their window would end in two days (E4)."""
    name = make.unique("guessed")
    with time_machine.travel(timezone.now() + TWO_DAYS):
        for _ in range(10):
            record_failure(username=name, address="203.0.113.20")
        with pytest.raises(TooManyAttempts):
            check_attempts(username=name, address="203.0.113.20")
    check_attempts(username=name, address="203.0.113.20")
    record_failure(username=name, address="203.0.113.20")
    check_attempts(username=name, address="203.0.113.20")
    FailedAttempts.objects.all().delete()


def test_a_token_of_a_wrong_clock_is_not_taken(
    alice: RegistryClient, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be good for two days and its minutes (E4)."""
    text = alice.token(f"repository:{api}:pull")
    token = verify_token(text)
    ahead = token.issued_at + int(TWO_DAYS.total_seconds())
    monkeypatch.setitem(
        tokens._remembered,
        "ahead",
        replace(token, issued_at=ahead, expires_at=ahead + 300),
    )
    with pytest.raises(TokenInvalid, match="not valid yet"):
        verify_token("ahead")
    assert "ahead" not in tokens._remembered


@pytest.mark.usefixtures("database")
def test_a_retry_put_off_by_a_wrong_clock_goes_at_the_next_sweep(
    cast: Cast,
) -> None:
    """No retry waits longer than the schedule's longest (E4)."""
    webhook, _ = make.webhook("http://127.0.0.1:9/", namespace=cast.acme.namespace)
    ahead = timezone.now() + TWO_DAYS
    delivery = new_delivery(webhook, Event(kind=Event.Kind.TAG_PUSHED), now=ahead)
    delivery.dispatched_at = ahead
    delivery.save()
    sweep_deliveries()
    delivery.refresh_from_db()
    assert delivery.due_at <= timezone.now()
    Delivery.objects.filter(pk=delivery.pk).delete()
    webhook.delete()


def health_of(task: str, now: datetime | None = None) -> TaskHealth:
    return next(health for health in list_tasks(now) if health.task == task)


@pytest.mark.usefixtures("database")
def test_the_health_of_a_task_is_its_last_success() -> None:
    """Late tasks are found, failures too, and a time in the future counts not (E4)."""
    task = "webhooks.tasks.sweep"
    now = timezone.now()
    TaskRun.objects.filter(task=task).delete()
    record_run(task)
    fresh = health_of(task)
    assert fresh.succeeded_at is not None and not fresh.is_late and not fresh.is_failing
    runs = TaskRun.objects.filter(task=task)
    runs.update(succeeded_at=now - timedelta(hours=1))
    assert health_of(task).is_late
    runs.update(succeeded_at=now + TWO_DAYS)
    assert health_of(task).succeeded_at is None
    runs.update(succeeded_at=now - timedelta(seconds=30))
    record_run(task, problem="OperationalError: no space left")
    failing = health_of(task)
    assert failing.is_failing and failing.problem == "OperationalError: no space left"
    nightly = "distribution.tasks.collect_garbage"
    TaskRun.objects.update_or_create(
        task=nightly, defaults={"succeeded_at": NOON - timedelta(hours=8)}
    )
    assert not health_of(nightly, NOON).is_late
    missed = NOON - timedelta(hours=9)  # before 3:40, when it was due
    TaskRun.objects.filter(task=nightly).update(succeeded_at=missed)
    assert health_of(nightly, NOON).is_late
    TaskRun.objects.all().delete()


def test_a_heartbeat_of_the_future_is_no_heartbeat() -> None:
    now = timezone.now()
    assert not is_silent(now - timedelta(seconds=20), now)
    assert is_silent(now - timedelta(minutes=2), now)
    assert is_silent(now + TWO_DAYS, now)
