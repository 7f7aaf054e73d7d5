"""Share the threads of a worker process fairly among webhooks.

A worker has THREADS threads, and a receiver that hangs holds one for ten seconds. Which
receivers will hang is unknown, so a webhook begins with one delivery under way. Each
quick answer lets one more go beside it, up to WEBHOOK_MAX; they share a few slots, and
when nothing is left to send, it begins with one again. What counts is the time: an
error that comes at once blocks no other delivery.

    class    which webhooks are in it                            slots
    quick    the last answer was quick                           all of them
    trial    nothing is known, or the last answer was slow       104
    slow     two or more were slow, one after the other          16
    costly   until its payload is rendered: see below             4
    more     what goes beside another of the same webhook        16

A hundred webhooks that worked and hang from now on hold a hundred slots and those of
the last class; the others still find room. To one host go HOST_MAX, and of those that
are not known to be quick HOST_UNSURE_MAX, because many webhooks may share an address
with receivers that hang.

Rendering a template keeps the interpreter busy, and every other thread waits. So a
webhook with a new template renders in the costly class, and so does one whose template
was costly, for its next COSTLY_RENDERS. Its receiver is called in the class that it has
otherwise, once there is room. Berth's own formats are cheap and never go there.

A delivery that finds no room waits with its webhook, and the next thread that is free
sends it: webhooks take turns, however much waits for each. All this is memory of one
process: after a kill, the sweep finds the same rows again.
"""

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from enum import StrEnum

THREADS = 160  # of a worker; they are made when needed
SLOTS_MAX = 152  # the others relay events and sweep
QUICK_SECONDS = 2.0
CHEAP_SECONDS = 0.05  # of the processor; a usual payload takes a tenth of it
COSTLY_RENDERS = 20
WEBHOOK_MAX = 8
HOST_MAX = 64
HOST_UNSURE_MAX = 32
REMEMBERED_MAX = 10_000  # deliveries that wait; the sweep brings more
KNOWN_MAX = 10_000  # webhooks with nothing to send whose last answers are remembered
LOOKS_MAX = 100  # at webhooks of a queue class, whose host may have no room
HANDED_MAX = 16
HANDED_SECONDS = 5.0  # by then the message was lost, and the sweep comes


class QueueClass(StrEnum):
    QUICK = "quick"
    TRIAL = "trial"
    SLOW = "slow"
    COSTLY = "costly"
    MORE = "more"


ROOM = {
    QueueClass.QUICK: SLOTS_MAX,
    QueueClass.TRIAL: 104,
    QueueClass.SLOW: 16,
    QueueClass.COSTLY: 4,
    QueueClass.MORE: 16,
}


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook as its row has it, for when nothing is remembered of it."""

    webhook_id: int
    host: str
    has_succeeded: bool = True
    is_failing: bool = False
    has_template: bool = False  # of the user's own


@dataclass(slots=True)
class Slot:
    """The room that a delivery under way holds."""

    webhook_id: int
    host: str
    queue_class: QueueClass
    since: float


@dataclass(frozen=True, slots=True)
class Job:
    """A delivery that waited and has its slot now: send it."""

    delivery_id: int
    slot: Slot


@dataclass(slots=True, eq=False)
class _Hook:
    """The state of a webhook: its speed, deliveries under way, deliveries waiting."""

    webhook_id: int
    host: str
    is_proven: bool
    slow_count: int  # one after the other
    costly_renders: int  # that are still to come in the queue class of the costly
    slow_at: float = float("-inf")
    window: int = 1  # may be under way at once
    started: list[float] = field(default_factory=list)  # the oldest first
    waiting: "OrderedDict[int, None]" = field(default_factory=OrderedDict)
    line: QueueClass | None = None

    @property
    def standing(self) -> QueueClass:
        if self.slow_count > 1:
            return QueueClass.SLOW
        is_quick = self.is_proven and not self.slow_count
        return QueueClass.QUICK if is_quick else QueueClass.TRIAL

    def next_class(self, now: float) -> QueueClass | None:
        """Return where its next delivery belongs; None while it has to wait."""
        if not self.started:
            return QueueClass.COSTLY if self.costly_renders else self.standing
        is_late = now - self.started[0] >= QUICK_SECONDS
        if is_late or self.costly_renders or len(self.started) >= self.window:
            return None
        return QueueClass.MORE

    def record_payload(self, took_seconds: float) -> None:
        """Record the cost of a payload that was rendered."""
        if took_seconds >= CHEAP_SECONDS:
            self.costly_renders = COSTLY_RENDERS
        elif self.costly_renders:
            self.costly_renders -= 1

    def note(self, slot: Slot, took_seconds: float, now: float) -> None:
        """Record how quick an answer was."""
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
        self._idle: OrderedDict[int, None] = OrderedDict()  # the longest first
        self._slots: Counter[QueueClass] = Counter()
        self._hosts: Counter[str] = Counter()
        self._unsure_hosts: Counter[str] = Counter()
        self._waiting: dict[int, _Hook] = {}
        # Those that wait for room, and not for an answer of their own.
        self._lines: dict[QueueClass, OrderedDict[int, _Hook]] = {
            kind: OrderedDict() for kind in QueueClass
        }
        self._rotation = deque(QueueClass)
        self._handed: OrderedDict[int, float] = OrderedDict()  # the longest ago first
        self._is_closed = False

    def acquire(self, delivery_id: int, target: Target) -> Slot | None:
        """Take a slot; without room, queue the delivery and return None."""
        with self._lock:
            hook = self._hook_of(target)
            self._handed.pop(target.webhook_id, None)
            kind = self._class_with_room(hook)
            if kind is None:
                self._remember(delivery_id, hook)
                self._requeue(hook)
                return None
            if self._waiting.pop(delivery_id, None):
                del hook.waiting[delivery_id]
            return self._take(hook, kind)

    def render(self, slot: Slot, took_seconds: float | None) -> int | None:
        """Record the cost of a payload and let its receiver be called in its class.

        ``took_seconds`` are the processor's, None for a payload that was there already.
        Return a delivery for which there is room now; it needs a thread of its own.
        """
        with self._lock:
            hook = self._hooks[slot.webhook_id]
            if took_seconds is not None:
                hook.record_payload(took_seconds)
            if slot.queue_class is not QueueClass.COSTLY:
                return None
            self._count(slot, -1)
            if self._has_room(hook.standing) and self._may_call(hook, hook.standing):
                slot.queue_class = hook.standing
            self._count(slot, 1)
            return None if self._is_closed else self._hand_on()

    def release(self, slot: Slot) -> None:
        """Give the slot back, without an answer to learn from."""
        with self._lock:
            self._requeue(self._free(slot))

    def finish(
        self, slot: Slot, took_seconds: float | None
    ) -> tuple[Job | None, int | None]:
        """Give the slot back after an answer; return the next job, and one to hand on.

        The job has its slot already: send it, and call finish for it, too. The second,
        for which there is room as well, needs a thread of its own and has to acquire.
        ``took_seconds`` is None when no request was sent.
        """
        with self._lock:
            hook = self._free(slot)
            if took_seconds is not None:
                hook.note(slot, took_seconds, self._clock())
            self._requeue(hook)
            if self._is_closed:
                return None, None
            following = self._pick()
            if following is None:
                return None, None
            delivery_id = self._pop(following)
            kind = following.line
            assert kind is not None, "it waited in the queue"
            job = Job(delivery_id, self._take(following, kind))
            return job, self._hand_on()

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
        """Start no more jobs: this process is about to end."""
        with self._lock:
            self._is_closed = True

    # --- with the lock held

    def _hook_of(self, target: Target) -> _Hook:
        hook = self._hooks.get(target.webhook_id)
        if hook is None:
            hook = self._hooks[target.webhook_id] = _Hook(
                target.webhook_id,
                target.host,
                is_proven=target.has_succeeded,
                slow_count=int(target.is_failing),  # slowly or not, no one knows
                costly_renders=int(target.has_template),
            )
        elif hook.host != target.host:  # it is another receiver now
            hook.host, hook.is_proven, hook.slow_count = target.host, False, 0
        return hook

    def _class_with_room(self, hook: _Hook) -> QueueClass | None:
        kind = hook.next_class(self._clock())
        if kind is None or not (self._has_room(kind) and self._may_call(hook, kind)):
            return None
        return kind

    def _has_room(self, kind: QueueClass) -> bool:
        return self._slots[kind] < ROOM[kind] and self._slots.total() < SLOTS_MAX

    def _may_call(self, hook: _Hook, kind: QueueClass) -> bool:
        if _is_unsure(kind) and self._unsure_hosts[hook.host] >= HOST_UNSURE_MAX:
            return False
        return self._hosts[hook.host] < HOST_MAX

    def _take(self, hook: _Hook, kind: QueueClass) -> Slot:
        slot = Slot(hook.webhook_id, hook.host, kind, self._clock())
        hook.started.append(slot.since)
        self._count(slot, 1)
        if hook.line is not None:  # its turn is over
            del self._lines[hook.line][hook.webhook_id]
            hook.line = None
        self._requeue(hook)
        return slot

    def _free(self, slot: Slot) -> _Hook:
        hook = self._hooks[slot.webhook_id]
        hook.started.remove(slot.since)
        self._count(slot, -1)
        return hook

    def _count(self, slot: Slot, change: int) -> None:
        self._slots[slot.queue_class] += change
        counters = [self._hosts]
        if _is_unsure(slot.queue_class):
            counters.append(self._unsure_hosts)
        for hosts in counters:
            hosts[slot.host] += change
            if not hosts[slot.host]:
                del hosts[slot.host]

    def _remember(self, delivery_id: int, hook: _Hook) -> None:
        if delivery_id in self._waiting:
            return
        if len(self._waiting) >= REMEMBERED_MAX:
            longest = max(set(self._waiting.values()), key=lambda h: len(h.waiting))
            if len(longest.waiting) <= len(hook.waiting) + 1:
                return
            dropped, _ = longest.waiting.popitem()
            del self._waiting[dropped]
        hook.waiting[delivery_id] = None
        self._waiting[delivery_id] = hook

    def _hand_on(self) -> int | None:
        """Return a delivery that has room, too, for another thread to acquire.

        One of a webhook and a few in all, until they came: else what is quick would
        hand on more and more for the same room.
        """
        now = self._clock()
        while self._handed and next(iter(self._handed.values())) < now - HANDED_SECONDS:
            self._handed.popitem(last=False)
        hook = self._pick(self._handed) if len(self._handed) < HANDED_MAX else None
        if hook is None:
            return None
        self._handed[hook.webhook_id] = now
        delivery_id = self._pop(hook)
        self._requeue(hook)
        return delivery_id

    def _pick(self, but_not: Container[int] = ()) -> _Hook | None:
        """Return whose turn it is; the classes take turns, and the webhooks in each."""
        for kind in list(self._rotation):
            line = self._lines[kind]
            for _ in range(min(len(line), LOOKS_MAX)):
                if not self._has_room(kind):
                    break
                hook = next(iter(line.values()))
                if hook.next_class(self._clock()) is not kind:  # it hangs already
                    self._requeue(hook)
                elif hook.webhook_id not in but_not and self._may_call(hook, kind):
                    self._rotation.remove(kind)
                    self._rotation.append(kind)
                    return hook
                else:
                    line.move_to_end(hook.webhook_id)
        return None

    def _pop(self, hook: _Hook) -> int:
        delivery_id, _ = hook.waiting.popitem(last=False)
        del self._waiting[delivery_id]
        return delivery_id

    def _requeue(self, hook: _Hook) -> None:
        """Put a webhook into the line that it belongs to now, or let it rest."""
        line = hook.next_class(self._clock()) if hook.waiting else None
        if line is not hook.line:
            if hook.line is not None:
                del self._lines[hook.line][hook.webhook_id]
            if line is not None:
                self._lines[line][hook.webhook_id] = hook
            hook.line = line
        if hook.waiting or hook.started:
            self._idle.pop(hook.webhook_id, None)
            return
        hook.window = 1
        self._idle[hook.webhook_id] = None
        self._idle.move_to_end(hook.webhook_id)
        if len(self._idle) > KNOWN_MAX:
            forgotten, _ = self._idle.popitem(last=False)
            del self._hooks[forgotten]


def _is_unsure(kind: QueueClass) -> bool:
    return kind in {QueueClass.TRIAL, QueueClass.SLOW}
