"""What receivers say they made of an image, by Docker Hub's callback_url."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from django.db import transaction
from django.utils import timezone

from repositories.models import Repository
from webhooks.models import Delivery, Report

CONTEXTS_MAX = 10  # of one delivery
DESCRIPTION_MAX_LENGTH = 255
CONTEXT_MAX_LENGTH = 100


class ReportInvalid(ValueError):
    """A report that cannot be taken; ``field`` is why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def record_report(
    *,
    delivery: Delivery,
    state: str,
    description: str = "",
    context: str = "",
    target_url: str = "",
) -> Report:
    """Keep what the receiver of a delivery reports; the last word of a context counts.

    Long texts are cut. Raises ReportInvalid.
    """
    if state not in Report.State.values:
        raise ReportInvalid("state", "a state is success, failure or error")
    repository_id = delivery.repository_id
    if repository_id is None or not delivery.tag:
        raise ReportInvalid("callback_url", "this delivery is about no image")
    if target_url and not _is_link(target_url):
        raise ReportInvalid("target_url", "not an http or https URL")
    context = context[:CONTEXT_MAX_LENGTH]
    with transaction.atomic():
        locked = Delivery.objects.select_for_update().get(pk=delivery.pk)
        others = Report.objects.filter(delivery=locked).exclude(context=context)
        if others.count() >= CONTEXTS_MAX:
            raise ReportInvalid("context", f"there are {CONTEXTS_MAX} contexts already")
        report, _ = Report.objects.update_or_create(
            delivery=locked,
            context=context,
            defaults={
                "webhook_id": locked.webhook_id,
                "repository_id": repository_id,
                "tag": locked.tag,
                "digest": locked.digest,
                "state": state,
                "description": description[:DESCRIPTION_MAX_LENGTH],
                "target_url": target_url,
                "at": timezone.now(),
            },
        )
    return report


def latest_reports(
    repository: Repository, digests_of_tags: Mapping[str, str]
) -> dict[str, list[Report]]:
    """Return the reports on what these tags point to now, newest first. One query."""
    found: dict[str, list[Report]] = {tag: [] for tag in digests_of_tags}
    reports = Report.objects.filter(
        repository=repository,
        tag__in=list(digests_of_tags),
        digest__in=set(digests_of_tags.values()),
    )
    for report in reports.order_by("-at"):
        if digests_of_tags[report.tag] == report.digest:
            found[report.tag].append(report)
    return found


def _is_link(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and len(url) <= 2000
        and url.isprintable()
    )
