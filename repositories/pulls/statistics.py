"""Reads how often images were pulled: by day, tag, client and platform."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Sum
from django.utils import timezone

from repositories.models import DailyPlatformPulls, DailyPulls, Repository


@dataclass(frozen=True, slots=True)
class DayOfPulls:
    """One bar of the picture."""

    day: date
    pull_count: int


def pulls_per_day(
    repository: Repository, *, days: int, today: date | None = None
) -> list[DayOfPulls]:
    """Return the last days, oldest first, the quiet ones with 0. One query."""
    last = today or timezone.now().date()
    first = last - timedelta(days=days - 1)
    counts = dict(
        DailyPulls.objects.filter(repository=repository, day__gte=first)
        .values_list("day")
        .annotate(count=Sum("pull_count"))
        .order_by()
    )
    wanted = [first + timedelta(days=number) for number in range(days)]
    return [DayOfPulls(day, counts.get(day, 0)) for day in wanted]


def pulls_of_each(
    repository_ids: Iterable[int], *, days: int, today: date | None = None
) -> dict[int, list[int]]:
    """Return the pulls of the last days, oldest first, of each. One query."""
    ids = list(repository_ids)
    last = today or timezone.now().date()
    wanted = [last - timedelta(days=ago) for ago in reversed(range(days))]
    rows = (
        DailyPulls.objects.filter(repository__in=ids, day__gte=wanted[0])
        .values_list("repository_id", "day")
        .annotate(count=Sum("pull_count"))
        .order_by()
    )
    counts: dict[int, dict[date, int]] = defaultdict(dict)
    for repository_id, day, count in rows:
        counts[repository_id][day] = count
    return {pk: [counts[pk].get(day, 0) for day in wanted] for pk in ids}


def pulls_by(
    repository: Repository, column: str, *, days: int, today: date | None = None
) -> dict[str, int]:
    """Return the pulls of the last days by ``tag`` or ``client``, most first."""
    first = (today or timezone.now().date()) - timedelta(days=days - 1)
    rows = (
        DailyPulls.objects.filter(repository=repository, day__gte=first)
        .values_list(column)
        .annotate(count=Sum("pull_count"))
        .order_by("-count", column)
    )
    return dict(rows)


def pulls_by_platform(
    repository: Repository, *, days: int, today: date | None = None
) -> dict[str, int]:
    """Return which platforms were pulled, whether through an index or not."""
    first = (today or timezone.now().date()) - timedelta(days=days - 1)
    counts: Counter[str] = Counter()
    for model in (DailyPulls, DailyPlatformPulls):
        rows = (
            model.objects.filter(repository=repository, day__gte=first)
            .exclude(platform="")
            .values_list("platform")
            .annotate(count=Sum("pull_count"))
            .order_by()
        )
        counts.update(dict(rows))
    return dict(counts.most_common())
