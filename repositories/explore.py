"""What the first page shows: shelves, official images, what is looked at lately."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone

from accounts.actors import Actor
from repositories.models import Category, DailyPulls, Event, Repository, SearchEntry
from repositories.queries import SearchQuery, Sort
from repositories.search import BoundedCount, count_matches, find_ids

OFFICIAL_SHOWN = 8
LATELY_SHOWN = 5
DAYS_SHOWN = 7


@dataclass(frozen=True)
class Trend:
    """A repository that is looked at, and its pulls of each of the last days."""

    repository: Repository
    pulls: list[int]

    @property
    def pull_count(self) -> int:
        return sum(self.pulls)

    @property
    def line(self) -> str:
        """The points of a picture of 80 by 24, for an SVG polyline."""
        highest = max(self.pulls) or 1
        step = 80 / (len(self.pulls) - 1)
        return " ".join(
            f"{place * step:.1f},{21 - 18 * count / highest:.1f}"
            for place, count in enumerate(self.pulls)
        )


@dataclass(frozen=True)
class Explored:
    """The lists of the first page."""

    count: BoundedCount
    categories: list[Category]
    official: list[Repository]
    trending: list[Trend]
    updated: list[Repository]


def explore(actor: Actor) -> Explored:
    """Gather what the actor may see. A handful of queries, however many there are."""
    public = SearchEntry.objects.filter(is_public=True)
    best = public.filter(is_official=True).order_by("-weight", "repository")
    trending = public.filter(trend_score__gt=0).order_by("-trend_score", "repository")
    official_ids = _ids(best, OFFICIAL_SHOWN)
    trending_ids = _ids(trending, LATELY_SHOWN)
    updated_ids = find_ids(actor, SearchQuery(sort=Sort.UPDATED), LATELY_SHOWN)
    found = _fetch(actor, [*official_ids, *trending_ids, *updated_ids])
    pulls = _pulls_by_day(trending_ids)
    return Explored(
        count=count_matches(actor, SearchQuery()),
        categories=list(_shelves()),
        official=[found[pk] for pk in official_ids if pk in found],
        trending=[Trend(found[pk], pulls[pk]) for pk in trending_ids if pk in found],
        updated=[
            found[pk] for pk in updated_ids if pk in found and found[pk].pushed_at
        ],
    )


def _shelves() -> QuerySet[Category]:
    """The categories that something public stands on, with how much (public_count)."""
    return Category.objects.annotate(
        public_count=Count(
            "repositories", filter=Q(repositories__search_entry__is_public=True)
        )
    ).filter(public_count__gt=0)


def _ids(entries: QuerySet[SearchEntry], count: int) -> list[int]:
    return list(entries.values_list("pk", flat=True)[:count])


def _fetch(actor: Actor, ids: list[int]) -> dict[int, Repository]:
    """Fetch in one query, with the event of the last push (last_push)."""
    pushes = Event.objects.filter(
        repository=OuterRef("pk"), kind=Event.Kind.TAG_PUSHED
    ).order_by("-pk")
    rows = (
        Repository.objects.visible_to(actor)
        .filter(pk__in=ids)
        .with_full_name()
        .defer("readme")
        .annotate(
            last_push=Subquery(pushes.values("detail")[:1]),
            last_push_by=Subquery(pushes.values("actor_name")[:1]),
        )
    )
    return {row.pk: row for row in rows}


def _pulls_by_day(ids: list[int]) -> dict[int, list[int]]:
    today = timezone.now().date()
    days = [today - timedelta(days=n) for n in reversed(range(DAYS_SHOWN))]
    rows = (
        DailyPulls.objects.filter(repository__in=ids, day__gte=days[0])
        .values_list("repository_id", "day")
        .annotate(count=Sum("pull_count"))
    )
    counts: dict[int, dict[date, int]] = defaultdict(dict)
    for repository_id, day, count in rows:
        counts[repository_id][day] = count
    return {pk: [counts[pk].get(day, 0) for day in days] for pk in ids}
