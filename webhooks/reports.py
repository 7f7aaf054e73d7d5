"""Reports of receivers about an image, by Docker Hub's callback_url."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from repositories.models import Repository, Tag
from repositories.tag_statuses import TagStatus
from webhooks.models import Delivery, Report

CONTEXTS_MAX = 10  # of one delivery
DESCRIPTION_MAX_LENGTH = 255
CONTEXT_MAX_LENGTH = 100
LOOKED_AT = 500  # reports, the newest, for one page of tags
EXPIRE_CHUNK = 500

_WITHOUT_WORDS: dict[str, Any] = {
    Report.State.SUCCESS: _("used with success"),
    Report.State.FAILURE: _("used with failure"),
    Report.State.ERROR: _("used with an error"),
}


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
    """Return the reports on what these tags point to now, newest first. One query.

    Of each webhook and context the last word.
    """
    found: dict[str, list[Report]] = {tag: [] for tag in digests_of_tags}
    reports = Report.objects.filter(
        repository=repository,
        tag__in=list(digests_of_tags),
        digest__in=set(digests_of_tags.values()),
    )
    seen: set[tuple[str, int, str]] = set()
    for report in reports.order_by("-at")[:LOOKED_AT]:
        said = (report.tag, report.webhook_id, report.context)
        if digests_of_tags[report.tag] == report.digest and said not in seen:
            seen.add(said)
            found[report.tag].append(report)
    return found


def statuses_of_tags(
    *, repository: Repository, digests_of_tags: Mapping[str, str], **signal: Any
) -> dict[str, list[TagStatus]]:
    """Answer the pages of tags with what receivers reported."""
    return {
        tag: [
            TagStatus(
                text=report.description or str(_WITHOUT_WORDS[report.state]),
                is_good=report.state == Report.State.SUCCESS,
                at=report.at,
                context=report.context,
                url=report.target_url,
            )
            for report in reports
        ]
        for tag, reports in latest_reports(repository, digests_of_tags).items()
    }


def expire_reports(before: datetime) -> int:
    """Delete older reports on what no tag points to any more; return how many."""
    current = Tag.objects.filter(
        repository=OuterRef("repository"),
        name=OuterRef("tag"),
        manifest__digest=OuterRef("digest"),
    )
    old = Report.objects.filter(~Exists(current), at__lt=before)
    count = 0
    while ids := list(old.order_by("pk").values_list("pk", flat=True)[:EXPIRE_CHUNK]):
        count += Report.objects.filter(pk__in=ids).delete()[0]
    return count


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
