"""Carry deliveries: claim, send, record what came of it, try again or give up.

    waiting --claim--> sending --2xx--> delivered
       ^                  |---------> failed         (no retries are left, or 410)
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
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from celery.signals import worker_shutting_down
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from database.crash_points import crash_point
from database.locking import retry_deadlocks
from webhooks.delivery.retry import TRIES_MAX, wait_seconds
from webhooks.delivery.scheduler import SLOTS_MAX, Job, Scheduler, Target
from webhooks.disabling import disable_webhook
from webhooks.failures import FailureReason
from webhooks.http import client
from webhooks.http.client import Outcome
from webhooks.models import Attempt, Delivery, Webhook
from webhooks.rendering import PayloadInvalid, render_delivery
from webhooks.sealing import SealBroken
from webhooks.signals import attempt_ended
from webhooks.signing import signature_headers

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)  # an attempt takes ten at most
INTERRUPTIONS_MAX = 3  # beyond the ladder, for a delivery that kills its workers
DISABLE_AFTER = timedelta(days=3)  # of nothing but failures
DISABLE_AFTER_FAILURES = 10  # and not for one bad day of a quiet repository
SUCCESS_INTERVAL = timedelta(minutes=1)  # a busy webhook's row is not written each time
HIDDEN = "(hidden)"
HIDDEN_MIN_LENGTH = 6  # what is shorter is no secret, and is in many texts
UNSENT = "an internal error in Berth prevented the delivery; see the worker's log"
UNWRITTEN = "the receiver's response cannot be stored; see the worker's log"

scheduler = Scheduler()
# They are made when needed, and end with the process after their deliveries.
couriers = ThreadPoolExecutor(SLOTS_MAX, thread_name_prefix="courier")


@dataclass(frozen=True, slots=True)
class _Claim:
    """A delivery that a worker has claimed."""

    token: UUID
    delivery: Delivery
    attempt: Attempt


def deliver(*, delivery_ids: Sequence[int]) -> None:
    """Have deliveries sent that are due: at once where there is room, else in turn.

    Safe to run twice, and at the same time.
    """
    targets = _targets_of(delivery_ids)
    connection.close()
    for delivery_id, target in targets.items():
        slot = scheduler.acquire(delivery_id, target)
        if slot is not None:
            _start([Job(delivery_id, slot)])


def _start(jobs: Iterable[Job]) -> None:
    """Give each job a thread of its own."""
    for job in jobs:
        try:
            couriers.submit(_carry, job)
        except RuntimeError:  # this process ends, or Linux has no thread for it
            scheduler.withdraw(job.slot)  # the pool may have kept the job


def _carry(job: Job) -> None:
    """Carry a job, and what has its turn after it."""
    following: Job | None = job
    try:
        while following is not None:
            following = _carry_one(following)
    except Exception:  # the pool keeps what a job raises to itself
        log.exception("a thread that delivers was ended by an error")


def _carry_one(job: Job) -> Job | None:
    """Send one delivery; return the job that this thread does next."""
    if not scheduler.begin(job.slot):
        return None
    stopwatch = _Stopwatch()
    try:
        try:
            took_seconds = _send(job, stopwatch)
        finally:
            connection.close()
    except Exception:  # the loan ends, and the sweep finds it and those that wait
        log.exception("delivery %d: nothing can be recorded of it", job.delivery_id)
        scheduler.release(job.slot)
        return None
    jobs = scheduler.finish(job.slot, took_seconds, stopwatch.lap())
    _start(jobs[1:])
    return jobs[0] if jobs else None


class _Stopwatch:
    """Measures the processor's time of this thread."""

    def __init__(self) -> None:
        self._since = time.thread_time()

    def lap(self) -> float:
        """Return the seconds since the last lap."""
        before, self._since = self._since, time.thread_time()
        return self._since - before


@worker_shutting_down.connect
def _end_soon(**signal: Any) -> None:
    """Let a worker that was asked to end do so when its attempts are over."""
    scheduler.close()


def _targets_of(delivery_ids: Sequence[int]) -> dict[int, Target]:
    """Return the webhooks of those deliveries that are open."""
    rows = Delivery.objects.filter(pk__in=delivery_ids, status__in=Delivery.OPEN)
    return {
        delivery_id: Target(
            webhook_id,
            host,
            _account_of(owner_id, namespace_id or repository_namespace_id),
            has_succeeded=succeeded_at is not None,
            is_failing=failing_since is not None,
        )
        for (
            delivery_id,
            webhook_id,
            host,
            owner_id,
            namespace_id,
            repository_namespace_id,
            succeeded_at,
            failing_since,
        ) in rows.order_by("pk").values_list(
            "pk",
            "webhook",
            "webhook__host",
            "webhook__owner",
            "webhook__namespace",
            "webhook__repository__namespace",
            "webhook__succeeded_at",
            "webhook__failing_since",
        )
    }


def _account_of(owner_id: int | None, namespace_id: int | None) -> str:
    """Return whose share of the worker a webhook uses: of who decided where it leads.

    A person has one share, however many namespaces they make.
    """
    if owner_id is not None:
        return f"user {owner_id}"
    return f"namespace {namespace_id}" if namespace_id is not None else "site"


def _send(job: Job, stopwatch: _Stopwatch) -> float | None:
    """Send a delivery and return how long it took; None if no one was asked."""
    payload: dict[str, str] = {}
    problem: Exception | None = None
    now = timezone.now()  # of both: what is due for the claim was due for the payload
    try:
        payload = _payload_of(job.delivery_id, now)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # the failure of this delivery, once it is claimed
        problem = error
    claim = _claim(job.delivery_id, payload, due_by=now)
    if claim is None:
        return None
    crash_point("C24")
    started = time.monotonic()
    try:
        outcome = _attempt(claim, problem, lambda: _end_preparing(job, stopwatch))
    except Exception as error:
        _log_fault(claim, error)
        outcome = Outcome(
            took_seconds=time.monotonic() - started,
            problem=FailureReason.FAULT,
            reason=UNSENT,
        )
    crash_point("C25")
    if job.slot.is_preparing:  # nothing was sent, and to record it may take its time
        _end_preparing(job, stopwatch)
    try:
        _finish(claim, outcome)
    except (OperationalError, InterfaceError):
        raise  # no database: when the loan is over, the sweep finds it
    except Exception as error:
        _log_fault(claim, error)
        _finish(claim, _without_words(outcome))
    attempt_ended.send(None, outcome=outcome.problem or "delivered")
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


def _end_preparing(job: Job, stopwatch: _Stopwatch) -> None:
    _start(scheduler.prepared(job.slot, stopwatch.lap()))


def _due(now: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.filter(status__in=Delivery.OPEN, due_at__lte=now)


def _payload_of(delivery_id: int, now: datetime) -> dict[str, str]:
    """Render the columns of a payload before the first attempt; none if it is there.

    No one has claimed it yet, so that claim and payload are one write. Raises
    PayloadInvalid.
    """
    rows = _due(now).select_related(
        "webhook", "recorded__repository__namespace", "repository__namespace"
    )
    delivery = rows.filter(pk=delivery_id, body="").first()
    if delivery is None or not (delivery.webhook.is_active or delivery.is_test):
        return {}
    body = render_delivery(delivery)
    return {"body": body, "content_type": delivery.webhook.content_type}


@retry_deadlocks
def _claim(
    delivery_id: int, payload: dict[str, str], *, due_by: datetime
) -> _Claim | None:
    """Take the delivery on loan; None if it is not due or someone else has it.

    A payload is kept with it: all attempts send the same. A row that is locked is left
    to the sweep: all others would wait behind the few that may be prepared at once.
    """
    now = timezone.now()
    token = uuid4()
    due = _due(due_by).filter(pk=delivery_id)
    if payload:
        due = due.filter(body="")
    with transaction.atomic():
        free = due.select_for_update(skip_locked=True, no_key=True)
        if free.values_list("pk").first() is None:
            return None
        claimed = due.update(
            **payload,
            status=Delivery.Status.SENDING,
            claim=token,
            due_at=now + LEASE,
            dispatched_at=None,
            try_count=F("try_count") + 1,
            attempt_count=F("attempt_count") + 1,
        )
        if not claimed:
            return None
        delivery = Delivery.objects.select_related("webhook").get(pk=delivery_id)
        Attempt.objects.filter(delivery=delivery, ended_at=None).update(
            ended_at=now,
            problem=FailureReason.INTERRUPTED,
            reason="the worker was stopped before the response arrived",
        )
        attempt = Attempt.objects.create(
            delivery=delivery, number=delivery.attempt_count, started_at=now
        )
    return _Claim(token, delivery, attempt)


def _attempt(
    claim: _Claim, problem: Exception | None, end_preparing: Callable[[], None]
) -> Outcome:
    delivery, webhook = claim.delivery, claim.delivery.webhook
    if not webhook.is_active and not delivery.is_test:
        reason = "the webhook was disabled while this delivery was queued"
        return Outcome(problem=FailureReason.DISABLED, reason=reason)
    if delivery.try_count > TRIES_MAX + INTERRUPTIONS_MAX:
        reason = "the worker was stopped during every attempt"
        return Outcome(problem=FailureReason.INTERRUPTED, reason=reason)
    if isinstance(problem, PayloadInvalid):
        return Outcome(problem=FailureReason.PAYLOAD, reason=str(problem))
    if problem is not None:
        raise problem
    if not delivery.body:
        reason = "the payload was not ready when the attempt began"
        return Outcome(problem=FailureReason.FAULT, reason=reason)
    now = timezone.now()
    try:
        url, custom = webhook.url, webhook.headers
        secrets = webhook.secrets_at(now)
    except SealBroken as error:
        return Outcome(problem=FailureReason.SETTINGS, reason=str(error))
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
    connection.close()  # a receiver that hangs holds no connection
    end_preparing()
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


def _hide(values: Iterable[str], text: str) -> str:
    """Return the text without these values, nor the token after a "Bearer"."""
    for value in values:
        for word in (value, value.rpartition(" ")[2]):
            if len(word) >= HIDDEN_MIN_LENGTH:
                text = text.replace(word, HIDDEN)
    return text


@retry_deadlocks
def _finish(claim: _Claim, outcome: Outcome) -> None:
    """Record the attempt and what follows from it, if the loan is still ours.

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
            FailureReason.GONE,
            FailureReason.DISABLED,
            FailureReason.PAYLOAD,
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
    if outcome.problem == FailureReason.DISABLED:
        return
    rows = Webhook.objects.filter(pk=webhook.pk)
    rows.update(
        failing_since=Coalesce("failing_since", now),
        failure_count=F("failure_count") + 1,
    )
    if outcome.problem == FailureReason.GONE:
        disable_webhook(webhook_id=webhook.pk, reason="the receiver answered 410 Gone")
        return
    is_hopeless = rows.filter(
        failing_since__lte=now - DISABLE_AFTER,
        failure_count__gte=DISABLE_AFTER_FAILURES,
    ).exists()
    if is_hopeless:
        disable_webhook(
            webhook_id=webhook.pk,
            reason=f"nothing arrived for {DISABLE_AFTER.days} days; last failure: "
            f"{outcome.reason}",
        )
