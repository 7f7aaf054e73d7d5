"""Share a worker process fairly among accounts, and among their webhooks.

An account is who set the webhook (Target.account). What waits is kept per account, and
the account that used the least of late has the next turn, however much waits for the
others: USE_SECONDS and the processor's time are counted for each delivery, and halve
every USE_HALF_SECONDS. So the first delivery of an account that is quiet is behind no
backlog, be it of one account or of a hundred.

Two things are short. The first is the interpreter and the database, which a delivery
needs before its request: it is claimed and rendered. So PREPARING_MAX are prepared at
once, ACCOUNT_PREPARING_MAX of them for one account, whatever a payload costs.

The second is slots, since a receiver that hangs holds one for ten seconds. Which
receivers will hang is unknown, so a webhook begins with one delivery under way. Each
quick answer lets one more go beside it, up to WEBHOOK_MAX; they share a few slots, and
when nothing is left to send, it begins with one again. What counts is the time: an
error that comes at once blocks no other delivery.

    class    which webhooks are in it                            slots  of them kept
    quick    the last answer was quick                           all    48
    trial    nothing is known, or the last answer was slow       136    32
    slow     two or more were slow, one after the other          20     4
    more     what goes beside another of the same webhook        20     4

The slots kept are for accounts that hold fewer than MODEST_MAX in the class. A hundred
webhooks that worked and hang from now on hold a hundred slots and those of the last
class; the others of their account still find room, and those of other accounts do
whatever one account does. To one host go HOST_MAX, and of those that are not known to
be quick HOST_UNSURE_MAX, because many webhooks may share an address with receivers that
hang.

A delivery that finds no room waits with its webhook, and whatever makes room starts
it. All this is memory of one process: after a kill, the sweep finds the same rows
again.
"""

import heapq
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

SLOTS_MAX = 200
PREPARING_MAX = 4
ACCOUNT_PREPARING_MAX = 2
QUICK_SECONDS = 2.0
WEBHOOK_MAX = 8
HOST_MAX = 64
HOST_UNSURE_MAX = 32
MODEST_MAX = 4
USE_SECONDS = 0.005  # of a delivery that costs nothing else
USE_HALF_SECONDS = 60.0
REMEMBERED_MAX = 10_000  # deliveries that wait; the sweep brings more
ACCOUNT_REMEMBERED_MAX = 5000
KNOWN_MAX = 10_000  # webhooks with nothing to send whose last answers are remembered
LOOKS_MAX = 100  # at webhooks, whose host may have no room
LOOK_SECONDS = 0.001  # what such a look is counted as


class QueueClass(StrEnum):
    QUICK = "quick"
    TRIAL = "trial"
    SLOW = "slow"
    MORE = "more"


ROOM = {
    QueueClass.QUICK: SLOTS_MAX,
    QueueClass.TRIAL: 136,
    QueueClass.SLOW: 20,
    QueueClass.MORE: 20,
}
KEPT = {
    QueueClass.QUICK: 48,
    QueueClass.TRIAL: 32,
    QueueClass.SLOW: 4,
    QueueClass.MORE: 4,
}


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook as its row has it, for when nothing is remembered of it."""

    webhook_id: int
    host: str
    account: str
    has_succeeded: bool = True
    is_failing: bool = False


@dataclass(slots=True)
class Slot:
    """The room that a delivery under way holds."""

    webhook_id: int
    host: str
    account: str
    queue_class: QueueClass
    since: float
    is_preparing: bool = True
    is_begun: bool = False
    is_withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A delivery that has its slot: send it."""

    delivery_id: int
    slot: Slot


@dataclass(slots=True, eq=False)
class _Account:
    """An account: what it used of late, has under way and has waiting."""

    used: float = 0.0
    used_at: float = 0.0
    preparing: int = 0
    slots: Counter[QueueClass] = field(default_factory=Counter)
    hook_count: int = 0  # that are remembered
    waiting_count: int = 0  # deliveries
    waiting: "dict[int, _Hook]" = field(default_factory=dict)
    # Those that wait for room, and not for an answer of their own.
    lines: "dict[QueueClass, OrderedDict[int, _Hook]]" = field(
        default_factory=lambda: {
            queue_class: OrderedDict() for queue_class in QueueClass
        }
    )
    rotation: deque[QueueClass] = field(default_factory=lambda: deque(QueueClass))

    def use_at(self, now: float) -> float:
        return float(self.used * 0.5 ** ((now - self.used_at) / USE_HALF_SECONDS))

    def charge(self, seconds: float, now: float) -> None:
        self.used, self.used_at = self.use_at(now) + seconds, now


@dataclass(slots=True, eq=False)
class _Hook:
    """The state of a webhook: its speed, deliveries under way, deliveries waiting."""

    webhook_id: int
    host: str
    account: str
    is_proven: bool
    slow_count: int  # one after the other
    slow_at: float = float("-inf")
    window: int = 1  # may be under way at once
    started: list[float] = field(default_factory=list)  # the oldest first
    waiting: "OrderedDict[int, None]" = field(default_factory=OrderedDict)
    line: QueueClass | None = None

    def next_class(self, now: float) -> QueueClass | None:
        """Return where its next delivery belongs; None while it has to wait."""
        if not self.started:
            if self.slow_count > 1:
                return QueueClass.SLOW
            is_known = self.is_proven and not self.slow_count
            return QueueClass.QUICK if is_known else QueueClass.TRIAL
        if now - self.started[0] >= QUICK_SECONDS or len(self.started) >= self.window:
            return None
        return QueueClass.MORE

    def note(self, slot: Slot, took_seconds: float, now: float) -> None:
        """Learn from an answer."""
        if took_seconds < QUICK_SECONDS:
            self.is_proven, self.slow_count = True, 0
            self.window = min(self.window + 1, WEBHOOK_MAX)
        else:
            if slot.since >= self.slow_at:  # those that hung together count once
                self.slow_count += 1
            self.slow_at, self.window = now, 1


class Scheduler:
    """The deliveries under way and waiting."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._hooks: dict[int, _Hook] = {}
        self._accounts: dict[str, _Account] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()  # the longest first
        self._slots: Counter[QueueClass] = Counter()
        self._preparing = 0
        self._hosts: Counter[str] = Counter()
        self._unsure_hosts: Counter[str] = Counter()
        self._waiting: dict[int, _Hook] = {}
        self._accounts_waiting: dict[str, _Account] = {}
        self._is_closed = False

    def acquire(self, delivery_id: int, target: Target) -> Slot | None:
        """Take a slot; without room, queue the delivery and return None.

        In a process that is about to end nothing begins, and the sweep of another
        finds the delivery.
        """
        with self._lock:
            if self._is_closed:
                return None
            hook = self._hook_of(target)
            queue_class = self._class_with_room(hook)
            if queue_class is None:
                self._idle.pop(hook.webhook_id, None)  # it is not forgotten now
                self._remember(delivery_id, hook)
                self._requeue(hook)
                return None
            if delivery_id in self._waiting:
                self._forget(delivery_id)
            return self._take(hook, queue_class)

    def prepared(self, slot: Slot, used_seconds: float = 0.0) -> list[Job]:
        """Note that a slot's payload is ready; return the jobs for which is room now.

        ``used_seconds`` are the processor's. Each job has its slot already, and needs a
        thread of its own, which calls ``finish`` for it.
        """
        with self._lock:
            self._end_preparing(slot)
            self._accounts[slot.account].charge(used_seconds, self._clock())
            return self._start_waiting()

    def begin(self, slot: Slot) -> bool:
        """Note that a thread does the job; False if it was withdrawn."""
        with self._lock:
            slot.is_begun = not slot.is_withdrawn
            return slot.is_begun

    def withdraw(self, slot: Slot) -> None:
        """Give back the slot of a job for which no thread was found, if none began."""
        with self._lock:
            if not slot.is_begun:
                slot.is_withdrawn = True
                self._requeue(self._free(slot))

    def release(self, slot: Slot) -> None:
        """Give the slot back, without an answer to learn from; start nothing."""
        with self._lock:
            self._requeue(self._free(slot))

    def finish(
        self, slot: Slot, took_seconds: float | None, used_seconds: float = 0.0
    ) -> list[Job]:
        """Give the slot back after an answer; return the jobs for which is room now.

        ``took_seconds`` is None when no request was sent; ``used_seconds`` are the
        processor's since the payload was ready.
        """
        with self._lock:
            hook = self._free(slot)
            now = self._clock()
            self._accounts[slot.account].charge(USE_SECONDS + used_seconds, now)
            if took_seconds is not None:
                hook.note(slot, took_seconds, now)
            self._requeue(hook)
            return self._start_waiting()

    def holds(self, delivery_id: int) -> bool:
        """Return whether the delivery is remembered and has to wait for its turn."""
        with self._lock:
            hook = self._waiting.get(delivery_id)
            return hook is not None and self._class_with_room(hook) is None

    def waiting_webhooks(self) -> set[int]:
        """Return the webhooks of which a delivery is remembered."""
        with self._lock:
            return {hook.webhook_id for hook in self._waiting.values()}

    def close(self) -> None:
        """Begin no more jobs: this process is about to end."""
        with self._lock:
            self._is_closed = True

    # --- with the lock held

    def _hook_of(self, target: Target) -> _Hook:
        hook = self._hooks.get(target.webhook_id)
        if hook is None:
            hook = self._hooks[target.webhook_id] = _Hook(
                target.webhook_id,
                target.host,
                target.account,
                is_proven=target.has_succeeded,
                slow_count=int(target.is_failing),  # slowly or not, no one knows
            )
            self._join(hook)
        elif hook.host != target.host:  # it is another receiver now
            hook.host, hook.is_proven, hook.slow_count = target.host, False, 0
        if hook.account != target.account and not (hook.started or hook.waiting):
            self._leave(hook)
            hook.account = target.account
            self._join(hook)
        return hook

    def _join(self, hook: _Hook) -> None:
        self._accounts.setdefault(hook.account, _Account()).hook_count += 1

    def _leave(self, hook: _Hook) -> None:
        account = self._accounts[hook.account]
        account.hook_count -= 1
        if not account.hook_count:
            del self._accounts[hook.account]

    def _class_with_room(self, hook: _Hook) -> QueueClass | None:
        queue_class = hook.next_class(self._clock())
        return (
            queue_class
            if queue_class is not None and self._may_start(hook, queue_class)
            else None
        )

    def _may_start(self, hook: _Hook, queue_class: QueueClass) -> bool:
        account = self._accounts[hook.account]
        return (
            self._may_prepare(account)
            and self._has_room(account, queue_class)
            and self._may_call(hook, queue_class)
        )

    def _may_prepare(self, account: _Account) -> bool:
        is_full = self._preparing >= PREPARING_MAX
        return not is_full and account.preparing < ACCOUNT_PREPARING_MAX

    def _has_room(self, account: _Account, queue_class: QueueClass) -> bool:
        """Return whether the class has a slot, and all classes together have one."""
        rooms = (
            (
                ROOM[queue_class] - self._slots[queue_class],
                KEPT[queue_class],
                account.slots[queue_class],
            ),
            (
                SLOTS_MAX - self._slots.total(),
                KEPT[QueueClass.QUICK],
                account.slots.total(),
            ),
        )
        return all(
            free > (0 if held < MODEST_MAX else kept) for free, kept, held in rooms
        )

    def _may_call(self, hook: _Hook, queue_class: QueueClass) -> bool:
        if _is_unsure(queue_class) and self._unsure_hosts[hook.host] >= HOST_UNSURE_MAX:
            return False
        return self._hosts[hook.host] < HOST_MAX

    def _take(self, hook: _Hook, queue_class: QueueClass) -> Slot:
        slot = Slot(
            hook.webhook_id, hook.host, hook.account, queue_class, self._clock()
        )
        hook.started.append(slot.since)
        self._count(slot, 1)
        self._preparing += 1
        self._accounts[slot.account].preparing += 1
        self._leave_line(hook)  # its turn is over
        self._requeue(hook)
        return slot

    def _free(self, slot: Slot) -> _Hook:
        hook = self._hooks[slot.webhook_id]
        hook.started.remove(slot.since)
        self._end_preparing(slot)
        self._count(slot, -1)
        return hook

    def _end_preparing(self, slot: Slot) -> None:
        if slot.is_preparing:
            slot.is_preparing = False
            self._preparing -= 1
            self._accounts[slot.account].preparing -= 1

    def _count(self, slot: Slot, change: int) -> None:
        self._slots[slot.queue_class] += change
        self._accounts[slot.account].slots[slot.queue_class] += change
        counters = [self._hosts]
        if _is_unsure(slot.queue_class):
            counters.append(self._unsure_hosts)
        for hosts in counters:
            hosts[slot.host] += change
            if not hosts[slot.host]:
                del hosts[slot.host]

    def _remember(self, delivery_id: int, hook: _Hook) -> None:
        if delivery_id in self._waiting or not self._make_room_to_wait(hook):
            return
        account = self._accounts[hook.account]
        hook.waiting[delivery_id] = None
        self._waiting[delivery_id] = hook
        account.waiting_count += 1
        account.waiting[hook.webhook_id] = hook
        self._accounts_waiting[hook.account] = account

    def _make_room_to_wait(self, hook: _Hook) -> bool:
        """Let whatever has the most waiting forget one, when memory is full."""
        own = self._accounts[hook.account]
        if own.waiting_count >= ACCOUNT_REMEMBERED_MAX:
            most = own
        elif len(self._waiting) >= REMEMBERED_MAX:
            most = max(self._accounts_waiting.values(), key=lambda a: a.waiting_count)
            if most.waiting_count <= own.waiting_count + 1:
                most = own
        else:
            return True
        longest = max(most.waiting.values(), key=lambda h: len(h.waiting), default=hook)
        if most is own and len(longest.waiting) <= len(hook.waiting) + 1:
            return False
        self._forget(next(reversed(longest.waiting)))
        self._requeue(longest)  # it may have nothing to send now
        return True

    def _forget(self, delivery_id: int) -> None:
        hook = self._waiting.pop(delivery_id)
        del hook.waiting[delivery_id]
        account = self._accounts[hook.account]
        account.waiting_count -= 1
        if not hook.waiting:
            del account.waiting[hook.webhook_id]
            self._leave_line(hook)
        if not account.waiting:
            del self._accounts_waiting[hook.account]

    def _start_waiting(self) -> list[Job]:
        """Give a slot to all that waits and has room now."""
        jobs: list[Job] = []
        if self._is_closed:
            return jobs
        while (following := self._pick()) is not None:
            hook, queue_class = following
            delivery_id = next(iter(hook.waiting))
            self._forget(delivery_id)
            jobs.append(Job(delivery_id, self._take(hook, queue_class)))
        return jobs

    def _pick(self) -> tuple[_Hook, QueueClass] | None:
        """Return whose turn it is: of the account that used the least, in turns.

        Looks that find no room at the receiver's host are few, and are use, too: so no
        account hides the others behind what cannot go.
        """
        if self._preparing >= PREPARING_MAX:
            return None
        now = self._clock()
        turns = [
            (account.use_at(now), name)
            for name, account in self._accounts_waiting.items()
            if self._may_prepare(account)
        ]
        heapq.heapify(turns)
        looks_left = LOOKS_MAX
        while turns and looks_left:
            account = self._accounts[heapq.heappop(turns)[1]]
            for hook, queue_class in self._looks(account, now):
                if self._may_call(hook, queue_class):
                    account.rotation.remove(queue_class)
                    account.rotation.append(queue_class)
                    return hook, queue_class
                account.charge(LOOK_SECONDS, now)
                looks_left -= 1
                if not looks_left:
                    break
        return None

    def _looks(
        self, account: _Account, now: float
    ) -> Iterator[tuple[_Hook, QueueClass]]:
        """Look at the webhooks of an account for which their class has room."""
        for queue_class in list(account.rotation):
            line = account.lines[queue_class]
            for _ in range(len(line)):
                if not self._has_room(account, queue_class):
                    break
                hook = next(iter(line.values()))
                if hook.next_class(now) is not queue_class:  # it hangs already
                    self._requeue(hook)
                else:
                    line.move_to_end(hook.webhook_id)
                    yield hook, queue_class

    def _leave_line(self, hook: _Hook) -> None:
        if hook.line is not None:
            del self._accounts[hook.account].lines[hook.line][hook.webhook_id]
            hook.line = None

    def _requeue(self, hook: _Hook) -> None:
        """Put a webhook into the line that it belongs to now, or let it rest."""
        line = hook.next_class(self._clock()) if hook.waiting else None
        if line is not hook.line:
            self._leave_line(hook)
            if line is not None:
                self._accounts[hook.account].lines[line][hook.webhook_id] = hook
            hook.line = line
        if hook.waiting or hook.started:
            self._idle.pop(hook.webhook_id, None)
            return
        hook.window = 1
        self._idle[hook.webhook_id] = None
        self._idle.move_to_end(hook.webhook_id)
        if len(self._idle) > KNOWN_MAX:
            forgotten, _ = self._idle.popitem(last=False)
            self._leave(self._hooks.pop(forgotten))


def _is_unsure(queue_class: QueueClass) -> bool:
    return queue_class in {QueueClass.TRIAL, QueueClass.SLOW}
