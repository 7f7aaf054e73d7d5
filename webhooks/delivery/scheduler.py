"""How many deliveries a worker process carries at once, so that none stands in the way.

A worker has THREADS threads, and a receiver that hangs holds one for ten seconds. Which
ones will hang nobody knows, so a webhook begins with one delivery under way. Each quick
answer lets one more go beside it, up to WEBHOOK_MAX; they share a few places, and when
nothing is left to send, it begins with one again. What counts is the time: an error
that comes at once is in nobody's way.

    lane     who is in it                                        places
    quick    the last answer was quick                           all of them
    trial    nothing is known, or the last answer was slow       104
    slow     two or more were slow, one after the other          16
    costly   until its payload is rendered: see below             4
    more     what goes beside another of the same webhook        16

So a hundred that worked and hang from now on hold a hundred places and those of the
last line, and for whoever answers there is room. To one host go HOST_MAX, and of those
that are not known to be quick HOST_UNSURE_MAX, lest an address that many share is
stopped by those that hang.

Every thread waits for one that renders a template, since it keeps the interpreter busy.
So a webhook whose template is new renders in the lane of the costly, and so does one
whose template was costly, for its next COSTLY_RENDERS. It asks its receiver in the lane
that it has otherwise, as soon as there is room. The formats of Berth itself are cheap
and never go there.

What finds no room waits with its webhook, and is carried by the next thread that has
done its work: webhooks take turns, however much waits for each. All this is memory of
one process: after a kill, the sweep finds the same rows again.
"""

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from enum import StrEnum

THREADS = 160  # the worker's -c in the Procfile; they are made when needed
CARRIED_MAX = 152  # the others relay events and sweep
QUICK_SECONDS = 2.0
CHEAP_SECONDS = 0.05  # of the processor; a usual payload takes a tenth of it
COSTLY_RENDERS = 20
WEBHOOK_MAX = 8
HOST_MAX = 64
HOST_UNSURE_MAX = 32
REMEMBERED_MAX = 10_000  # deliveries that wait; the sweep brings more
KNOWN_MAX = 10_000  # webhooks with nothing to send whose last answers are remembered
LOOKS_MAX = 100  # at webhooks of a lane, whose host may have no room
HANDED_MAX = 16
HANDED_SECONDS = 5.0  # by then the message was lost, and the sweep comes


class Lane(StrEnum):
    QUICK = "quick"
    TRIAL = "trial"
    SLOW = "slow"
    COSTLY = "costly"
    MORE = "more"


ROOM = {
    Lane.QUICK: CARRIED_MAX,
    Lane.TRIAL: 104,
    Lane.SLOW: 16,
    Lane.COSTLY: 4,
    Lane.MORE: 16,
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
class Place:
    """What a delivery under way holds; its lane changes once its payload is there."""

    webhook_id: int
    host: str
    lane: Lane
    since: float


@dataclass(frozen=True, slots=True)
class Turn:
    """A delivery that waited and has its place now: carry it."""

    delivery_id: int
    place: Place


@dataclass(slots=True, eq=False)
class _Hook:
    """What is known of a webhook, and what of it is under way and waits."""

    webhook_id: int
    host: str
    is_proven: bool
    slow_count: int  # one after the other
    costly_renders: int  # that are still to come in the lane of the costly
    slow_at: float = float("-inf")
    window: int = 1  # may be under way at once
    started: list[float] = field(default_factory=list)  # the oldest first
    waiting: "OrderedDict[int, None]" = field(default_factory=OrderedDict)
    line: Lane | None = None

    @property
    def standing(self) -> Lane:
        if self.slow_count > 1:
            return Lane.SLOW
        return Lane.QUICK if self.is_proven and not self.slow_count else Lane.TRIAL

    def next_lane(self, now: float) -> Lane | None:
        """Return where its next delivery belongs; None while it has to wait."""
        if not self.started:
            return Lane.COSTLY if self.costly_renders else self.standing
        is_late = now - self.started[0] >= QUICK_SECONDS
        if is_late or self.costly_renders or len(self.started) >= self.window:
            return None
        return Lane.MORE

    def note_payload(self, took_seconds: float) -> None:
        """Learn from a payload that was rendered."""
        if took_seconds >= CHEAP_SECONDS:
            self.costly_renders = COSTLY_RENDERS
        elif self.costly_renders:
            self.costly_renders -= 1

    def note(self, place: Place, took_seconds: float, now: float) -> None:
        """Learn from an answer."""
        if took_seconds < QUICK_SECONDS:
            self.is_proven, self.slow_count = True, 0
            self.window = min(self.window + 1, WEBHOOK_MAX)
        else:
            if place.since >= self.slow_at:  # those that hung together count once
                self.slow_count += 1
            self.slow_at, self.window = now, 1


class Lanes:
    """Who is on the way, and who waits."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._hooks: dict[int, _Hook] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()  # the longest first
        self._places: Counter[Lane] = Counter()
        self._hosts: Counter[str] = Counter()
        self._unsure_hosts: Counter[str] = Counter()
        self._waiting: dict[int, _Hook] = {}
        # Those that wait for room, and not for an answer of their own.
        self._lines: dict[Lane, OrderedDict[int, _Hook]] = {
            lane: OrderedDict() for lane in Lane
        }
        self._turns = deque(Lane)
        self._handed: OrderedDict[int, float] = OrderedDict()  # the longest ago first
        self._is_closed = False

    def enter(self, delivery_id: int, target: Target) -> Place | None:
        """Take a place; without room, remember the delivery and answer None."""
        with self._lock:
            hook = self._hook_of(target)
            self._handed.pop(target.webhook_id, None)
            lane = self._lane_with_room(hook)
            if lane is None:
                self._remember(delivery_id, hook)
                self._settle(hook)
                return None
            if self._waiting.pop(delivery_id, None):
                del hook.waiting[delivery_id]
            return self._take(hook, lane)

    def render(self, place: Place, took_seconds: float | None) -> int | None:
        """Learn from a payload and let its receiver be asked in the lane for that.

        ``took_seconds`` are the processor's, None for a payload that was there already.
        Return a delivery for which there is room now; it needs a thread of its own.
        """
        with self._lock:
            hook = self._hooks[place.webhook_id]
            if took_seconds is not None:
                hook.note_payload(took_seconds)
            if place.lane is not Lane.COSTLY:
                return None
            self._count(place, -1)
            if self._has_room(hook.standing) and self._may_call(hook, hook.standing):
                place.lane = hook.standing
            self._count(place, 1)
            return None if self._is_closed else self._hand_on()

    def leave(self, place: Place) -> None:
        """Give the place back, without an answer to learn from."""
        with self._lock:
            self._settle(self._free(place))

    def follow(
        self, place: Place, took_seconds: float | None
    ) -> tuple[Turn | None, int | None]:
        """Give the place back after so long; return what goes next, and what besides.

        The first has its place already: carry it, and follow for it, too. The second,
        for which there is room as well, needs a thread of its own and has to enter.
        ``took_seconds`` is None when nobody was asked.
        """
        with self._lock:
            hook = self._free(place)
            if took_seconds is not None:
                hook.note(place, took_seconds, self._clock())
            self._settle(hook)
            if self._is_closed:
                return None, None
            following = self._pick()
            if following is None:
                return None, None
            delivery_id = self._pop(following)
            lane = following.line
            assert lane is not None, "it stood in line"
            turn = Turn(delivery_id, self._take(following, lane))
            return turn, self._hand_on()

    def holds(self, delivery_id: int) -> bool:
        """Tell whether the delivery is remembered and has to wait for its turn."""
        with self._lock:
            hook = self._waiting.get(delivery_id)
            return hook is not None and self._lane_with_room(hook) is None

    def waiting_webhooks(self) -> set[int]:
        """Return the webhooks of which a delivery is remembered."""
        with self._lock:
            return {hook.webhook_id for hook in self._waiting.values()}

    def close(self) -> None:
        """Let nobody follow any more: this process is about to end."""
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
                slow_count=int(target.is_failing),  # slowly or not, nobody knows
                costly_renders=int(target.has_template),
            )
        elif hook.host != target.host:  # it is another receiver now
            hook.host, hook.is_proven, hook.slow_count = target.host, False, 0
        return hook

    def _lane_with_room(self, hook: _Hook) -> Lane | None:
        lane = hook.next_lane(self._clock())
        if lane is None or not (self._has_room(lane) and self._may_call(hook, lane)):
            return None
        return lane

    def _has_room(self, lane: Lane) -> bool:
        return self._places[lane] < ROOM[lane] and self._places.total() < CARRIED_MAX

    def _may_call(self, hook: _Hook, lane: Lane) -> bool:
        if _is_unsure(lane) and self._unsure_hosts[hook.host] >= HOST_UNSURE_MAX:
            return False
        return self._hosts[hook.host] < HOST_MAX

    def _take(self, hook: _Hook, lane: Lane) -> Place:
        place = Place(hook.webhook_id, hook.host, lane, self._clock())
        hook.started.append(place.since)
        self._count(place, 1)
        if hook.line is not None:  # its turn is over
            del self._lines[hook.line][hook.webhook_id]
            hook.line = None
        self._settle(hook)
        return place

    def _free(self, place: Place) -> _Hook:
        hook = self._hooks[place.webhook_id]
        hook.started.remove(place.since)
        self._count(place, -1)
        return hook

    def _count(self, place: Place, change: int) -> None:
        self._places[place.lane] += change
        counters = [self._hosts]
        if _is_unsure(place.lane):
            counters.append(self._unsure_hosts)
        for hosts in counters:
            hosts[place.host] += change
            if not hosts[place.host]:
                del hosts[place.host]

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
        """Return a delivery that has room, too, for another thread to enter with.

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
        self._settle(hook)
        return delivery_id

    def _pick(self, but_not: Container[int] = ()) -> _Hook | None:
        """Return whose turn it is; the lanes take turns, and the webhooks in each."""
        for lane in list(self._turns):
            line = self._lines[lane]
            for _ in range(min(len(line), LOOKS_MAX)):
                if not self._has_room(lane):
                    break
                hook = next(iter(line.values()))
                if hook.next_lane(self._clock()) is not lane:  # it hangs by now
                    self._settle(hook)
                elif hook.webhook_id not in but_not and self._may_call(hook, lane):
                    self._turns.remove(lane)
                    self._turns.append(lane)
                    return hook
                else:
                    line.move_to_end(hook.webhook_id)
        return None

    def _pop(self, hook: _Hook) -> int:
        delivery_id, _ = hook.waiting.popitem(last=False)
        del self._waiting[delivery_id]
        return delivery_id

    def _settle(self, hook: _Hook) -> None:
        """Put a webhook into the line that it belongs to now, or let it rest."""
        line = hook.next_lane(self._clock()) if hook.waiting else None
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


def _is_unsure(lane: Lane) -> bool:
    return lane in {Lane.TRIAL, Lane.SLOW}
