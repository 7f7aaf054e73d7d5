"""Trend scores: recomputed from time to time by a task.

A score is a sum over SOURCES: of each, how much happened to a repository since a time,
and what one of it counts. It is taken for the last day, week and month (WINDOWS), and
what is recent is in all three: so it decays in steps. A repository
without any of these in a week does not trend.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from math import log2

from django.db.models import Count, Sum
from django.db.models.functions import TruncDay
from django.utils import timezone

from database.sql import change_rows
from repositories.models import DailyPulls, Event, SearchEntry, Star
from search.triggers import weight_sql

WEEK = timedelta(days=7)
WINDOWS = ((timedelta(days=1), 2.0), (WEEK, 1.0), (timedelta(days=30), 0.25))
BATCH_ROWS = 1000


def _stars_since(since: datetime) -> dict[int, float]:
    stars = Star.objects.filter(created_at__gte=since).values_list("repository")
    return dict(stars.annotate(count=Count("pk")))


def _days_with_pushes_since(since: datetime) -> dict[int, float]:
    """Return the weight of pushes: a hundred by a nightly build count like one."""
    pushes = Event.objects.filter(
        kind=Event.Kind.TAG_PUSHED, at__gte=since, repository__isnull=False
    )
    by_day = pushes.values_list("repository").annotate(
        count=Count(TruncDay("at"), distinct=True)
    )
    return dict(by_day)


def _pulls_since(since: datetime) -> dict[int, float]:
    """Their logarithm: one busy cluster is not a hundred people."""
    pulls = DailyPulls.objects.filter(day__gte=since.date()).values_list("repository")
    return {
        repository_id: log2(1 + count)
        for repository_id, count in pulls.annotate(count=Sum("pull_count"))
    }


SOURCES: tuple[tuple[Callable[[datetime], dict[int, float]], float], ...] = (
    (_stars_since, 5.0),
    (_days_with_pushes_since, 1.0),
    (_pulls_since, 2.0),
)


def refresh() -> int:
    """Bring pulls and trends of the search up to date; return how many rows changed.

    Only rows that differ are written, so it costs what happened, not what there is.
    """
    return _refresh_pulls() + _refresh_trends()


def _refresh_pulls() -> int:
    entry = "repositories_searchentry"
    sql = f"""
UPDATE {entry} SET pull_count = r.pull_count,
       weight = {weight_sql(entry, f"{entry}.star_count", "r.pull_count")}
  FROM repositories_repository r
 WHERE r.id = {entry}.repository_id AND r.pull_count <> {entry}.pull_count"""
    return change_rows(sql, ())


def _scores(now: datetime) -> dict[int, float]:
    of_week: set[int] = set()
    scores: dict[int, float] = {}
    for window, weight in WINDOWS:
        for counts_since, value in SOURCES:
            for repository_id, count in counts_since(now - window).items():
                score = scores.get(repository_id, 0.0) + weight * value * count
                scores[repository_id] = score
                if window <= WEEK:
                    of_week.add(repository_id)
    return {pk: score for pk, score in scores.items() if pk in of_week}


def _refresh_trends() -> int:
    scores = _scores(timezone.now())
    trending = SearchEntry.objects.exclude(trend_score=0)
    there = dict(trending.values_list("pk", "trend_score"))
    changed = [
        SearchEntry(pk=pk, trend_score=scores.get(pk, 0.0))
        for pk in sorted(there.keys() | scores.keys())
        if scores.get(pk, 0.0) != there.get(pk, 0.0)
    ]
    return SearchEntry.objects.bulk_update(
        changed, ["trend_score"], batch_size=BATCH_ROWS
    )
