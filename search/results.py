"""Find repositories by words; everyone finds only what they may see.

Ranking: a word is the exact name, then names that begin with one, then names that have
them all, then descriptions; in each, official and verified ones first, then stars, then
pulls (SearchEntry.weight), then the older one.

A million repositories are searched without reading a million rows:

* What is public and what is the actor's own are asked separately, since each has an
  index of its own.
* Common words are found among the best WALK_ROWS entries, in their order. Only words
  that are too rare to fill a page there are looked up in the index of trigrams, and
  then there are not many of them. So neither depends on what the database guesses.
* Nothing is counted beyond RESULTS_MAX.

The entries say what is found and in which order; the repositories are then fetched
through visible_to, which has the last word.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.conf import settings
from django.db.models import Exists, OuterRef, Prefetch, Value

from accounts.actors import Actor
from repositories.models import Category, Repository, Star
from repositories.models.repositories import RepositoryQuerySet
from repositories.oci.platforms import architectures_of, systems_of
from search.query import PAGE_SIZE, RESULTS_MAX, SearchQuery, parse_query
from search.statements import Statements


@dataclass(frozen=True, slots=True)
class BoundedCount:
    """How many there are; ``is_exact`` is False for "at least so many"."""

    value: int
    is_exact: bool = True


@dataclass(frozen=True)
class Facets:
    """How many of what the words find have which property; at least, if not exact."""

    total: BoundedCount
    official: int = 0
    verified: int = 0
    starred: int = 0
    systems: Counter[str] = field(default_factory=Counter)
    architectures: Counter[str] = field(default_factory=Counter)
    categories: list[tuple[Category, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Results:
    """One page of what was found."""

    query: SearchQuery
    repositories: list[Repository]
    size: int
    has_next: bool

    @property
    def first(self) -> int:
        """The place of the first one on the page, counted from 1."""
        return (self.query.page - 1) * self.size + 1

    @property
    def last(self) -> int:
        return self.first + len(self.repositories) - 1


def search(
    actor: Actor,
    query: SearchQuery,
    *,
    size: int = PAGE_SIZE,
    with_categories: bool = True,
) -> Results:
    """Return one page of what the actor may see of it, best first."""
    return _results(Statements(actor, query), size, with_categories=with_categories)


def search_with_total(
    actor: Actor,
    query: SearchQuery,
    *,
    size: int = PAGE_SIZE,
    with_categories: bool = True,
) -> tuple[Results, BoundedCount]:
    """Return one page, and how many there are on all of them."""
    asked = Statements(actor, query)
    count = _bounded(sum(row[-1] for row in asked.count()))
    return _results(asked, size, with_categories=with_categories), count


def search_with_counts(
    actor: Actor, query: SearchQuery
) -> tuple[Results, BoundedCount, Facets]:
    """Return what a page shows; behind the last page is the last page."""
    asked = Statements(actor, query)
    facets = _facets(asked.asking(query.without_filters()))
    count = facets.total
    if query.has_filters:
        count = _bounded(sum(row[-1] for row in asked.count()))
    last_page = max(1, -(-count.value // PAGE_SIZE))
    page = replace(query, page=min(query.page, last_page))
    return _results(asked.asking(page), PAGE_SIZE), count, facets


def _results(asked: Statements, size: int, *, with_categories: bool = True) -> Results:
    actor, query = asked.actor, asked.query
    start = (query.page - 1) * size
    if start >= RESULTS_MAX:
        return Results(query, [], size, has_next=False)
    ids = asked.find(start + size + 1)[start:]
    return Results(
        query,
        fetch_in_order(actor, ids[:size], with_categories=with_categories),
        size,
        has_next=len(ids) > size and start + size < RESULTS_MAX,
    )


def find_ids(actor: Actor, query: SearchQuery, count: int) -> list[int]:
    """Return the ids of the best matches; fetch_in_order has the last word on them."""
    return Statements(actor, query).find(count)


def count_matches(actor: Actor, query: SearchQuery) -> BoundedCount:
    """Count what a search finds on all its pages, up to RESULTS_MAX."""
    return _bounded(sum(row[-1] for row in Statements(actor, query).count()))


def count_facets(actor: Actor, query: SearchQuery) -> Facets:
    """Count what the words of the query find, its filters apart, by property."""
    return _facets(Statements(actor, query.without_filters()))


def _facets(words: Statements) -> Facets:
    official = verified = total = 0
    systems: Counter[str] = Counter()
    architectures: Counter[str] = Counter()
    for platforms, is_official, is_verified, count in words.count(
        "platforms", "is_official", "is_verified"
    ):
        total += count
        official += count if is_official else 0
        verified += count if is_verified else 0
        for system in systems_of(platforms):
            systems[system] += count
        for architecture in architectures_of(platforms):
            architectures[architecture] += count
    return Facets(
        total=_bounded(total),
        official=official,
        verified=verified,
        starred=words.count_starred(),
        systems=systems,
        architectures=architectures,
        categories=words.count_categories(),
    )


def read_query(text: str, parameters: Mapping[str, list[str]] = {}) -> SearchQuery:
    """Read what a page, the API or docker searches for: the same for all of them.

    Of a pasted command or address only the image is left.
    """
    text = text.strip().removeprefix("docker pull ").strip()
    text = text.removeprefix(f"{settings.BERTH_URL}/")
    return parse_query(text.removeprefix(f"{settings.BERTH_SERVICE}/"), parameters)


def suggest(actor: Actor, text: str, *, size: int = 8) -> list[Repository]:
    """Return what someone who has typed so far may be looking for."""
    query = read_query(text)
    if not query.words:
        return []
    return search(actor, query, size=size, with_categories=False).repositories


def fetch_in_order(
    actor: Actor, ids: Sequence[int], *, with_categories: bool = True
) -> list[Repository]:
    """Return the repositories of these ids that the actor may see, in their order."""
    rows = with_search_results(
        Repository.objects.visible_to(actor).filter(pk__in=ids), actor
    )
    if with_categories:
        rows = rows.prefetch_related(Prefetch("categories", Category.objects.all()))
    found = {row.pk: row for row in rows}
    return [found[pk] for pk in ids if pk in found]


def with_search_results(rows: RepositoryQuerySet, actor: Actor) -> RepositoryQuerySet:
    """Add what a list of results shows: owner, platforms, is_starred."""
    stars = Star.objects.filter(user=actor.user_id, repository=OuterRef("pk"))
    is_starred = Value(False) if actor.user_id is None else Exists(stars)
    return (
        rows.select_related(
            "namespace__organization", "namespace__user", "search_entry"
        )
        .annotate(is_starred=is_starred)
        .defer("readme")
    )


def _bounded(count: int) -> BoundedCount:
    return BoundedCount(min(count, RESULTS_MAX), is_exact=count <= RESULTS_MAX)
