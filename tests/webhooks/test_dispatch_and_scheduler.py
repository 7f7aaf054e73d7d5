"""What keeps pushes and healthy receivers quick: nudges and lanes."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError

from accounts.actors import ANONYMOUS
from repositories.events.recording import event_recorded
from repositories.lifecycle import change_visibility
from repositories.models import Event, Repository
from tests import make
from webhooks.delivery import attempts, dispatch
from webhooks.delivery import scheduler as lanes_module
from webhooks.delivery.dispatch import RELAY
from webhooks.delivery.scheduler import (
    CARRIED_MAX,
    CHEAP_SECONDS,
    COSTLY_RENDERS,
    HOST_MAX,
    HOST_UNSURE_MAX,
    KNOWN_MAX,
    LOOKS_MAX,
    QUICK_SECONDS,
    REMEMBERED_MAX,
    ROOM,
    THREADS,
    WEBHOOK_MAX,
    Lane,
    Lanes,
    Place,
    Target,
)

URL = "https://deploy.example.com/"


# --- nudges


@pytest.fixture
def sent(monkeypatch: Any) -> list[tuple[str, int]]:
    """What reached the broker."""
    messages: list[tuple[str, int]] = []

    def publish(task: str, row_id: int) -> bool:
        if is_of_this_test():
            messages.append((task, row_id))
        return True

    monkeypatch.setattr(dispatch, "publish", publish)
    monkeypatch.setattr(dispatch, "_nudger", dispatch._Nudger())
    return messages


def is_of_this_test() -> bool:
    """Tell it from the thread of before, which may still send what came before."""
    return threading.current_thread() is dispatch._nudger.thread


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
    asked = (RELAY, event.pk)
    while asked not in sent and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sent == [asked]


def test_a_broker_that_hangs_holds_up_nobody(
    private_api: Repository, monkeypatch: Any
) -> None:
    """R2: and when the queue is full, the sweep does it."""
    release = threading.Event()
    monkeypatch.setattr(dispatch, "publish", lambda *a: release.wait(30))
    monkeypatch.setattr(dispatch, "_nudger", dispatch._Nudger())
    make.webhook(URL, repository=private_api, events=["repository"])
    event = Event.objects.create(
        kind="repository.visibility",
        repository=private_api,
        namespace=private_api.namespace,
        is_relayed=True,
    )
    started = time.monotonic()
    for _ in range(3 * dispatch.WAITING_MAX):
        dispatch.nudge_event(event=event)
    assert time.monotonic() - started < 2
    waiting = dispatch._nudger.waiting
    assert waiting.full()
    with waiting.mutex:
        waiting.queue.clear()
    release.set()


def test_after_a_refusal_the_broker_is_left_alone_for_a_while(
    private_api: Repository, monkeypatch: Any
) -> None:
    calls: list[int] = []

    def refuse(task: str, row_id: int) -> bool:
        if is_of_this_test():
            calls.append(row_id)
        return False

    monkeypatch.setattr(dispatch, "publish", refuse)
    monkeypatch.setattr(dispatch, "_nudger", dispatch._Nudger())
    for number in range(10):
        dispatch.nudge_delivery(number)
    deadline = time.monotonic() + 20
    while not calls and time.monotonic() < deadline:
        time.sleep(0.01)
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

QUICK = 0.01
HUNG = 10.0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lanes(clock: Clock) -> Lanes:
    return Lanes(clock)


def hook(number: int, host: str = "", **row: bool) -> Target:
    """A webhook that worked, on a host of its own."""
    return Target(number, host or f"host-{number}", **row)


def new(number: int, host: str = "") -> Target:
    return hook(number, host, has_succeeded=False)


def entered(lanes: Lanes, delivery_id: int, target: Target) -> Place:
    place = lanes.enter(delivery_id, target)
    assert place is not None
    return place


def follow(lanes: Lanes, place: Place, took: float | None = QUICK) -> list[int]:
    """Give a place back; return what goes then, with or without a place."""
    turn, besides = lanes.follow(place, took)
    going = [turn.delivery_id] if turn else []
    return going + ([besides] if besides is not None else [])


def test_a_webhook_begins_with_one_and_the_next_waits(lanes: Lanes) -> None:
    first = entered(lanes, 1, hook(1))
    assert lanes.enter(2, hook(1)) is None
    assert lanes.enter(3, hook(1)) is None
    other = entered(lanes, 4, hook(2))
    assert follow(lanes, other) == []  # no room for another of theirs
    assert follow(lanes, first, None) == [2], "nobody was asked, and nothing learnt"


def test_each_quick_answer_lets_one_more_go_beside(lanes: Lanes) -> None:
    under_way = [entered(lanes, 0, hook(1))]
    for number in range(1, 100):
        assert lanes.enter(number, hook(1)) is None
    for wanted in [*range(2, WEBHOOK_MAX + 1), WEBHOOK_MAX, WEBHOOK_MAX]:
        turn, besides = lanes.follow(under_way.pop(0), QUICK)
        assert turn is not None
        under_way.append(turn.place)
        if besides is not None:
            under_way.append(entered(lanes, besides, hook(1)))
        assert len(under_way) == wanted


def grown(lanes: Lanes, target: Target, count: int = WEBHOOK_MAX) -> list[Place]:
    """Let a webhook have so many under way, as after quick answers."""
    ids = iter(range(target.webhook_id * 1000, target.webhook_id * 1000 + 999))
    under_way = [entered(lanes, next(ids), target)]
    while len(under_way) < count:
        assert lanes.enter(next(ids), target) is None
        turn, _ = lanes.follow(under_way.pop(0), QUICK)
        assert turn is not None
        under_way.append(turn.place)
        under_way.append(entered(lanes, next(ids), target))
    return under_way


def test_whoever_has_room_does_not_wait_for_somebody_elses_answer(
    lanes: Lanes,
) -> None:
    """One place is free, and two may go: the second is handed on, and once."""
    under_way = grown(lanes, hook(2))
    for number in (10, 11, 12, 13):
        lanes.enter(number, hook(2))
    place = entered(lanes, 1, hook(1))
    lanes.enter(20, hook(1))
    lanes.leave(place)  # nobody followed: it waits although it has room
    assert sorted(follow(lanes, under_way[0])) == [10, 20]
    assert follow(lanes, under_way[1]) == [11], "one is on its way to a thread"
    place = entered(lanes, 10, hook(2))
    lanes.leave(place)
    assert sorted(follow(lanes, under_way[2])) == [12, 13]


def test_when_one_hangs_no_more_go_beside_it(lanes: Lanes, clock: Clock) -> None:
    """And after it the webhook begins with one again."""
    under_way = grown(lanes, hook(1), 4)
    for place in under_way[2:]:
        follow(lanes, place)
    under_way[2:] = [entered(lanes, 1, hook(1))]
    clock.now += QUICK_SECONDS
    assert lanes.enter(2, hook(1)) is None
    assert lanes.enter(3, hook(1)) is None
    clock.now += HUNG
    for place in under_way[:2]:
        assert follow(lanes, place, HUNG) == []
    assert follow(lanes, under_way[2], HUNG) == [2]
    assert lanes.enter(4, hook(1)) is None


def test_a_webhook_that_had_nothing_to_send_begins_with_one_again(
    lanes: Lanes,
) -> None:
    for place in grown(lanes, hook(1)):
        follow(lanes, place)
    entered(lanes, 1, hook(1))
    assert lanes.enter(2, hook(1)) is None


def test_what_waits_for_its_turn_is_held_and_what_could_go_is_not(
    lanes: Lanes,
) -> None:
    """The sweep leaves the first alone, and has to ask for the second."""
    place = entered(lanes, 0, hook(1))
    for number in (1, 2):
        lanes.enter(number, hook(1))
    assert [lanes.holds(n) for n in (0, 1, 2, 100)] == [False, True, True, False]
    lanes.leave(place)  # after a failure of our own
    assert not lanes.holds(1)
    entered(lanes, 1, hook(1))
    assert lanes.holds(2)


def test_nobody_follows_in_a_process_that_is_about_to_end(lanes: Lanes) -> None:
    place = entered(lanes, 0, hook(1))
    lanes.enter(1, hook(1))
    lanes.close()
    assert follow(lanes, place) == []
    assert lanes.enter(100, hook(1)), "the place was given back"


def test_webhooks_take_turns_however_much_waits_for_each(
    lanes: Lanes, clock: Clock
) -> None:
    """One that hung once too often is not behind all that waits for a hundred."""
    under_way = []
    for number in range(ROOM[Lane.SLOW] + 10):
        target = hook(number, has_succeeded=False, is_failing=True)
        place = entered(lanes, number * 1000, target)
        for other in range(1, 100):
            lanes.enter(number * 1000 + other, target)
        clock.now += HUNG
        turn, _ = lanes.follow(place, HUNG)
        if turn is not None:
            under_way.append(turn.place)
    assert len(under_way) == ROOM[Lane.SLOW]
    served = []
    for _ in range(40):
        clock.now += HUNG
        turn, _ = lanes.follow(under_way.pop(0), HUNG)
        assert turn is not None
        served.append(turn.place.webhook_id)
        under_way.append(turn.place)
    assert set(served[:10]) == set(range(ROOM[Lane.SLOW], ROOM[Lane.SLOW] + 10))
    assert all(n not in served[at + 1 : at + 11] for at, n in enumerate(served))


def test_a_hundred_that_worked_and_then_hang_leave_room(
    lanes: Lanes, clock: Clock
) -> None:
    """With ten deliveries each, and some in the middle of more."""
    hanging = []
    for number in range(2):
        hanging += grown(lanes, hook(number))
    for number in range(2, 100):
        hanging.append(entered(lanes, number * 1000, hook(number)))
    for number in range(100):
        for other in range(1, 10):
            assert lanes.enter(number * 1000 + 900 + other, hook(number)) is None
    healthy = [entered(lanes, 200_000 + n, hook(200 + n)) for n in range(20)]
    assert entered(lanes, 300_000, new(300)), "one that never worked has room, too"
    for place in healthy:
        follow(lanes, place)
    for _ in range(3):  # they hang on, and on
        clock.now += HUNG
        turns = [lanes.follow(place, HUNG)[0] for place in hanging]
        hanging = [turn.place for turn in turns if turn is not None]
        for number in range(20):
            place = entered(lanes, 400_000, hook(200 + number))
            follow(lanes, place)
    assert len(hanging) <= ROOM[Lane.SLOW]


CHEAP = CHEAP_SECONDS / 10
COSTLY = CHEAP_SECONDS * 10


def test_few_render_templates_that_are_new(lanes: Lanes) -> None:
    """What asks its receiver makes room, and the next one hears of it (A2)."""
    templates = [hook(number, has_template=True) for number in range(100)]
    places = [lanes.enter(target.webhook_id, target) for target in templates]
    rendering = [place for place in places if place is not None]
    assert {place.lane for place in rendering} == {Lane.COSTLY}
    assert len(rendering) == ROOM[Lane.COSTLY]
    assert lanes.enter(1000, hook(1000)), "others have all the room there is"
    following = lanes.render(rendering[0], CHEAP)
    assert following == ROOM[Lane.COSTLY]
    assert rendering[0].lane is Lane.QUICK
    assert entered(lanes, following, templates[following]).lane is Lane.COSTLY
    assert lanes.enter(99, templates[99]) is None


def test_a_costly_template_is_costly_for_a_while(lanes: Lanes) -> None:
    """One that is costly at every other push does not render with the quick ones."""
    target = hook(1, has_template=True)
    place = entered(lanes, 1, target)
    lanes.render(place, CHEAP)
    assert follow(lanes, place) == []
    place = entered(lanes, 2, target)
    assert place.lane is Lane.QUICK, "it was cheap"
    lanes.render(place, COSTLY)
    assert follow(lanes, place) == []
    for number in range(COSTLY_RENDERS):
        place = entered(lanes, 3 + number, target)
        assert place.lane is Lane.COSTLY
        assert lanes.enter(1000, target) is None, "one at a time"
        lanes.render(place, CHEAP)
        turn, _ = lanes.follow(place, None)
        assert turn is not None
        lanes.render(turn.place, None)  # it was rendered before: a retry
        lanes.leave(turn.place)
    assert entered(lanes, 2000, target).lane is Lane.QUICK


def test_a_failure_that_comes_at_once_is_no_reason_to_wait(
    lanes: Lanes, clock: Clock
) -> None:
    """A thousand deliveries of a hundred that hang are not before it."""
    failed = hook(1, is_failing=True)
    follow(lanes, entered(lanes, 1, failed), QUICK)
    hang_twice(lanes, clock, range(100, 200))
    for number in range(100, 200):
        for other in range(10):
            lanes.enter(number * 1000 + other, hook(number))
    assert entered(lanes, 2, failed).lane == Lane.QUICK


def hang_twice(lanes: Lanes, clock: Clock, numbers: range) -> None:
    for number in numbers:
        for _ in range(2):
            place = entered(lanes, -number, hook(number))
            clock.now += HUNG
            follow(lanes, place, HUNG)


def test_one_that_hung_once_is_not_behind_those_that_always_hang(
    lanes: Lanes, clock: Clock
) -> None:
    hang_twice(lanes, clock, range(100, 200))
    for number in range(100, 200):
        lanes.enter(number, hook(number))
    once = entered(lanes, 1, hook(1))
    clock.now += HUNG
    follow(lanes, once, HUNG)
    again = entered(lanes, 2, hook(1))
    assert again.lane == Lane.TRIAL
    follow(lanes, again, QUICK)
    assert entered(lanes, 3, hook(1)).lane == Lane.QUICK


def test_what_hung_together_counts_once(lanes: Lanes, clock: Clock) -> None:
    under_way = grown(lanes, hook(1))
    clock.now += HUNG
    for place in under_way:
        follow(lanes, place, HUNG)
        clock.now += 0.01
    assert entered(lanes, 1, hook(1)).lane == Lane.TRIAL


def test_the_lane_is_that_of_the_moment_at_which_a_place_is_free(
    lanes: Lanes, clock: Clock
) -> None:
    """What was slow when it had to wait, and quick since, is not in its way."""
    hang_twice(lanes, clock, range(1, 2))
    place = entered(lanes, 1, hook(1))
    assert place.lane == Lane.SLOW
    lanes.enter(2, hook(1))
    turn, _ = lanes.follow(place, QUICK)
    assert turn is not None
    assert turn.place.lane == Lane.QUICK


def test_a_path_that_hangs_does_not_block_another_of_its_host(
    lanes: Lanes, clock: Clock
) -> None:
    ingress = "hooks.example.com:443"
    for number in range(HOST_UNSURE_MAX):
        entered(lanes, number, new(number, ingress))
    assert lanes.enter(900, new(900, ingress)) is None, "it waits: some room is kept"
    clock.now += HUNG
    for number in range(HOST_MAX - HOST_UNSURE_MAX):
        entered(lanes, 1000 + number, hook(1000 + number, ingress))
    assert lanes.enter(2000, hook(2000, ingress)) is None, "a host has its bound"
    assert lanes.enter(2001, hook(2001)) is not None


def test_those_that_wait_for_their_host_do_not_hide_others(lanes: Lanes) -> None:
    """Of a line only some are looked at; the next look begins behind them."""
    places = [entered(lanes, n, new(n, "busy")) for n in range(HOST_UNSURE_MAX)]
    for number in range(2 * LOOKS_MAX):
        lanes.enter(1000 + number, new(1000 + number, "busy"))
    others = [
        entered(lanes, 5000 + n, new(5000 + n))
        for n in range(ROOM[Lane.TRIAL] - HOST_UNSURE_MAX)
    ]
    assert lanes.enter(9000, new(9000)) is None, "the lane is full"
    going = [follow(lanes, place, None) for place in others[:3]]
    assert [9000] in going
    assert follow(lanes, places[0], None) != []


def test_those_that_work_always_find_room(lanes: Lanes, clock: Clock) -> None:
    for number in range(3 * THREADS):
        lanes.enter(number, new(number))
    hang_many = range(1000, 1000 + THREADS)
    for number in hang_many:
        lanes.enter(number, hook(number, has_succeeded=True, is_failing=True))
    free = CARRIED_MAX - ROOM[Lane.TRIAL] - ROOM[Lane.SLOW]
    assert free >= 32
    for number in range(free):
        assert lanes.enter(5000 + number, hook(5000 + number))


def test_some_threads_are_left_to_relay_and_to_sweep(lanes: Lanes) -> None:
    places = [lanes.enter(number, hook(number)) for number in range(2 * THREADS)]
    assert len([place for place in places if place]) == CARRIED_MAX
    assert THREADS - CARRIED_MAX >= 8


def test_another_host_is_another_receiver(lanes: Lanes, clock: Clock) -> None:
    hang_twice(lanes, clock, range(1, 2))
    assert entered(lanes, 1, hook(1, "elsewhere")).lane == Lane.TRIAL


def test_memory_has_its_bounds_and_is_shared_fairly(
    lanes: Lanes, monkeypatch: Any
) -> None:
    """Whoever has a lot waiting leaves room for the first of somebody else."""
    monkeypatch.setattr(lanes_module, "REMEMBERED_MAX", 100)
    monkeypatch.setattr(lanes_module, "KNOWN_MAX", 10)
    greedy = entered(lanes, 0, hook(1))
    for number in range(1, 200):
        lanes.enter(number, hook(1))
    modest = entered(lanes, 1000, hook(2))
    lanes.enter(1001, hook(2))
    assert lanes.holds(1001)
    assert not lanes.holds(100), "it made room, and the sweep finds it"
    assert sum(map(lanes.holds, range(2000))) == 100
    assert follow(lanes, modest, None) == [1001]
    assert follow(lanes, greedy, None) == [1]
    for number in range(10, 100):
        follow(lanes, entered(lanes, 5000 + number, hook(number)))
    assert len(lanes._hooks) <= 2 + 10
    assert (REMEMBERED_MAX, KNOWN_MAX) == (10_000, 10_000)


@pytest.fixture
def carried(monkeypatch: Any) -> list[int]:
    """Deliveries that are carried without rows; the first has others wait for it."""
    order: list[int] = []
    lanes = Lanes()

    def send(delivery_id: int, place: Place) -> float:
        order.append(delivery_id)
        if delivery_id == 1:
            for number in (2, 3, 4):
                lanes.enter(number, hook(1))
        return QUICK

    monkeypatch.setattr(attempts, "lanes", lanes)
    monkeypatch.setattr(attempts, "_target_of", lambda _: hook(1))
    monkeypatch.setattr(attempts, "_send", send)
    return order


def test_a_failure_of_our_own_gives_the_place_back(
    carried: list[int], monkeypatch: Any
) -> None:
    """Else one of them, and a webhook were never called again."""

    def fail(delivery_id: int, place: Place) -> None:
        raise DatabaseError

    monkeypatch.setattr(attempts, "_send", fail)
    for number in range(3):
        with pytest.raises(DatabaseError):
            attempts.carry(delivery_id=number)
    assert attempts.lanes.enter(100, hook(1))


def test_a_task_carries_what_waited_but_not_for_ever(
    carried: list[int], monkeypatch: Any
) -> None:
    handed_on: list[int] = []
    besides: list[int] = []
    monkeypatch.setattr(attempts, "publish_deliveries", handed_on.extend)
    monkeypatch.setattr(attempts, "nudge_delivery", besides.append)
    attempts.carry(delivery_id=1)
    assert sorted(carried + besides) == [1, 2, 3, 4], "some by threads of their own"
    assert (carried[:2], handed_on) == ([1, 2], [])
    assert besides == [3]
    monkeypatch.setattr(attempts, "lanes", Lanes())
    monkeypatch.setattr(attempts, "CARRY_SECONDS", 0)
    lanes = attempts.lanes
    monkeypatch.setattr(attempts, "_send", lambda *_: lanes.enter(2, hook(1)))
    attempts.carry(delivery_id=1)
    assert handed_on == [2]
    assert lanes.enter(100, hook(1)), "its place was given back"


def test_the_procfile_has_as_many_threads_as_the_lanes() -> None:
    line = next(
        line
        for line in Path("Procfile").read_text().splitlines()
        if line.startswith("worker:")
    )
    assert f"-c {THREADS} " in line
    assert "-Q deliveries,statistics,upkeep " in line
