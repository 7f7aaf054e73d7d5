"""Count pulls by day, exactly once, and say what the counts mean.

    a pull        a manifest fetched by tag, or by a digest that no index here lists
    not a pull    an image fetched by a digest that an index lists: the index was the
                  pull; it is counted apart, as the platform that the client chose

DailyPulls is what counts; Repository.pull_count is its sum, and recount_pulls makes it
so again. What is older than DETAIL_DAYS keeps one row a day.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce
from django.dispatch import Signal
from django.utils import timezone

from database.locking import retry_deadlocks
from database.sql import change_rows
from repositories.models import (
    CountedBatch,
    DailyPlatformPulls,
    DailyPulls,
    ImageConfig,
    ManifestReference,
    Repository,
    Tag,
)
from repositories.oci.documents import ReferenceKind

DETAIL_DAYS = 90  # for so long tags, platforms and clients are told apart
BATCH_MEMORY = timedelta(days=30)  # a batch older than this does not come again
BATCH = 500  # rows of one statement

_ADD_PULLS = """
INSERT INTO repositories_dailypulls
  (repository_id, day, tag, platform, client, pull_count)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (repository_id, day, tag, platform, client)
DO UPDATE SET pull_count = repositories_dailypulls.pull_count + EXCLUDED.pull_count"""

_ADD_PLATFORM_PULLS = """
INSERT INTO repositories_dailyplatformpulls (repository_id, day, platform, pull_count)
VALUES (%s, %s, %s, %s)
ON CONFLICT (repository_id, day, platform)
DO UPDATE SET
  pull_count = repositories_dailyplatformpulls.pull_count + EXCLUDED.pull_count"""


# Sent with ``pulls`` (how often each Fetch came, with the tag that it counts for) and
# ``fetched_at``, in the transaction that counts them: whoever writes rows of it does so
# once, and what the database refuses there is counted and told the next time.
pulls_counted = Signal()


@dataclass(frozen=True, slots=True)
class Fetch:
    """A manifest that was sent: by which tag ("" for by digest), to what client."""

    repository_id: int
    digest: str
    tag: str
    client: str
    day: date


@retry_deadlocks
def count_fetches(
    *, batch: str, fetches: Mapping[Fetch, int], fetched_at: datetime
) -> bool:
    """Add a batch of fetches to the days; False if this batch was counted before.

    One transaction, so a batch counts whole or not at all. Fetches of repositories that
    were deleted in the meantime are dropped.
    """
    ids = {fetch.repository_id for fetch in fetches}
    with transaction.atomic():
        try:
            with transaction.atomic():
                CountedBatch.objects.create(name=batch)
        except IntegrityError:
            return False
        tags = _lock_tags(fetches)
        there = set(
            Repository.objects.select_for_update(no_key=True)
            .filter(pk__in=ids)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        here = {f: count for f, count in fetches.items() if f.repository_id in there}
        listed = _platforms_in_indexes(here)
        pulls: Counter[Fetch] = Counter()
        chosen: Counter[tuple[int, date, str]] = Counter()
        for fetch, count in here.items():
            platform = listed.get((fetch.repository_id, fetch.digest))
            if fetch.tag or platform is None:
                pulls[fetch] += count
            elif platform:
                chosen[fetch.repository_id, fetch.day, platform] += count
        pulls = _with_their_tags(pulls, tags)
        _add_pulls(pulls, tags, fetched_at)
        if pulls:
            pulls_counted.send(sender=DailyPulls, pulls=pulls, fetched_at=fetched_at)
        for (repository_id, day, platform), count in sorted(chosen.items()):
            change_rows(
                _ADD_PLATFORM_PULLS, (repository_id, day.isoformat(), platform, count)
            )
    return True


def _with_their_tags(
    pulls: Mapping[Fetch, int], tags: Mapping[tuple[int, str], Mapping[str, int]]
) -> Counter[Fetch]:
    """Return which tag was pulled, also by those who ask for its digest first.

    containerd and Kubernetes do. Where several tags point to the digest, it is unknown.
    """
    named: Counter[Fetch] = Counter()
    for fetch, count in pulls.items():
        pointing = tags.get((fetch.repository_id, fetch.digest), {})
        if not fetch.tag and len(pointing) == 1:
            named[replace(fetch, tag=next(iter(pointing)))] += count
        else:
            named[fetch] += count
    return named


def _add_pulls(
    pulls: Mapping[Fetch, int],
    tags: Mapping[tuple[int, str], Mapping[str, int]],
    fetched_at: datetime,
) -> None:
    platforms = _platforms_of_images(pulls)
    rows: Counter[tuple[Any, ...]] = Counter()
    totals: Counter[int] = Counter()
    pulled: set[int] = set()
    for fetch, count in pulls.items():
        key = (fetch.repository_id, fetch.digest)
        tag = fetch.tag
        pointing = tags.get(key, {})
        pulled |= {pk for name, pk in pointing.items() if tag in ("", name)}
        day = fetch.day.isoformat()
        row = (fetch.repository_id, day, tag, platforms.get(key, ""), fetch.client)
        rows[row] += count
        totals[fetch.repository_id] += count
    for row, count in sorted(rows.items()):
        change_rows(_ADD_PULLS, (*row, count))
    for repository_id, count in sorted(totals.items()):
        Repository.objects.filter(pk=repository_id).update(
            pull_count=F("pull_count") + count
        )
    Tag.objects.filter(pk__in=pulled).filter(
        Q(last_pulled_at=None) | Q(last_pulled_at__lt=fetched_at)
    ).update(last_pulled_at=fetched_at)


def _platforms_in_indexes(fetches: Iterable[Fetch]) -> dict[tuple[int, str], str]:
    """Return the platform of each manifest that an index of its repository lists."""
    by_digest = [fetch for fetch in fetches if not fetch.tag]
    rows = ManifestReference.objects.filter(
        repository__in={fetch.repository_id for fetch in by_digest},
        digest__in={fetch.digest for fetch in by_digest},
        kind=ReferenceKind.CHILD,
    )
    return {
        (repository_id, digest): platform
        for repository_id, digest, platform in rows.values_list(
            "repository", "digest", "platform"
        )
    }


def _platforms_of_images(fetches: Iterable[Fetch]) -> dict[tuple[int, str], str]:
    configs = ImageConfig.objects.filter(
        manifest__repository__in={fetch.repository_id for fetch in fetches},
        manifest__digest__in={fetch.digest for fetch in fetches},
    ).select_related("manifest")
    return {
        (config.manifest.repository_id, config.manifest.digest): config.platform
        for config in configs.defer(
            "document", "manifest__payload", "manifest__referrer_annotations"
        )
    }


def _lock_tags(
    fetches: Iterable[Fetch],
) -> dict[tuple[int, str], dict[str, int]]:
    """Return the tags that point to each manifest, with their keys, and lock them.

    Before the repositories, as a push does (database/locking.py).
    """
    rows = (
        Tag.objects.select_for_update(of=("self",), no_key=True)
        .filter(
            repository__in={fetch.repository_id for fetch in fetches},
            manifest__digest__in={fetch.digest for fetch in fetches},
        )
        .order_by("repository", "name")
        .values_list("repository", "manifest__digest", "name", "pk")
    )
    found: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
    for repository_id, digest, name, pk in rows:
        found[repository_id, digest][name] = pk
    return found


def recount_pulls() -> int:
    """Make every repository's count the sum of its days; return how many were wrong."""
    days = DailyPulls.objects.filter(repository=OuterRef("pk")).order_by()
    total = Coalesce(
        Subquery(days.values("repository").annotate(n=Sum("pull_count")).values("n")), 0
    )
    counted = Repository.objects.annotate(total=total)
    wrong = counted.exclude(pull_count=F("total")).values_list("pk", flat=True)
    corrected = 0
    for pk in list(wrong):
        with transaction.atomic():
            # Whoever counts holds this row; the sum is taken after they let it go.
            Repository.objects.select_for_update(no_key=True).filter(pk=pk).first()
            corrected += Repository.objects.filter(pk=pk).update(
                pull_count=Coalesce(
                    Subquery(
                        DailyPulls.objects.filter(repository=pk)
                        .order_by()
                        .values("repository")
                        .annotate(n=Sum("pull_count"))
                        .values("n")
                    ),
                    0,
                )
            )
    return corrected


def thin_out(*, today: date | None = None) -> int:
    """Give days older than DETAIL_DAYS one row each; return how many rows went.

    A day at a time and in one transaction each, so that no count is lost or doubled.
    """
    oldest = (today or timezone.now().date()) - timedelta(days=DETAIL_DAYS)
    detailed = DailyPulls.objects.filter(day__lt=oldest).exclude(
        tag="", platform="", client=""
    )
    removed = 0
    for day in detailed.values_list("day", flat=True).distinct().order_by("day"):
        with transaction.atomic():
            rows = DailyPulls.objects.filter(day=day)
            locked = list(rows.select_for_update().order_by("pk"))
            sums: Counter[int] = Counter()
            for row in locked:
                sums[row.repository_id] += row.pull_count
            rows.filter(pk__in=[row.pk for row in locked]).delete()
            DailyPulls.objects.bulk_create(
                [
                    DailyPulls(repository_id=pk, day=day, pull_count=count)
                    for pk, count in sums.items()
                ],
                batch_size=BATCH,
            )
        removed += len(locked) - len(sums)
    DailyPlatformPulls.objects.filter(day__lt=oldest).delete()
    CountedBatch.objects.filter(counted_at__lt=timezone.now() - BATCH_MEMORY).delete()
    return removed
