"""Carry deliveries: claim, send, write down what came of it, try again or give up.

    waiting --claim--> sending --2xx--> delivered
       ^                  |---------> failed         (the ladder is at its end, or 410)
       |---- a failure ---|

A claim is a loan: a guarded UPDATE that one worker wins, for LEASE. A worker that is
killed leaves the row on loan; when that is over, the sweep finds it due, and the
receiver may hear the same id twice: at least once, and never not at all. Nothing is
sent inside of a transaction, and no connection to the database is held while a receiver
thinks.

Rows are locked in the order webhook, delivery, attempt (database/locking.py says
why there is one).
"""

import logging
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from celery.signals import worker_shutting_down
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from database.crash_points import reach
from database.locking import retry_deadlocks
from webhooks.backoff import LADDER_SECONDS, TRIES_MAX, wait_seconds
from webhooks.failures import Problem
from webhooks.http import client
from webhooks.http.client import Outcome
from webhooks.lanes import REMEMBERED_MAX, Lanes, Target
from webhooks.models import Attempt, Delivery, Webhook
from webhooks.nudges import nudge_delivery
from webhooks.publishing import publish_deliveries
from webhooks.registration import switch_off
from webhooks.relay import sample_notice
from webhooks.rendering import (
    PayloadInvalid,
    render_delivery,
    render_payload,
)
from webhooks.reports import expire_reports
from webhooks.sealing import SealBroken
from webhooks.signing import signature_headers

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)  # an attempt takes ten at most
NUDGE_AGAIN = timedelta(seconds=15)  # a message that nobody heeded is sent once more
WAIT_MAX = timedelta(seconds=max(LADDER_SECONDS))
CLOCK_SLACK = timedelta(minutes=1)  # between the clocks of two machines
CARRY_SECONDS = 60.0
SWEEP_MAX = 500
WAITING_MAX = 5000  # webhooks that a statement can name
INTERRUPTIONS_MAX = 3  # beyond the ladder, for a delivery that kills its workers
SWITCH_OFF_AFTER = timedelta(days=3)  # of nothing but failures
SWITCH_OFF_FAILURES = 10  # and not for one bad day of a quiet repository
SUCCESS_INTERVAL = timedelta(minutes=1)  # a busy webhook's row is not written each time
HIDDEN = "(hidden)"
HIDDEN_MIN_LENGTH = 6  # what is shorter is no secret, and stands in many texts
EXPIRE_CHUNK = 500
UNSENT = (
    "something went wrong in Berth when it was to be sent; the worker's log says where"
)
UNWRITTEN = "what the receiver said cannot be written down; the worker's log says where"

_lanes = Lanes()


class WebhookIsOff(Exception):
    """Nothing is sent again to a webhook that is switched off."""

    def __init__(self) -> None:
        super().__init__("the webhook is switched off; switch it on first")


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a worker has on loan."""

    token: UUID
    delivery: Delivery
    attempt: Attempt


# --- carrying


def carry(*, delivery_id: int) -> None:
    """Send a delivery if it is due and there is room, then those that waited for it.

    Safe to run twice, and at the same time. After CARRY_SECONDS another task goes on,
    so that each of them ends.
    """
    target = _target_of(delivery_id)
    place = _lanes.enter(delivery_id, target) if target else None
    if place is None:
        connection.close()
        return
    ends_at = time.monotonic() + CARRY_SECONDS
    while True:
        try:
            took_seconds = _send(delivery_id)
        except BaseException:
            _lanes.leave(place)  # and the sweep finds those that wait
            raise
        turn, besides = _lanes.follow(place, took_seconds)
        if besides is not None:
            nudge_delivery(besides)
        if turn is None:
            return
        delivery_id, place = turn.delivery_id, turn.place
        if time.monotonic() > ends_at:
            _lanes.leave(place)
            publish_deliveries([delivery_id])
            return


@worker_shutting_down.connect
def _end_soon(**signal: Any) -> None:
    """Let a worker that was asked to end do so when its attempts are over."""
    _lanes.close()


def _target_of(delivery_id: int) -> Target | None:
    row = (
        Delivery.objects.filter(pk=delivery_id, status__in=Delivery.OPEN)
        .values_list(
            "webhook",
            "webhook__host",
            "webhook__succeeded_at",
            "webhook__failing_since",
        )
        .first()
    )
    if row is None:
        return None
    webhook_id, host, succeeded_at, failing_since = row
    return Target(webhook_id, host, succeeded_at is not None, failing_since is not None)


def _send(delivery_id: int) -> float | None:
    """Send a delivery and return how long it took; None if nobody was asked."""
    claim = _claim(delivery_id)
    if claim is None:
        return None
    reach("C24")
    started = time.monotonic()
    try:
        outcome = _attempt(claim)
    except Exception as error:
        _log_fault(claim, error)
        outcome = Outcome(
            took_seconds=time.monotonic() - started,
            problem=Problem.FAULT,
            reason=UNSENT,
        )
    reach("C25")
    try:
        _finish(claim, outcome)
    except (OperationalError, InterfaceError):
        raise  # no database: when the loan is over, the sweep finds it
    except Exception as error:
        _log_fault(claim, error)
        _finish(claim, _without_words(outcome))
    connection.close()
    return outcome.took_seconds or None


def _without_words(outcome: Outcome) -> Outcome:
    """Return what came of an attempt without what the receiver said of it."""
    return Outcome(
        status_code=outcome.status_code,
        took_seconds=outcome.took_seconds,
        problem=outcome.problem,
        reason=UNWRITTEN if outcome.problem else "",
        retry_after_seconds=outcome.retry_after_seconds,
    )


def _log_fault(claim: _Claim, error: Exception) -> None:
    """Log where it happened, without the error's own words: they may have the URL."""
    log.error(
        "delivery %s: %s\n%s",
        claim.delivery.uuid,
        type(error).__name__,
        "".join(traceback.format_tb(error.__traceback__)),
    )


@retry_deadlocks
def _claim(delivery_id: int) -> _Claim | None:
    """Take the delivery on loan; None if it is not due or somebody else has it."""
    now = timezone.now()
    token = uuid4()
    with transaction.atomic():
        claimed = Delivery.objects.filter(
            pk=delivery_id, status__in=Delivery.OPEN, due_at__lte=now
        ).update(
            status=Delivery.Status.SENDING,
            claim=token,
            due_at=now + LEASE,
            nudged_at=None,
            try_count=F("try_count") + 1,
            attempt_count=F("attempt_count") + 1,
        )
        if not claimed:
            return None
        delivery = Delivery.objects.select_related("webhook").get(pk=delivery_id)
        Attempt.objects.filter(delivery=delivery, ended_at=None).update(
            ended_at=now,
            problem=Problem.INTERRUPTED,
            reason="the worker was stopped before it knew what the receiver said",
        )
        attempt = Attempt.objects.create(
            delivery=delivery, number=delivery.attempt_count, started_at=now
        )
    return _Claim(token, delivery, attempt)


def _attempt(claim: _Claim) -> Outcome:
    delivery, webhook = claim.delivery, claim.delivery.webhook
    if not webhook.is_active and not delivery.is_test:
        reason = "the webhook was switched off while this waited"
        return Outcome(problem=Problem.SWITCHED_OFF, reason=reason)
    if delivery.try_count > TRIES_MAX + INTERRUPTIONS_MAX:
        reason = "the worker was stopped every time that it tried"
        return Outcome(problem=Problem.INTERRUPTED, reason=reason)
    try:
        _render_once(claim)
    except PayloadInvalid as error:
        return Outcome(problem=Problem.PAYLOAD, reason=str(error))
    now = timezone.now()
    try:
        url, custom = webhook.url, webhook.headers
        secrets = webhook.secrets_at(now)
    except SealBroken as error:
        return Outcome(problem=Problem.SETTINGS, reason=str(error))
    headers = {
        "Content-Type": delivery.content_type,
        "User-Agent": "Berth",
        "Berth-Event": delivery.event,
        "Berth-Delivery": str(delivery.uuid),
        **({"Berth-Test": "true"} if delivery.is_test else {}),
        **signature_headers(
            secrets=secrets, message_id=str(delivery.uuid), at=now, body=delivery.body
        ),
    }
    claim.attempt.request_headers = {**headers, **dict.fromkeys(custom, HIDDEN)}
    connection.close()  # whoever hangs holds no connection of the database
    outcome = client.send(
        url=url,
        headers={**headers, **custom},
        body=delivery.body,
        networks=settings.BERTH_WEBHOOK_ALLOWED_NETWORKS,
    )
    # Some receivers answer an error with the request that they got.
    outcome.body = _hide(custom.values(), outcome.body)
    outcome.headers = {
        name: _hide(custom.values(), value) for name, value in outcome.headers.items()
    }
    return outcome


def _render_once(claim: _Claim) -> None:
    """Render the body before the first attempt and keep it: all attempts send it."""
    delivery = claim.delivery
    if delivery.body:
        return
    delivery.body = render_delivery(delivery)
    delivery.content_type = delivery.webhook.content_type
    Delivery.objects.filter(pk=delivery.pk, claim=claim.token).update(
        body=delivery.body, content_type=delivery.content_type
    )


def _hide(values: Iterable[str], text: str) -> str:
    """Return the text without these values, nor the token after a "Bearer"."""
    for value in values:
        for word in (value, value.rpartition(" ")[2]):
            if len(word) >= HIDDEN_MIN_LENGTH:
                text = text.replace(word, HIDDEN)
    return text


@retry_deadlocks
def _finish(claim: _Claim, outcome: Outcome) -> None:
    """Write down the attempt and what follows from it, if the loan is still ours.

    A success counts even when it is not: what arrived has arrived.
    """
    now = timezone.now()
    delivery = claim.delivery
    with transaction.atomic():
        if outcome.is_delivered:
            _note_success(delivery.webhook, now)
            Delivery.objects.filter(pk=delivery.pk, status__in=Delivery.OPEN).update(
                status=Delivery.Status.DELIVERED,
                finished_at=now,
                claim=None,
                problem="",
                reason="",
            )
            _end_attempt(claim, outcome, now)
            return
        if not delivery.is_test:
            webhooks = Webhook.objects.select_for_update(no_key=True)
            webhooks.filter(pk=delivery.webhook_id).first()
        wait = None
        if not delivery.is_test and outcome.problem not in {
            Problem.GONE,
            Problem.SWITCHED_OFF,
            Problem.PAYLOAD,
        }:
            wait = wait_seconds(delivery.try_count, outcome.retry_after_seconds)
        held = Delivery.objects.filter(pk=delivery.pk, claim=claim.token).update(
            status=Delivery.Status.FAILED if wait is None else Delivery.Status.WAITING,
            due_at=now if wait is None else now + timedelta(seconds=wait),
            finished_at=now if wait is None else None,
            claim=None,
            problem=outcome.problem,
            reason=outcome.reason[:500],
        )
        _end_attempt(claim, outcome, now)
        if held and not delivery.is_test:
            _note_failure(delivery.webhook, outcome, now)


def _end_attempt(claim: _Claim, outcome: Outcome, now: datetime) -> None:
    Attempt.objects.filter(pk=claim.attempt.pk).update(
        ended_at=now,
        took_milliseconds=round(outcome.took_seconds * 1000),
        address=outcome.address,
        request_headers=claim.attempt.request_headers,
        status_code=outcome.status_code,
        response_headers=outcome.headers,
        response_body=outcome.body,
        is_truncated=outcome.is_truncated,
        problem=outcome.problem,
        reason=outcome.reason[:500],
    )


def _note_success(webhook: Webhook, now: datetime) -> None:
    fresh = webhook.succeeded_at and now - webhook.succeeded_at < SUCCESS_INTERVAL
    if webhook.failing_since is None and fresh:
        return
    Webhook.objects.filter(pk=webhook.pk).update(
        failing_since=None, failure_count=0, succeeded_at=now
    )


def _note_failure(webhook: Webhook, outcome: Outcome, now: datetime) -> None:
    if outcome.problem == Problem.SWITCHED_OFF:
        return
    rows = Webhook.objects.filter(pk=webhook.pk)
    rows.update(
        failing_since=Coalesce("failing_since", now),
        failure_count=F("failure_count") + 1,
    )
    if outcome.problem == Problem.GONE:
        switch_off(webhook_id=webhook.pk, reason="the receiver answered 410 Gone")
        return
    is_hopeless = rows.filter(
        failing_since__lte=now - SWITCH_OFF_AFTER,
        failure_count__gte=SWITCH_OFF_FAILURES,
    ).exists()
    if is_hopeless:
        switch_off(
            webhook_id=webhook.pk,
            reason=f"nothing arrived for {SWITCH_OFF_AFTER.days} days; at last "
            f"{outcome.reason}",
        )


# --- the sweep


@retry_deadlocks
def sweep_deliveries() -> int:
    """Have everything sent that is due and that no message is on its way for.

    What this process remembers and has no room for yet is left to it: a receiver that
    is slow, or many deliveries to one, are not asked for again and again. Webhooks of
    which it remembers nothing come first, however much is older.
    """
    now = timezone.now()
    _follow_clock(now)
    due = Delivery.objects.filter(status__in=Delivery.OPEN, due_at__lte=now).exclude(
        nudged_at__gt=now - NUDGE_AGAIN
    )
    oldest = due.order_by("due_at").values_list("pk", flat=True)
    waiting = sorted(_lanes.waiting_webhooks())[:WAITING_MAX]
    ids = list(oldest.exclude(webhook__in=waiting)[:SWEEP_MAX])
    if waiting and len(ids) < SWEEP_MAX:
        looked_at = oldest.filter(webhook__in=waiting)[: REMEMBERED_MAX + SWEEP_MAX]
        ids += [pk for pk in looked_at if not _lanes.holds(pk)][: SWEEP_MAX - len(ids)]
    if ids:
        Delivery.objects.filter(pk__in=ids).update(nudged_at=now)
        connection.close()
        publish_deliveries(ids)
    return len(ids)


def _follow_clock(now: datetime) -> None:
    """Make due what a clock that was ahead has put off beyond every retry."""
    put_off = Delivery.objects.filter(
        Q(due_at__gt=now + WAIT_MAX) | Q(nudged_at__gt=now + CLOCK_SLACK),
        status__in=Delivery.OPEN,
    )
    if put_off.exists():
        put_off.filter(due_at__gt=now + WAIT_MAX).update(due_at=now)
        put_off.update(nudged_at=None)


@retry_deadlocks
def expire_deliveries() -> int:
    """Delete what is older than BERTH_WEBHOOK_RETENTION_DAYS and not open any more.

    Reports go with it, except for those on what a tag still points to.
    """
    days = timedelta(days=settings.BERTH_WEBHOOK_RETENTION_DAYS)
    before = timezone.now() - days
    old = Delivery.objects.filter(created_at__lt=before).exclude(
        status__in=Delivery.OPEN
    )
    expire_reports(before)
    count = 0
    while ids := list(old.order_by("created_at").values_list("pk")[:EXPIRE_CHUNK]):
        count += Delivery.objects.filter(pk__in=[pk for (pk,) in ids]).delete()[0]
    return count


# --- what people ask for


def send_test(*, webhook: Webhook) -> Delivery:
    """Send the last notice that it would have been told, once, marked as a test.

    Returns the delivery at once; what is wrong stands in it a moment later, in words.
    Works with a webhook that is switched off, too.
    """
    notice = sample_notice(webhook)
    now = timezone.now()
    delivery = Delivery(
        uuid=uuid4(),
        webhook=webhook,
        event=notice.event,
        kind=notice.kind,
        repository_id=webhook.repository_id,
        repository_name=notice.full_name,
        tag=notice.tag,
        digest=notice.digest,
        content_type=webhook.content_type,
        is_test=True,
        due_at=now,
        nudged_at=now,
    )
    try:
        delivery.body = render_payload(webhook, notice, delivery.uuid)
    except PayloadInvalid as error:
        delivery.status = Delivery.Status.FAILED
        delivery.problem, delivery.reason = Problem.PAYLOAD, str(error)[:500]
        delivery.finished_at = now
        delivery.save()
        return delivery
    with transaction.atomic():
        delivery.save()
        transaction.on_commit(partial(nudge_delivery, delivery.pk), robust=True)
    return delivery


@retry_deadlocks
def redeliver(*, delivery: Delivery) -> Delivery:
    """Send a delivery again from the start of the ladder, with the same id and body.

    One that is open is tried now instead of later. Raises WebhookIsOff.
    """
    if not delivery.webhook.is_active and not delivery.is_test:
        raise WebhookIsOff
    with transaction.atomic():
        _start_again([delivery.pk])
        transaction.on_commit(partial(nudge_delivery, delivery.pk), robust=True)
    delivery.refresh_from_db()
    return delivery


@retry_deadlocks
def redeliver_failed_since(*, webhook: Webhook, since: datetime) -> int:
    """Send again all that was given up since then, oldest first; return how many.

    What counts is when it failed, not when it happened: the ladder takes a day. Raises
    WebhookIsOff.
    """
    if not webhook.is_active:
        raise WebhookIsOff
    with transaction.atomic():
        failed = Delivery.objects.filter(
            webhook=webhook,
            status=Delivery.Status.FAILED,
            is_test=False,
            finished_at__gte=since,
        )
        ids = list(failed.order_by("pk").values_list("pk", flat=True))
        _start_again(ids)
        for delivery_id in ids[:SWEEP_MAX]:  # the sweep goes on
            transaction.on_commit(partial(nudge_delivery, delivery_id), robust=True)
    return len(ids)


def _start_again(ids: Sequence[int]) -> None:
    """Make rows due now, except for those that are being sent at this moment."""
    now = timezone.now()
    for start in range(0, len(ids), EXPIRE_CHUNK):
        Delivery.objects.filter(pk__in=ids[start : start + EXPIRE_CHUNK]).exclude(
            status=Delivery.Status.SENDING
        ).update(
            status=Delivery.Status.WAITING,
            due_at=now,
            nudged_at=now,
            try_count=0,
            finished_at=None,
        )
