"""The log on a webhook's page."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import (
    Case,
    Count,
    F,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from webhooks.delivery.backlog import is_delayed
from webhooks.failures import ADVICE, WORDS, FailureReason
from webhooks.models import Attempt, Delivery, Webhook
from webhooks.rendering import shown_body

SOON = timedelta(seconds=20)  # what is due by then is waited for on the page
SHOWN_MAX_LENGTH = 10_000  # of a body; the API has all of it
DAYS = 30


@dataclass(frozen=True, slots=True)
class Badge:
    """A state in a word, with its tone and its icon."""

    word: str
    tone: str = ""
    icon: str = ""


def badge_of_webhook(webhook: Webhook, newest: Delivery | None) -> Badge:
    """Return the state of a webhook, by its own columns and its newest delivery."""
    if not webhook.is_active and webhook.disabled_reason:
        return Badge(_("Disabled"), "danger", "circle-x")
    if not webhook.is_active:
        return Badge(_("Paused"), "", "circle-pause")
    if webhook.failing_since is not None:
        return Badge(_("Failing"), "danger", "circle-x")
    if webhook.succeeded_at is not None:
        return Badge(_("Working"), "ok", "circle-check")
    # Only an end of real deliveries is written on the webhook itself; tests and what
    # is on its way are in the log alone.
    if newest is None:
        return Badge(_("Nothing sent yet"), "", "circle")
    if newest.is_test:
        return Badge(_("Only tests so far"), "", "circle")
    if newest.problem:
        return Badge(_("Failing"), "danger", "circle-x")
    if newest.status == Delivery.Status.DELIVERED:
        return Badge(_("Working"), "ok", "circle-check")
    return Badge(_("Sending"), "live", "loader-circle")


def newest_of_each(webhooks: Iterable[Webhook]) -> dict[int, Delivery]:
    """Return the newest delivery of each webhook by its id. One query.

    A test is only it where nothing else was sent.
    """
    newest = (
        Delivery.objects.filter(webhook__in=list(webhooks))
        .values("webhook")
        .annotate(last=Coalesce(Max("pk", filter=Q(is_test=False)), Max("pk")))
        .order_by()
        .values("last")
    )
    found = Delivery.objects.filter(pk__in=newest).defer("body")
    return {delivery.webhook_id: delivery for delivery in found}


def badge_of_delivery(delivery: Delivery, status_code: int | None) -> Badge:
    said = str(status_code or "")
    if is_delayed(delivery, timezone.now()) and not delivery.problem:
        return Badge(_("Delayed"), "warn", "clock-alert")
    match delivery.status:
        case Delivery.Status.SENDING:
            return Badge(_("Sending"), "live", "loader-circle")
        case Delivery.Status.DELIVERED:
            return Badge(said or _("Delivered"), "ok", "circle-check")
        case Delivery.Status.WAITING if not delivery.problem:
            return Badge(_("Waiting"), "", "clock")
    word = _word(delivery.problem, status_code)
    if delivery.status == Delivery.Status.WAITING:
        return Badge(word, "warn", "clock-alert")
    return Badge(word, "danger", "circle-x")


def _word(problem: str, status_code: int | None) -> str:
    if problem == FailureReason.STATUS and status_code:
        return str(status_code)
    return WORDS[FailureReason(problem)] if problem else _("Failed")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table of deliveries."""

    delivery: Delivery
    badge: Badge
    took_milliseconds: int | None


def rows_of(deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Order deliveries, newest first, with what came of each one's last attempt."""
    last = Attempt.objects.filter(delivery=OuterRef("pk")).order_by("-number")
    return (
        deliveries.defer("body")
        .annotate(
            last_status_code=Subquery(last.values("status_code")[:1]),
            last_took=Subquery(last.values("took_milliseconds")[:1]),
        )
        .order_by("-pk")
    )


def row_of(delivery: Any) -> Row:
    """Return the line for a delivery that comes from rows_of."""
    badge = badge_of_delivery(delivery, delivery.last_status_code)
    return Row(delivery, badge, delivery.last_took)


def counts_of(webhook: Webhook) -> dict[str, int]:
    """Return how many deliveries failed, and of the last days how many arrived."""
    recent = Q(created_at__gte=timezone.now() - timedelta(days=DAYS), is_test=False)
    delivered = Q(status=Delivery.Status.DELIVERED)
    failed = Q(status=Delivery.Status.FAILED)
    counts: dict[str, int] = webhook.deliveries.aggregate(
        all=Count("pk"),
        failed=Count("pk", filter=failed),
        missed=Count("pk", filter=failed & Q(is_test=False)),
        recent_ended=Count("pk", filter=recent & (delivered | failed)),
        recent_delivered=Count("pk", filter=recent & delivered),
    )
    return counts


ATTEMPTS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Exchange:
    """An opened delivery: its attempts, and request and answer of one of them."""

    delivery: Delivery
    badge: Badge
    attempts: list[tuple[Attempt, Badge]]
    attempt: Attempt | None
    body: str
    advice: str
    is_live: bool

    @property
    def response_body(self) -> str:
        return self._whole_response_body[:SHOWN_MAX_LENGTH]

    @property
    def _whole_response_body(self) -> str:
        body: str = getattr(
            self.attempt, "shown_body", ""
        )  # of all attempts, one has it
        return body

    @property
    def is_cut(self) -> bool:
        return self.attempt is not None and (
            self.attempt.is_truncated
            or len(self._whole_response_body) > SHOWN_MAX_LENGTH
        )


def exchange_of(delivery: Delivery, number: int | None) -> Exchange:
    """Open a delivery at one of its attempts; without such a one, the last."""
    newest = delivery.attempts.order_by("-number")
    is_shown = Q(number=number or 0) | Q(number=Subquery(newest.values("number")[:1]))
    attempts = list(
        newest.defer("response_body").annotate(
            shown_body=Case(
                When(is_shown, then=F("response_body")),
                default=Value(""),
                output_field=TextField(),
            )
        )[:ATTEMPTS_SHOWN]
    )
    chosen = next((one for one in attempts if one.number == number), None)
    status_code = attempts[0].status_code if attempts else None
    return Exchange(
        delivery=delivery,
        badge=badge_of_delivery(delivery, status_code),
        attempts=[(one, _badge_of_attempt(one)) for one in attempts],
        attempt=chosen or (attempts[0] if attempts else None),
        body=_indented(shown_body(delivery))[:SHOWN_MAX_LENGTH],
        advice=ADVICE[FailureReason(delivery.problem)] if delivery.problem else "",
        is_live=delivery.is_open and delivery.due_at <= timezone.now() + SOON,
    )


def _badge_of_attempt(attempt: Attempt) -> Badge:
    if attempt.ended_at is None:
        return Badge(_("Sending"), "live")
    if attempt.problem:
        return Badge(_word(attempt.problem, attempt.status_code), "danger")
    return Badge(str(attempt.status_code or _("Delivered")), "ok")


def _indented(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
