"""The statements of a search, as subqueries that the ORM compiled."""

from collections.abc import Iterable, Sequence
from functools import cached_property, reduce
from operator import and_, or_
from typing import Any

from django.db import connection
from django.db.models import (
    Case,
    Count,
    F,
    IntegerField,
    Q,
    QuerySet,
    TextField,
    Value,
    When,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Concat

from accounts.actions import Action
from accounts.actors import Actor
from accounts.models import Namespace
from accounts.namespace_rights import namespaces_with_standing
from repositories.models import Category, Repository, RepositoryLabel, SearchEntry, Star
from repositories.models.repositories import (
    granted_to,
    may_pull,
    within_ceiling,
)
from repositories.oci.platforms import bits_of
from search.query import RESULTS_MAX, SearchQuery, Sort, is_short

WALK_ROWS = 4000
EXACT, BEGINNING, NAMED, DESCRIBED = range(4)  # ranks
_LAST = chr(0x10FFFF)  # behind every text that begins so
_COLUMN = {
    Sort.BEST: "weight",
    Sort.UPDATED: "updated_at",
    Sort.PULLS: "pull_count",
    Sort.STARS: "star_count",
}

Subquery = tuple[str, tuple[Any, ...]]  # SQL and its parameters


class Statements:
    """One query of one actor, as the subqueries of one or two statements."""

    def __init__(self, actor: Actor, query: SearchQuery) -> None:
        self.actor = actor
        self.query = query
        self.words = query.words
        self.column = _COLUMN[query.sort]
        self.is_ranked = query.sort is Sort.BEST and bool(query.words)

    def asking(self, query: SearchQuery) -> "Statements":
        """Return another query of the same actor, who has the same namespaces."""
        other = Statements(self.actor, query)
        other._namespaces = self._namespaces
        return other

    def find(self, wanted: int) -> list[int]:
        """Return the ids of the best entries, so many as are wanted or there are."""
        if Action.PULL not in self.actor.ceiling.actions or self._reaches_nothing():
            return []
        subqueries = [
            *self._named_exactly(wanted),
            self._walk(wanted),
            *(
                _subquery(self._ranked(own), wanted, self.column)
                for own in self._own(self._read())
            ),
        ]
        rows = _fetch(subqueries)
        rows += _fetch(self._too_rare(rows, wanted))
        return _best(rows, wanted)

    def count(self, *columns: str) -> list[tuple[Any, ...]]:
        """Count matches by these columns, at most one more than RESULTS_MAX of each."""
        if Action.PULL not in self.actor.ceiling.actions or self._reaches_nothing():
            return []
        found = [
            entries.values_list("repository_id", *columns)
            for entries in (
                *self._own(self._read()),
                self._public().filter(self._matching()),
            )
        ]
        # Own ones may be owned and granted; none of those is public.
        subqueries = [_sql(entries[: RESULTS_MAX + 1]) for entries in found]
        union = " UNION ".join(
            f"SELECT * FROM ({sql}) AS own" for sql, _ in subqueries[:-1]
        )
        public = f"SELECT * FROM ({subqueries[-1][0]}) AS found"
        sql = f"{union} UNION ALL {public}" if union else public
        listed = "".join(f"{column}, " for column in columns)
        by = f" GROUP BY {', '.join(columns)}" if columns else ""
        return _execute(
            f"SELECT {listed}COUNT(*) FROM ({sql}) AS hits{by}",
            [value for _, parameters in subqueries for value in parameters],
        )

    def count_starred(self) -> int:
        if self.actor.user_id is None:
            return 0
        starred = Star.objects.filter(user=self.actor.user_id).values("repository")
        return self._visible().filter(repository__in=starred).count()

    def count_categories(self) -> list[tuple[Category, int]]:
        """Return the categories in their order, with the number of matches in each."""
        through = Repository.categories.through
        shelved = (
            self._visible()
            .filter(repository__in=through.objects.values("repository_id"))
            .values("repository_id")
        )
        categories = Category.objects.annotate(
            match_count=Count(
                "repositories", filter=Q(repositories__in=shelved), distinct=True
            )
        )
        return [(category, category.match_count) for category in categories]

    # --- which entries

    def _reaches_nothing(self) -> bool:
        """Return whether the token is for some repositories, and none is left."""
        ceiling = self.actor.ceiling
        is_limited = (ceiling.repository_ids, ceiling.namespace_ids) != (None, None)
        return is_limited and not (ceiling.repository_ids or ceiling.namespace_ids)

    @cached_property
    def _namespaces(self) -> list[int]:
        """The actor's namespaces: few, and known before the rest is planned."""
        return list(namespaces_with_standing(self.actor).values_list("pk", flat=True))

    def _visible(self) -> QuerySet[SearchEntry]:
        """Return the matches that the actor may see, in one set; for few of them."""
        right = may_pull(
            self.actor, is_public=Q(is_public=True), repository="repository"
        )
        return _limited(SearchEntry.objects.filter(right), self).filter(
            self._matching()
        )

    def _public(self) -> QuerySet[SearchEntry]:
        return _limited(SearchEntry.objects.filter(is_public=True), self)

    def _own(self, matching: Q) -> list[QuerySet[SearchEntry]]:
        """Return the private matches that are the actor's by namespace or by grant."""
        if self.actor.is_anonymous:
            return []
        private = _limited(SearchEntry.objects.filter(is_public=False), self)
        matches = private.filter(matching)
        subqueries = [matches.filter(repository__in=granted_to(self.actor))]
        if self._namespaces:
            subqueries.append(matches.filter(namespace__in=self._namespaces))
        return subqueries

    def _read(self) -> Q:
        """Return what finds entries among few, where there is no use of an index."""
        if connection.vendor == "sqlite":
            return self._matching()  # its LIKE knows no case but ASCII's
        return _contains(self.words, "read_text")

    def _matching(self, column: str = "text") -> Q:
        """Return what finds entries that have every word in this column."""
        indexed = [word for word in self.words if len(word) >= 3]
        others = [word for word in self.words if len(word) < 3]
        if connection.vendor != "sqlite" or not indexed:
            return _contains(self.words, column)
        text = " AND ".join(f'{column} : "{_quoted(word)}"' for word in indexed)
        rowids = RawSQL(
            "SELECT rowid FROM repositories_searchtext "
            "WHERE repositories_searchtext MATCH %s",
            (text,),
        )
        return _contains(others, column) & Q(repository__in=rowids)

    # --- subqueries

    def _named_exactly(self, wanted: int) -> list[Subquery]:
        """Public entries whose name is a word, in the order of their index."""
        if not self.is_ranked:
            return []
        subqueries = []
        for word in self.words:
            others = [other for other in self.words if other != word]
            matches = _is_named(word) & _contains(others, "read_text")
            public = self._public().filter(matches).annotate(rank=Value(EXACT))
            subqueries.append(_subquery(public, wanted, None))
        return subqueries

    def _too_rare(self, rows: list[tuple[Any, ...]], wanted: int) -> list[Subquery]:
        """Return what has to be looked up, since the walk met too few of it.

        Each of the conditions holds the one before it; whatever the walk met too seldom
        to fill a page is rare, and so the order of what is looked up costs little.
        """
        ranks = {pk: rank for pk, is_public, rank, _ in rows if is_public}.values()
        if len(ranks) < wanted:
            rare = self._matching()
        elif not self.is_ranked:
            return []
        elif sum(rank <= NAMED for rank in ranks) < wanted:
            rare = self._matching("full_name")
        elif sum(rank <= BEGINNING for rank in ranks) < wanted:
            rare = _begins(self.words) & _contains(self.words, "read_text")
        else:
            return []
        return [
            _subquery(self._ranked(self._public().filter(rare)), wanted, self.column)
        ]

    def _walk(self, wanted: int) -> Subquery:
        """Public matches among the first entries of the order."""
        # The name stands for the first rows of the table, for this subquery only.
        table = SearchEntry._meta.db_table
        source = f"main.{table}" if connection.vendor == "sqlite" else table
        matches = self._public().filter(_contains(self.words, "read_text"))
        sql, parameters = _subquery(self._ranked(matches), wanted, self.column)
        return (
            f"WITH {table} AS (SELECT * FROM {source} WHERE is_public ORDER BY "
            f"{self.column} DESC, repository_id LIMIT {WALK_ROWS}) {sql}",
            parameters,
        )

    def _ranked(self, entries: QuerySet[SearchEntry]) -> QuerySet[SearchEntry]:
        if not self.is_ranked:
            # No number, so that no index is walked for the sake of the order.
            nothing = Case(When(is_public=True, then=Value(0)), default=Value(0))
            return entries.annotate(rank=nothing)
        return entries.annotate(
            rank=Case(
                When(_is_exact(self.words), then=Value(EXACT)),
                When(_begins(self.words), then=Value(BEGINNING)),
                When(_contains(self.words, "full_name"), then=Value(NAMED)),
                default=Value(DESCRIBED),
                output_field=IntegerField(),
            )
        )


def _limited(
    entries: QuerySet[SearchEntry], search: Statements
) -> QuerySet[SearchEntry]:
    """Keep what the query's filters and the actor's token let through."""
    query = search.query
    entries = entries.filter(within_ceiling(search.actor, repository="repository"))
    entries = entries.alias(read_text=_TEXT)
    marks = [
        Q(**{mark: True})
        for mark in ("is_official", "is_verified")
        if getattr(query, mark)
    ]
    if marks:
        entries = entries.filter(reduce(or_, marks))
    if query.is_starred:
        stars = Star.objects.filter(user=search.actor.user_id)
        entries = entries.filter(repository__in=stars.values("repository"))
    if query.namespaces:
        named = Namespace.objects.filter(name__in=query.namespaces)
        entries = entries.filter(namespace__in=named.values("pk"))
    if query.systems or query.architectures:
        bits = bits_of(query.systems, query.architectures)
        entries = entries.annotate(wanted=F("platforms").bitand(bits))
        entries = entries.filter(wanted__gt=0)
    if query.categories:
        shelved = Repository.categories.through.objects.filter(
            category__slug__in=query.categories
        )
        entries = entries.filter(repository__in=shelved.values("repository_id"))
    for key, value in query.labels:
        labels = RepositoryLabel.objects.filter(key=key)
        if value is not None:
            labels = labels.filter(value=value)
        entries = entries.filter(repository__in=labels.values("repository_id"))
    return entries


# The text as an expression, so that PostgreSQL compares it and does not begin with the
# index of trigrams: where few rows are looked at, that is dearer than what it spares.
_TEXT = Concat("text", Value(""), output_field=TextField())


def _contains(words: Iterable[str], column: str) -> Q:
    conditions = [
        _starts("name", word) | _starts("full_name", word)
        if is_short(word)
        else Q(**{f"{column}__contains": word})
        for word in words
    ]
    return reduce(and_, conditions, Q())


def _is_named(word: str) -> Q:
    return Q(full_name=word) if "/" in word else Q(name=word)


def _is_exact(words: Sequence[str]) -> Q:
    return reduce(or_, map(_is_named, words))


def _begins(words: Sequence[str]) -> Q:
    return reduce(
        or_,
        [_starts("full_name" if "/" in word else "name", word) for word in words],
    )


def _starts(column: str, word: str) -> Q:
    """Return a condition that an index of the bytewise column answers."""
    return Q(**{f"{column}__gte": word, f"{column}__lt": word + _LAST})


def _quoted(word: str) -> str:
    return word.replace('"', '""')


def _subquery(
    entries: QuerySet[SearchEntry], wanted: int, column: str | None
) -> Subquery:
    """Return the statement of the best entries: id, is_public, rank, key.

    By rank and column; without a column by weight alone.
    """
    order = ["-weight"] if column is None else ["rank", f"-{column}"]
    rows = entries.order_by(*order, "repository_id").values_list(
        "repository_id", "is_public", "rank", column or "weight"
    )
    return _sql(rows[:wanted])


def _sql(rows: "QuerySet[SearchEntry, Any]") -> Subquery:
    return rows.query.sql_with_params()


def _fetch(subqueries: Sequence[Subquery]) -> list[tuple[Any, ...]]:
    if not subqueries:
        return []
    sql = " UNION ALL ".join(
        f"SELECT * FROM ({sql}) AS part{place}"
        for place, (sql, _) in enumerate(subqueries)
    )
    return _execute(
        sql, [value for _, parameters in subqueries for value in parameters]
    )


def _execute(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _best(rows: Iterable[tuple[Any, ...]], wanted: int) -> list[int]:
    """Return the ids of the best rows, each once, by its best rank."""
    best = sorted(rows, key=lambda row: row[0])
    best.sort(key=lambda row: row[3], reverse=True)
    best.sort(key=lambda row: row[2])
    return list(dict.fromkeys(row[0] for row in best))[:wanted]
