"""The first page: categories, official and trending images."""

from dataclasses import dataclass

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from accounts.actors import Actor
from hub.drawing.charts import small_spark
from repositories.models import Category, Event, Repository, SearchEntry
from repositories.pulls.statistics import pulls_of_each
from search.query import SearchQuery, Sort
from search.results import BoundedCount, count_matches, find_ids

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
        """The points of a small line."""
        return small_spark(self.pulls)


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
    # Twice as many: what was made recently and is empty stands among them.
    updated_ids = find_ids(actor, SearchQuery(sort=Sort.UPDATED), 2 * LATELY_SHOWN)
    found = _fetch(actor, [*official_ids, *trending_ids, *updated_ids])
    pulls = pulls_of_each(trending_ids, days=DAYS_SHOWN)
    return Explored(
        count=count_matches(actor, SearchQuery()),
        categories=list(_categories()),
        official=[found[pk] for pk in official_ids if pk in found],
        trending=[Trend(found[pk], pulls[pk]) for pk in trending_ids if pk in found],
        updated=[
            found[pk] for pk in updated_ids if pk in found and found[pk].pushed_at
        ][:LATELY_SHOWN],
    )


def _categories() -> QuerySet[Category]:
    """Return the categories of public repositories, with numbers (public_count)."""
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
