"""Hand on what happened, exactly once, to those who follow the log.

Each row of the log says of itself whether it has been relayed. Readers write what
follows from an event and the row is marked in one transaction that holds its lock:
either all of it is there or nothing, and of two relays one finds it done. There is no
"last id seen": ids are given before commit, so on PostgreSQL a row may appear after one
with a higher number, and a reader that went by numbers would pass it over. A partial
index keeps the search for unmarked rows small, however long the log.

A message wakes the worker for a new row at once; the sweep finds all that no message
came for (webhooks/tasks.py). Messages come in the order of the events, and a user who
pushes all the time is in front of all others. So each message relays a batch, in which
accounts take turns.
"""

import logging
import threading
import time
from collections.abc import Collection, Iterable
from typing import Protocol

from django.db import DataError, IntegrityError, OperationalError, transaction
from django.db.models import Case, F, When, Window
from django.db.models.functions import RowNumber
from django.dispatch import Signal

from database.crash_points import crash_point
from repositories.models import Event

log = logging.getLogger(__name__)

# Sent with ``events``, a list, inside the transaction that marks them as relayed: what
# a listener writes there is there exactly once for each event. It fetches nothing from
# outside and is quick, since webhooks wait for the same transaction. When one raises
# what is not the database's, what they wrote of these events is undone, and is lost.
events_relayed = Signal()

# What code raises that does not expect what it is given, here or in a listener.
MISTAKES = (
    *(ArithmeticError, AssertionError, AttributeError),
    *(LookupError, RecursionError, TypeError, ValueError),
)
# The same, and what the database refuses permanently: trying again does not help.
FAULTS = (*MISTAKES, MemoryError, DataError, IntegrityError)
BATCH = 50  # events in one transaction; on SQLite pushes wait for it
TURNS_MAX = 10_000  # of the oldest events, whose accounts take turns
REFUSALS_MAX = 3  # of one batch, before its events are relayed one by one
ASIDE_SECONDS = (60.0, 3600.0)  # for an event that cannot be relayed, at first and most
ASIDE_MAX = 1000  # events; of more, the oldest come first again


class Reader(Protocol):
    """Writes what follows from a batch, in the transaction that marks its events.

    What it raises undoes the batch. An event that comes alone is one whose batch was
    undone: the reader then leaves out what fails, where it can.
    """

    def __call__(self, events: list[Event], *, is_alone: bool) -> None: ...


_readers: list[Reader] = []


def add_reader(reader: Reader) -> None:
    """Have a reader called for every batch, before the listeners of the signal."""
    if reader not in _readers:
        _readers.append(reader)


class _Aside:
    """Events of which relaying failed: for a while, others come first.

    Kept in this process only. After a restart each of them is tried once more.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[int, tuple[float, float]] = {}  # when, and how long it was
        self._refusals: dict[int, int] = {}  # of batches, by their first event

    def ids(self) -> list[int]:
        now = time.monotonic()
        with self._lock:
            return [pk for pk, (until, _) in self._until.items() if now < until]

    def add(self, event_id: int) -> None:
        first, most = ASIDE_SECONDS
        with self._lock:
            _, waited = self._until.pop(event_id, (0.0, 0.0))
            wait = min(waited * 2, most) or first
            self._until[event_id] = (time.monotonic() + wait, wait)
            while len(self._until) > ASIDE_MAX:
                del self._until[next(iter(self._until))]

    def forget(self, event_ids: Iterable[int]) -> None:
        with self._lock:
            for event_id in event_ids:
                self._until.pop(event_id, None)
                self._refusals.pop(event_id, None)

    def is_refused_often(self, first: int) -> bool:
        """Count a refusal of the batch that begins with this event."""
        with self._lock:
            self._refusals[first] = count = self._refusals.get(first, 0) + 1
            while len(self._refusals) > ASIDE_MAX:
                del self._refusals[next(iter(self._refusals))]
        return count >= REFUSALS_MAX


_aside = _Aside()
_turns = threading.Lock()  # of two batches at once, the second would be the same


def relay_events(*, event_ids: Collection[int] | None = None) -> int:
    """Relay a batch of what is not relayed yet, or these events; return how many.

    Rows that another relay has in hand are left to it. An event that cannot be relayed
    holds up no other: its batch is relayed one by one, and it is set aside. What a
    database that is away or busy refuses is raised and comes again as it was.
    """
    if event_ids is None:
        return _relay_batch(_next_ids())
    rows = Event.objects.filter(is_relayed=False, pk__in=event_ids).order_by("pk")
    return _relay_batch(list(rows.values_list("pk", flat=True)[:BATCH]))


def relay_event(event_id: int) -> int:
    """Relay an event and what else fits into its batch; return how many.

    If the batch cannot be relayed, the event is relayed alone, and the others wait for
    the sweep. While another thread relays a batch, this event comes alone, too.
    """
    if not _turns.acquire(blocking=False):
        return relay_events(event_ids=[event_id])
    try:
        own = Event.objects.filter(is_relayed=False, pk=event_id)
        ids = [*own.values_list("pk", flat=True)]
        ids += [pk for pk in _next_ids() if pk != event_id]
        return _relay_or_nothing(ids[:BATCH])
    except (*FAULTS, OperationalError):
        log.exception("a batch of events cannot be relayed; trying one of them")
    finally:
        _turns.release()
    return relay_events(event_ids=[event_id])


def _relay_or_nothing(ids: list[int]) -> int:
    if not ids:
        return 0
    count = _relay(ids)
    _aside.forget(ids)
    return count


def _next_ids() -> list[int]:
    """Return a batch: the oldest event of each account, then the second of each, …

    The account is the user who acted, or the namespace if it was no user.
    """
    rows = Event.objects.filter(is_relayed=False)
    oldest = rows.exclude(pk__in=_aside.ids()).order_by("pk")[:TURNS_MAX]
    without_user = Case(When(user__isnull=True, then=F("namespace_id")))
    turns = Event.objects.filter(pk__in=oldest.values("pk")).annotate(
        turn=Window(
            RowNumber(), partition_by=[F("user_id"), without_user], order_by="pk"
        )
    )
    in_turn = turns.order_by("turn", "pk")
    return list(in_turn.values_list("pk", flat=True)[:BATCH])


def _relay_batch(ids: list[int]) -> int:
    try:
        return _relay_or_nothing(ids)
    except FAULTS:
        log.exception("a batch of events cannot be relayed; trying one by one")
        return _relay_each(ids)
    except OperationalError:
        if not _aside.is_refused_often(ids[0]):
            raise
        return _relay_each(ids)


def _relay_each(ids: list[int]) -> int:
    """Relay these events one by one; return how many are done or set aside."""
    count = 0
    for event_id in ids:
        try:
            count += _relay([event_id], is_alone=True)
        except (*FAULTS, OperationalError):
            log.exception("event %d cannot be relayed now", event_id)
            _aside.add(event_id)
            count += 1
        else:
            _aside.forget([event_id])
    return count


def _relay(ids: list[int], *, is_alone: bool = False) -> int:
    """Let readers and listeners write of these events and mark them, all at once.

    Of an event that is alone as much is written as can be: what a reader can leave out,
    or a listener that fails, is left out.
    """
    with transaction.atomic():
        events = list(
            Event.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("repository__namespace", "namespace")
            .filter(is_relayed=False, pk__in=ids)
            .order_by("pk")
        )
        for read in _readers:
            read(events, is_alone=is_alone)
        _notify_listeners(events, is_alone=is_alone)
        crash_point("C26")
        Event.objects.filter(pk__in=[event.pk for event in events]).update(
            is_relayed=True
        )
    return len(events)


def _notify_listeners(events: list[Event], *, is_alone: bool) -> None:
    """Let others write what follows from these events."""
    if not events:
        return
    try:
        with transaction.atomic():
            events_relayed.send(sender=Event, events=events)
    except FAULTS:
        if not is_alone:
            raise
        ids = [event.pk for event in events]
        log.exception("not all receivers were notified of events %s", ids)
