"""What keeps pushes and healthy receivers quick: nudges and lanes."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError

from accounts.actors import ANONYMOUS
from repositories.events import event_recorded
from repositories.lifecycle import change_visibility
from repositories.models import Event, Repository
from tests import make
from webhooks import deliveries, nudges
from webhooks.lanes import HOST_MAX, ROOM, THREADS, Lane, Lanes
from webhooks.publishing import RELAY

URL = "https://deploy.example.com/"


# --- nudges


@pytest.fixture
def sent(monkeypatch: Any) -> list[tuple[str, int]]:
    """What reached the broker."""
    messages: list[tuple[str, int]] = []

    def publish(task: str, row_id: int) -> bool:
        messages.append((task, row_id))
        return True

    monkeypatch.setattr(nudges, "publish", publish)
    monkeypatch.setattr(nudges, "_nudger", nudges._Nudger())
    return messages


def test_nothing_is_sent_where_nobody_wants_to_know(
    private_api: Repository, sent: list[Any]
) -> None:
    make.webhook(URL, repository=private_api, events=["push"])
    change_visibility(repository=private_api, visibility="public", actor=ANONYMOUS)
    time.sleep(0.5)
    assert sent == []


def test_what_somebody_wants_to_know_is_sent(
    private_api: Repository, sent: list[Any]
) -> None:
    make.webhook(URL, repository=private_api, events=["repository"])
    change_visibility(repository=private_api, visibility="public", actor=ANONYMOUS)
    event = Event.objects.get(repository=private_api, kind="repository.visibility")
    deadline = time.monotonic() + 20
    while not sent and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sent == [(RELAY, event.pk)]


def test_a_broker_that_hangs_holds_up_nobody(
    private_api: Repository, monkeypatch: Any
) -> None:
    """R2: and when the queue is full, the sweep does it."""
    release = threading.Event()
    monkeypatch.setattr(nudges, "publish", lambda *a: release.wait(30))
    monkeypatch.setattr(nudges, "_nudger", nudges._Nudger())
    make.webhook(URL, repository=private_api, events=["repository"])
    event = Event.objects.create(
        kind="repository.visibility",
        repository=private_api,
        namespace=private_api.namespace,
        is_relayed=True,
    )
    started = time.monotonic()
    for _ in range(3 * nudges.WAITING_MAX):
        nudges.nudge_event(event=event)
    assert time.monotonic() - started < 2
    waiting = nudges._nudger.waiting
    assert waiting.full()
    with waiting.mutex:
        waiting.queue.clear()
    release.set()


def test_after_a_refusal_the_broker_is_left_alone_for_a_while(
    private_api: Repository, monkeypatch: Any
) -> None:
    calls: list[int] = []

    def refuse(task: str, row_id: int) -> bool:
        calls.append(row_id)
        return False

    monkeypatch.setattr(nudges, "publish", refuse)
    monkeypatch.setattr(nudges, "_nudger", nudges._Nudger())
    for number in range(10):
        nudges.nudge_delivery(number)
    time.sleep(0.3)
    assert calls == [0]


def test_a_listener_that_fails_does_not_undo_a_push(private_api: Repository) -> None:
    def fail(**signal: Any) -> None:
        raise RuntimeError("a listener's own trouble")

    event_recorded.connect(fail)
    try:
        change_visibility(repository=private_api, visibility="public", actor=ANONYMOUS)
    finally:
        event_recorded.disconnect(fail)
    private_api.refresh_from_db()
    assert private_api.is_public


# --- lanes


def test_a_host_has_a_few_places_and_the_next_waits() -> None:
    lanes = Lanes()
    for number in range(HOST_MAX):
        assert lanes.enter(number, "a", Lane.PROVEN)
    assert not lanes.enter(100, "a", Lane.PROVEN)
    assert not lanes.enter(101, "a", Lane.PROVEN)
    assert lanes.enter(200, "b", Lane.PROVEN)
    assert lanes.follow("b", Lane.PROVEN) is None  # no room at their host
    assert lanes.follow("a", Lane.PROVEN) == (100, "a", Lane.PROVEN)
    assert lanes.follow("a", Lane.PROVEN) == (101, "a", Lane.PROVEN)
    assert lanes.follow("a", Lane.PROVEN) is None


def test_what_waits_for_its_turn_is_held_and_what_could_go_is_not() -> None:
    """The sweep leaves the first alone, and has to ask for the second."""
    lanes = Lanes()
    for number in range(HOST_MAX + 2):
        lanes.enter(number, "a", Lane.PROVEN)
    assert [lanes.holds(n) for n in (0, HOST_MAX, 100)] == [False, True, False]
    lanes.leave("a", Lane.PROVEN)  # after a failure of our own
    assert not lanes.holds(HOST_MAX)
    assert lanes.enter(HOST_MAX, "a", Lane.PROVEN)
    assert lanes.holds(HOST_MAX + 1)


def test_nobody_follows_in_a_process_that_is_about_to_end() -> None:
    lanes = Lanes()
    for number in range(HOST_MAX + 1):
        lanes.enter(number, "a", Lane.PROVEN)
    lanes.close()
    assert lanes.follow("a", Lane.PROVEN) is None
    assert lanes.enter(100, "a", Lane.PROVEN), "the place was given back"


@pytest.fixture
def carried(monkeypatch: Any) -> list[int]:
    """Deliveries that are carried without rows; the first has others wait for it."""
    order: list[int] = []
    lanes = Lanes()

    def send(delivery_id: int) -> None:
        order.append(delivery_id)
        if delivery_id == 1:
            for number in range(2, HOST_MAX + 2):
                lanes.enter(number, "a", Lane.PROVEN)

    monkeypatch.setattr(deliveries, "_lanes", lanes)
    monkeypatch.setattr(deliveries, "_place_of", lambda _: ("a", Lane.PROVEN))
    monkeypatch.setattr(deliveries, "_send", send)
    return order


def test_a_failure_of_our_own_gives_the_place_back(
    carried: list[int], monkeypatch: Any
) -> None:
    """Else eight of them, and a host were never called again."""

    def fail(delivery_id: int) -> None:
        raise DatabaseError

    monkeypatch.setattr(deliveries, "_send", fail)
    for number in range(2 * HOST_MAX):
        with pytest.raises(DatabaseError):
            deliveries.carry(delivery_id=number)
    assert deliveries._lanes.enter(100, "a", Lane.PROVEN)


def test_a_task_carries_what_waited_but_not_for_ever(
    carried: list[int], monkeypatch: Any
) -> None:
    handed_on: list[int] = []
    monkeypatch.setattr(deliveries, "publish_deliveries", handed_on.extend)
    deliveries.carry(delivery_id=1)
    assert (carried, handed_on) == ([1, HOST_MAX + 1], [])
    monkeypatch.setattr(deliveries, "_lanes", Lanes())
    monkeypatch.setattr(deliveries, "CARRY_SECONDS", 0)
    lanes = deliveries._lanes
    monkeypatch.setattr(
        deliveries,
        "_send",
        lambda _: [lanes.enter(n, "a", Lane.PROVEN) for n in range(2, HOST_MAX + 2)],
    )
    deliveries.carry(delivery_id=1)
    assert handed_on == [HOST_MAX + 1]
    assert lanes.enter(100, "a", Lane.PROVEN), "its place was given back"


def test_those_that_work_always_find_room() -> None:
    lanes = Lanes()
    for lane in (Lane.FAILING, Lane.UNPROVEN):
        for number in range(THREADS):
            lanes.enter(number, f"{lane}-{number}", lane)
    free = THREADS - ROOM[Lane.FAILING] - ROOM[Lane.UNPROVEN]
    assert free >= 32
    for number in range(free):
        assert lanes.enter(1000 + number, f"good-{number}", Lane.PROVEN)


def test_the_procfile_has_as_many_threads_as_the_lanes() -> None:
    line = next(
        line
        for line in Path("Procfile").read_text().splitlines()
        if line.startswith("worker:")
    )
    assert f"-c {THREADS} " in line
    assert "-Q deliveries,statistics,upkeep " in line
