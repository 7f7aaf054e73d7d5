"""What keeps pushes and healthy receivers quick: dispatch and scheduler."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError

from accounts.actors import ANONYMOUS
from registry_site.supervisor import STOP_SECONDS
from repositories.events.recording import event_recorded
from repositories.lifecycle import change_visibility
from repositories.models import Event, Repository
from tests import make
from webhooks import tasks
from webhooks.delivery import attempts, dispatch
from webhooks.delivery import scheduler as lanes_module
from webhooks.delivery.dispatch import RELAY
from webhooks.delivery.scheduler import (
    ACCOUNT_PREPARING_MAX,
    HOST_MAX,
    HOST_UNSURE_MAX,
    KEPT,
    KNOWN_MAX,
    LOOKS_MAX,
    PREPARING_MAX,
    QUICK_SECONDS,
    REMEMBERED_MAX,
    ROOM,
    SLOTS_MAX,
    WEBHOOK_MAX,
    Job,
    QueueClass,
    Scheduler,
    Slot,
    Target,
)
from webhooks.http.client import TIMEOUT_SECONDS

URL = "https://deploy.example.com/"


# --- dispatch


@pytest.fixture
def sent(monkeypatch: Any) -> list[tuple[str, int]]:
    """What reached the broker."""
    messages: list[tuple[str, int]] = []

    def publish(task: str, row_id: int) -> bool:
        if is_of_this_test():
            messages.append((task, row_id))
        return True

    monkeypatch.setattr(dispatch, "publish", publish)
    monkeypatch.setattr(dispatch, "_dispatcher", dispatch._Dispatcher())
    return messages


def is_of_this_test() -> bool:
    """Tell it from the thread of before, which may still send what came before."""
    return threading.current_thread() is dispatch._dispatcher.thread


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
    monkeypatch.setattr(dispatch, "_dispatcher", dispatch._Dispatcher())
    make.webhook(URL, repository=private_api, events=["repository"])
    event = Event.objects.create(
        kind="repository.visibility",
        repository=private_api,
        namespace=private_api.namespace,
        is_relayed=True,
    )
    started = time.monotonic()
    for _ in range(3 * dispatch.WAITING_MAX):
        dispatch.dispatch_event(event=event)
    assert time.monotonic() - started < 2
    waiting = dispatch._dispatcher.waiting
    assert waiting.full()
    with waiting.mutex:
        waiting.queue.clear()
    release.set()


def test_after_a_refusal_the_broker_is_left_alone_for_a_while(
    private_api: Repository, monkeypatch: Any
) -> None:
    calls: list[Any] = []

    def refuse(task: str, row_id: Any) -> bool:
        if is_of_this_test():
            calls.append(row_id)
        return False

    monkeypatch.setattr(dispatch, "publish", refuse)
    monkeypatch.setattr(dispatch, "_dispatcher", dispatch._Dispatcher())
    for number in range(10):
        dispatch.dispatch_deliveries([number])
    deadline = time.monotonic() + 20
    while not calls and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    assert calls == [[0]]


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


# --- queue classes

QUICK = 0.01
HUNG = 10.0
# What one account has of a lane; the rest is kept for others.
OWN_SLOW = ROOM[QueueClass.SLOW] - KEPT[QueueClass.SLOW]
OWN_TRIAL = ROOM[QueueClass.TRIAL] - KEPT[QueueClass.TRIAL]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scheduler(clock: Clock) -> Scheduler:
    return Scheduler(clock)


def hook(number: int, host: str = "", account: str = "alice", **row: bool) -> Target:
    """A webhook that worked, on a host of its own."""
    return Target(number, host or f"host-{number}", account, **row)


def new(number: int, host: str = "", account: str = "alice") -> Target:
    return hook(number, host, account, has_succeeded=False)


def sent_by(scheduler: Scheduler, delivery_id: int, target: Target) -> Slot | None:
    """Take a slot, if there is one, with the payload rendered and the request sent."""
    slot = scheduler.acquire(delivery_id, target)
    if slot is not None:
        assert scheduler.prepared(slot) == []
    return slot


def acquired(scheduler: Scheduler, delivery_id: int, target: Target) -> Slot:
    slot = sent_by(scheduler, delivery_id, target)
    assert slot is not None
    return slot


def going(scheduler: Scheduler, jobs: list[Job]) -> list[Job]:
    """Let jobs send their requests, and those that this makes room for."""
    for job in jobs:
        jobs = jobs + going(scheduler, scheduler.prepared(job.slot))
    return jobs


def finished(scheduler: Scheduler, slot: Slot, took: float | None = QUICK) -> list[Job]:
    """Give a place back; return what goes then."""
    return going(scheduler, scheduler.finish(slot, took))


def finish(scheduler: Scheduler, slot: Slot, took: float | None = QUICK) -> list[int]:
    return [job.delivery_id for job in finished(scheduler, slot, took)]


def test_a_webhook_begins_with_one_and_the_next_waits(scheduler: Scheduler) -> None:
    first = acquired(scheduler, 1, hook(1))
    assert scheduler.acquire(2, hook(1)) is None
    assert scheduler.acquire(3, hook(1)) is None
    other = acquired(scheduler, 4, hook(2))
    assert finish(scheduler, other) == []  # no room for another of theirs
    assert finish(scheduler, first, None) == [2], "nobody was asked, and nothing learnt"


def test_each_quick_answer_lets_one_more_go_beside(scheduler: Scheduler) -> None:
    under_way = [acquired(scheduler, 0, hook(1))]
    for number in range(1, 100):
        assert scheduler.acquire(number, hook(1)) is None
    for wanted in [*range(2, WEBHOOK_MAX + 1), WEBHOOK_MAX, WEBHOOK_MAX]:
        jobs = finished(scheduler, under_way.pop(0))
        under_way += [job.slot for job in jobs]
        assert len(under_way) == wanted


def grown(scheduler: Scheduler, target: Target, count: int = WEBHOOK_MAX) -> list[Slot]:
    """Let a webhook have so many under way, as after quick answers."""
    ids = iter(range(target.webhook_id * 1000, target.webhook_id * 1000 + 999))
    under_way = [acquired(scheduler, next(ids), target)]
    while len(under_way) < count:
        assert scheduler.acquire(next(ids), target) is None
        [job] = finished(scheduler, under_way.pop(0))
        under_way.append(job.slot)
        under_way.append(acquired(scheduler, next(ids), target))
    return under_way


def test_whoever_has_room_does_not_wait_for_somebody_elses_answer(
    scheduler: Scheduler,
) -> None:
    """One place is free, and two may go."""
    under_way = grown(scheduler, hook(2))
    for number in (10, 11, 12, 13):
        scheduler.acquire(number, hook(2))
    slot = acquired(scheduler, 1, hook(1))
    scheduler.acquire(20, hook(1))
    scheduler.release(slot)  # nobody followed: it waits although it has room
    assert sorted(finish(scheduler, under_way[0])) == [10, 20]
    assert finish(scheduler, under_way[1]) == [11]


def test_when_one_hangs_no_more_go_beside_it(
    scheduler: Scheduler, clock: Clock
) -> None:
    """And after it the webhook begins with one again."""
    under_way = grown(scheduler, hook(1), 4)
    for slot in under_way[2:]:
        finish(scheduler, slot)
    under_way[2:] = [acquired(scheduler, 1, hook(1))]
    clock.now += QUICK_SECONDS
    assert scheduler.acquire(2, hook(1)) is None
    assert scheduler.acquire(3, hook(1)) is None
    clock.now += HUNG
    for slot in under_way[:2]:
        assert finish(scheduler, slot, HUNG) == []
    assert finish(scheduler, under_way[2], HUNG) == [2]
    assert scheduler.acquire(4, hook(1)) is None


def test_a_webhook_that_had_nothing_to_send_begins_with_one_again(
    scheduler: Scheduler,
) -> None:
    for slot in grown(scheduler, hook(1)):
        finish(scheduler, slot)
    acquired(scheduler, 1, hook(1))
    assert scheduler.acquire(2, hook(1)) is None


def test_what_waits_for_its_turn_is_held_and_what_could_go_is_not(
    scheduler: Scheduler,
) -> None:
    """The sweep leaves the first alone, and has to ask for the second."""
    slot = acquired(scheduler, 0, hook(1))
    for number in (1, 2):
        scheduler.acquire(number, hook(1))
    assert [scheduler.holds(n) for n in (0, 1, 2, 100)] == [False, True, True, False]
    scheduler.release(slot)  # after a failure of our own
    assert not scheduler.holds(1)
    acquired(scheduler, 1, hook(1))
    assert scheduler.holds(2)


def test_nobody_follows_in_a_process_that_is_about_to_end(scheduler: Scheduler) -> None:
    slot = acquired(scheduler, 0, hook(1))
    scheduler.acquire(1, hook(1))
    scheduler.close()
    assert finish(scheduler, slot) == []
    assert not scheduler._slots.total(), "the place was given back"
    assert scheduler.acquire(100, hook(2)) is None, "also not by a task that runs still"
    assert STOP_SECONDS >= TIMEOUT_SECONDS + 3, "an attempt may end and be recorded"


def test_webhooks_take_turns_however_much_waits_for_each(
    scheduler: Scheduler, clock: Clock
) -> None:
    """One that hung once too often is not behind all that waits for a hundred."""
    under_way = []
    for number in range(OWN_SLOW + 10):
        target = hook(number, has_succeeded=False, is_failing=True)
        slot = acquired(scheduler, number * 1000, target)
        for other in range(1, 100):
            scheduler.acquire(number * 1000 + other, target)
        clock.now += HUNG
        under_way += [job.slot for job in finished(scheduler, slot, HUNG)]
    assert len(under_way) == OWN_SLOW
    served = []
    for _ in range(40):
        clock.now += HUNG
        [job] = finished(scheduler, under_way.pop(0), HUNG)
        served.append(job.slot.webhook_id)
        under_way.append(job.slot)
    assert set(served[:10]) == set(range(OWN_SLOW, OWN_SLOW + 10))
    assert all(n not in served[at + 1 : at + 11] for at, n in enumerate(served))


def test_a_hundred_that_worked_and_then_hang_leave_room(
    scheduler: Scheduler, clock: Clock
) -> None:
    """With ten deliveries each, and some in the middle of more."""
    hanging = []
    for number in range(2):
        hanging += grown(scheduler, hook(number))
    for number in range(2, 100):
        hanging.append(acquired(scheduler, number * 1000, hook(number)))
    for number in range(100):
        for other in range(1, 10):
            assert scheduler.acquire(number * 1000 + 900 + other, hook(number)) is None
    healthy = [acquired(scheduler, 200_000 + n, hook(200 + n)) for n in range(20)]
    assert acquired(scheduler, 300_000, new(300)), "one that never worked has room, too"
    for slot in healthy:
        finish(scheduler, slot)
    for _ in range(3):  # they hang on, and on
        clock.now += HUNG
        turns = [finished(scheduler, slot, HUNG) for slot in hanging]
        hanging = [job.slot for jobs in turns for job in jobs]
        for number in range(20):
            slot = acquired(scheduler, 400_000, hook(200 + number))
            finish(scheduler, slot)
    assert len(hanging) <= ROOM[QueueClass.SLOW]


def test_a_failure_that_comes_at_once_is_no_reason_to_wait(
    scheduler: Scheduler, clock: Clock
) -> None:
    """A thousand deliveries of a hundred that hang are not before it."""
    failed = hook(1, is_failing=True)
    finish(scheduler, acquired(scheduler, 1, failed), QUICK)
    hang_twice(scheduler, clock, range(100, 200))
    for number in range(100, 200):
        for other in range(10):
            sent_by(scheduler, number * 1000 + other, hook(number))
    assert acquired(scheduler, 2, failed).queue_class == QueueClass.QUICK


def hang_twice(scheduler: Scheduler, clock: Clock, numbers: range) -> None:
    for number in numbers:
        for _ in range(2):
            slot = acquired(scheduler, -number, hook(number))
            clock.now += HUNG
            finish(scheduler, slot, HUNG)


def test_one_that_hung_once_is_not_behind_those_that_always_hang(
    scheduler: Scheduler, clock: Clock
) -> None:
    hang_twice(scheduler, clock, range(100, 200))
    for number in range(100, 200):
        sent_by(scheduler, number, hook(number))
    once = acquired(scheduler, 1, hook(1))
    clock.now += HUNG
    finish(scheduler, once, HUNG)
    again = acquired(scheduler, 2, hook(1))
    assert again.queue_class == QueueClass.TRIAL
    finish(scheduler, again, QUICK)
    assert acquired(scheduler, 3, hook(1)).queue_class == QueueClass.QUICK


def test_what_hung_together_counts_once(scheduler: Scheduler, clock: Clock) -> None:
    under_way = grown(scheduler, hook(1))
    clock.now += HUNG
    for slot in under_way:
        finish(scheduler, slot, HUNG)
        clock.now += 0.01
    assert acquired(scheduler, 1, hook(1)).queue_class == QueueClass.TRIAL


def test_the_lane_is_that_of_the_moment_at_which_a_place_is_free(
    scheduler: Scheduler, clock: Clock
) -> None:
    """What was slow when it had to wait, and quick since, is not in its way."""
    hang_twice(scheduler, clock, range(1, 2))
    slot = acquired(scheduler, 1, hook(1))
    assert slot.queue_class == QueueClass.SLOW
    scheduler.acquire(2, hook(1))
    [job] = finished(scheduler, slot, QUICK)
    assert job.slot.queue_class == QueueClass.QUICK


def test_a_path_that_hangs_does_not_block_another_of_its_host(
    scheduler: Scheduler, clock: Clock
) -> None:
    ingress = "hooks.example.com:443"
    for number in range(HOST_UNSURE_MAX):
        acquired(scheduler, number, new(number, ingress))
    assert scheduler.acquire(900, new(900, ingress)) is None, (
        "it waits: some room is kept"
    )
    clock.now += HUNG
    for number in range(HOST_MAX - HOST_UNSURE_MAX):
        acquired(scheduler, 1000 + number, hook(1000 + number, ingress))
    assert scheduler.acquire(2000, hook(2000, ingress)) is None, "a host has its bound"
    assert scheduler.acquire(2001, hook(2001)) is not None


def test_those_that_wait_for_their_host_do_not_hide_others(
    scheduler: Scheduler,
) -> None:
    """Of a line only some are looked at; the next look begins behind them."""
    slots = [acquired(scheduler, n, new(n, "busy")) for n in range(HOST_UNSURE_MAX)]
    for number in range(2 * LOOKS_MAX):
        scheduler.acquire(1000 + number, new(1000 + number, "busy"))
    others = [
        acquired(scheduler, 5000 + n, new(5000 + n))
        for n in range(OWN_TRIAL - HOST_UNSURE_MAX)
    ]
    assert scheduler.acquire(9000, new(9000)) is None, "the queue class is full"
    going = [finish(scheduler, slot, None) for slot in others[:3]]
    assert [9000] in going
    assert finish(scheduler, slots[0], None) != []


def test_those_that_work_always_find_room(scheduler: Scheduler, clock: Clock) -> None:
    for number in range(3 * SLOTS_MAX):
        sent_by(scheduler, number, new(number))
    for number in range(1000, 1000 + SLOTS_MAX):
        sent_by(scheduler, number, hook(number, is_failing=True))
    free = SLOTS_MAX - ROOM[QueueClass.TRIAL] - ROOM[QueueClass.SLOW]
    assert free >= 32
    for number in range(free):
        account = f"account {number}"
        assert acquired(scheduler, 5000 + number, hook(5000 + number, account=account))


def test_another_host_is_another_receiver(scheduler: Scheduler, clock: Clock) -> None:
    hang_twice(scheduler, clock, range(1, 2))
    assert acquired(scheduler, 1, hook(1, "elsewhere")).queue_class == QueueClass.TRIAL


@pytest.mark.parametrize(
    ("account", "bound"),
    [("alice", "ACCOUNT_REMEMBERED_MAX"), ("bob", "REMEMBERED_MAX")],
)
def test_memory_has_its_bounds_and_is_shared_fairly(
    scheduler: Scheduler, monkeypatch: Any, account: str, bound: str
) -> None:
    """Whoever has a lot waiting leaves room for the first of somebody else."""
    monkeypatch.setattr(lanes_module, bound, 100)
    monkeypatch.setattr(lanes_module, "KNOWN_MAX", 10)
    greedy = acquired(scheduler, 0, hook(1))
    for number in range(1, 200):
        scheduler.acquire(number, hook(1))
    modest = acquired(scheduler, 1000, hook(2, account=account))
    scheduler.acquire(1001, hook(2, account=account))
    assert scheduler.holds(1001)
    assert not scheduler.holds(100), "it made room, and the sweep finds it"
    assert sum(map(scheduler.holds, range(2000))) == 100
    assert finish(scheduler, modest, None) == [1001]
    assert finish(scheduler, greedy, None) == [1]
    for number in range(10, 100):
        finish(scheduler, acquired(scheduler, 5000 + number, hook(number)))
    assert len(scheduler._hooks) <= 2 + 10
    assert len(scheduler._accounts) <= 2 + 10
    assert (REMEMBERED_MAX, KNOWN_MAX) == (10_000, 10_000)


def test_a_webhook_that_made_room_is_forgotten_like_the_others(
    scheduler: Scheduler, monkeypatch: Any
) -> None:
    """Its only delivery was, and nothing else would ever look at the webhook."""
    monkeypatch.setattr(lanes_module, "REMEMBERED_MAX", 3)
    monkeypatch.setattr(lanes_module, "KNOWN_MAX", 1)
    backlog(scheduler, "mallory", ACCOUNT_PREPARING_MAX + 3, 1)
    last = acquired(scheduler, 1, hook(1, account="bob"))
    assert scheduler.acquire(2, hook(1, account="bob")) is None
    assert scheduler.holds(2), "mallory had three, and has two"
    resting = scheduler._hooks.keys() - scheduler._idle.keys()
    assert resting == {
        hook.webhook_id for hook in scheduler._hooks.values() if hook.waiting
    } | {hook.webhook_id for hook in scheduler._hooks.values() if hook.started}
    assert last.webhook_id in resting


def test_a_webhook_is_not_forgotten_while_room_is_made_for_it(
    scheduler: Scheduler, monkeypatch: Any
) -> None:
    monkeypatch.setattr(lanes_module, "REMEMBERED_MAX", 3)
    monkeypatch.setattr(lanes_module, "KNOWN_MAX", 1)
    finish(scheduler, acquired(scheduler, 1, hook(1, account="bob")))
    backlog(scheduler, "mallory", ACCOUNT_PREPARING_MAX + 3, 1)
    backlog(scheduler, "malin", ACCOUNT_PREPARING_MAX, 1)
    assert scheduler.acquire(2, hook(1, account="bob")) is None
    assert scheduler._hooks[1].waiting.keys() == {2}
    assert 1 not in scheduler._idle


@pytest.fixture
def attempted(monkeypatch: Any) -> list[int]:
    """Deliveries that are carried without rows; the first has others wait for it."""
    order: list[int] = []
    scheduler = Scheduler()

    def send(job: Job, stopwatch: Any) -> float:
        order.append(job.delivery_id)
        if job.delivery_id == 1:
            for number in (2, 3, 4):
                scheduler.acquire(number, hook(1))
        return QUICK

    monkeypatch.setattr(attempts, "scheduler", scheduler)
    monkeypatch.setattr(
        attempts, "_targets_of", lambda ids: dict.fromkeys(ids, hook(1))
    )
    monkeypatch.setattr(attempts, "_send", send)
    return order


def test_a_failure_of_our_own_gives_the_place_back(
    attempted: list[int], monkeypatch: Any, caplog: Any
) -> None:
    """Else one of them, and a webhook were never called again."""

    def fail(job: Job, stopwatch: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(attempts, "_send", fail)
    for number in range(3):
        attempts.deliver(delivery_ids=[number])
    assert caplog.text.count("nothing can be recorded") == 3
    assert attempts.scheduler.acquire(100, hook(1))


def test_what_waited_is_carried_by_who_has_room(attempted: list[int]) -> None:
    attempts.deliver(delivery_ids=[1])
    assert sorted(attempted) == [1, 2, 3, 4]


def test_a_process_that_ends_leaves_the_rest_to_the_sweep(
    attempted: list[int], monkeypatch: Any
) -> None:
    couriers = ThreadPoolExecutor(1)
    couriers.shutdown()
    monkeypatch.setattr(attempts, "couriers", couriers)
    attempts.deliver(delivery_ids=[1])
    assert attempted == []
    assert attempts.scheduler.acquire(100, hook(1)), "its place was given back"


class CrowdedCouriers(ThreadPoolExecutor):
    """Keeps a job, and then finds no thread for it, as Python's own pool does."""

    def _adjust_thread_count(self) -> None:
        raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("begins", ["before", "after"])
def test_a_job_for_which_there_was_no_thread_gives_its_place_back_once(
    attempted: list[int], monkeypatch: Any, caplog: Any, begins: str
) -> None:
    """The pool does it all the same, as soon as one of its threads has time."""
    couriers = CrowdedCouriers(1)
    submit = couriers.submit

    def run_all() -> None:
        while couriers._work_queue.qsize():
            couriers._work_queue.get().run()

    def submit_and_run(*call: Any) -> Any:
        try:
            return submit(*call)
        finally:
            run_all()

    monkeypatch.setattr(attempts, "couriers", couriers)
    if begins == "before":
        monkeypatch.setattr(couriers, "submit", submit_and_run)
    attempts.deliver(delivery_ids=[5])
    run_all()
    assert attempted == ([5] if begins == "before" else [])
    assert not attempts.scheduler._slots.total()
    assert caplog.text == ""
    assert attempts.scheduler.acquire(6, hook(1))


def test_an_error_of_a_thread_that_delivers_is_logged(
    attempted: list[int], monkeypatch: Any, caplog: Any
) -> None:
    def fail(*call: Any) -> list[Job]:
        raise KeyError("of the scheduler")

    monkeypatch.setattr(attempts.scheduler, "finish", fail)
    attempts.deliver(delivery_ids=[5])
    assert "of the scheduler" in caplog.text


def test_a_connection_that_cannot_be_closed_keeps_no_place(
    attempted: list[int], monkeypatch: Any, caplog: Any
) -> None:
    class Broken:
        def close(self) -> None:
            raise InterfaceError

    def send(job: Job, stopwatch: Any) -> float:
        monkeypatch.setattr(attempts, "connection", Broken())
        return QUICK

    monkeypatch.setattr(attempts, "_send", send)
    attempts.deliver(delivery_ids=[5])
    assert not attempts.scheduler._slots.total()
    assert "InterfaceError" in caplog.text


def test_a_message_of_an_earlier_version_is_understood(attempted: list[int]) -> None:
    """It named one delivery, and may wait in the queue during the upgrade."""
    tasks.deliver(5)
    tasks.deliver([6, 7])
    assert attempted == [5, 6, 7]


# --- accounts


def backlog(
    scheduler: Scheduler, account: str, hooks: int = 50, each: int = 20
) -> list[Slot]:
    """Let an account have much to send; return what it prepares at the moment."""
    first = (1 + len(scheduler._hooks)) * 1000
    preparing = []
    for number in range(first, first + hooks * 1000, 1000):
        for other in range(each):
            slot = scheduler.acquire(number + other, hook(number, account=account))
            preparing += [slot] if slot else []
    return preparing


ATTACKS = {
    "one account": (1, 50),
    "a few accounts": (5, 50),
    "many accounts": (100, 2),
}


@pytest.mark.parametrize("accounts", ATTACKS)
@pytest.mark.parametrize("costs_seconds", [0.001, 0.1, 3])
def test_a_quiet_account_is_behind_no_backlog(
    scheduler: Scheduler, clock: Clock, accounts: str, costs_seconds: float
) -> None:
    """Whatever payloads cost, of others only what has begun goes before it (A2)."""
    count, hooks = ATTACKS[accounts]
    preparing: list[Slot] = []
    for number in range(count):
        preparing += backlog(scheduler, f"mallory {number}", hooks)
    assert len(preparing) == min(PREPARING_MAX, count * ACCOUNT_PREPARING_MAX)
    for _ in range(10 * count):
        clock.now += 0.01
        go_on(scheduler, preparing, costs_seconds)
        assert len(preparing) <= PREPARING_MAX
    for number in range(5):
        slot = scheduler.acquire(-1 - number, hook(-1, account="bob"))
        if slot is None:
            begun = go_on(scheduler, preparing, costs_seconds)
            assert begun[0].delivery_id == -1 - number
            slot = begun[0].slot
            preparing.remove(slot)
        preparing += [job.slot for job in scheduler.prepared(slot, 0.001)]
        preparing += [job.slot for job in scheduler.finish(slot, QUICK)]


def go_on(scheduler: Scheduler, preparing: list[Slot], seconds: float) -> list[Job]:
    """End what began first; return what begins then."""
    slot = preparing.pop(0)
    jobs = scheduler.prepared(slot, seconds) + scheduler.finish(slot, QUICK, seconds)
    preparing += [job.slot for job in jobs]
    return jobs


def test_what_hangs_or_waits_for_its_host_takes_no_room_from_others(
    scheduler: Scheduler, clock: Clock
) -> None:
    """Slots are kept for accounts that have few, and looks at full hosts are use."""
    for serial, account in enumerate(("mallory", "malin"), 1):
        for number in range(2 * SLOTS_MAX):
            at = serial * 10_000 + number
            sent_by(scheduler, at, hook(at, account=account))
            sent_by(scheduler, at + 5000, new(at + 5000, account=account))
    assert (
        acquired(scheduler, 1, hook(1, account="bob")).queue_class is QueueClass.QUICK
    )
    assert acquired(scheduler, 2, new(2, account="bob")).queue_class is QueueClass.TRIAL


def test_turns_are_found_behind_accounts_whose_receiver_has_no_room(
    scheduler: Scheduler,
) -> None:
    slots = [acquired(scheduler, n, hook(n, "busy")) for n in range(HOST_MAX)]
    for number in range(10):
        for other in range(LOOKS_MAX):
            at = 1000 + number * 1000 + other
            target = hook(at, "busy", account=f"mallory {number}")
            assert scheduler.acquire(at, target) is None
    first = acquired(scheduler, 1_000_000, hook(1_000_000, account="bob"))
    assert scheduler.acquire(1_000_001, hook(1_000_000, account="bob")) is None
    scheduler.release(first)  # it waits although it has room
    started: list[int] = []
    for _ in range(12):
        slot = scheduler.acquire(999, hook(999))
        assert slot is not None
        started += finish(scheduler, slot, None)
    assert 1_000_001 in started
    assert len(slots) == HOST_MAX
