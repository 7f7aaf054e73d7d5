"""Measure the search among many repositories.

    python -m bench.search                          100,000 on SQLite
    python -m bench.search --postgres               1,000,000 on PostgreSQL
    python -m bench.search --postgres --explain     and the plans of each kind of query
    python -m bench.search --repositories 20000     to see that it runs

Makes a database of its own in a temporary folder, fills it with names and descriptions
whose words are as unevenly spread as those of a language, and asks what a search page
asks: a page of results, and beside it the count and the facets. What is printed is
Markdown. The same seed makes the same data.
"""

import argparse
import os
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bench.load import temporary_folder

SEED = 20261124
RUNS_EACH = 100
BATCH_ROWS = 10_000
FIRST_WORDS = """
server api web app base image docker service node python java go rust nginx postgres
redis mysql mongo kafka proxy cache build runner agent metrics monitor alpine debian
ubuntu tools cli demo test backend frontend worker queue gateway"""
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
START = datetime(2026, 1, 1, tzinfo=UTC)


def _syllable(rng: random.Random) -> str:
    return rng.choice(CONSONANTS) + rng.choice(VOWELS)


class Words:
    """A vocabulary in which the word of place n is found about 1/n as often."""

    def __init__(self, rng: random.Random, size: int = 20_000) -> None:
        made = {
            "".join(_syllable(rng) for _ in range(rng.randint(2, 5)))
            for _ in range(size)
        }
        first = FIRST_WORDS.split()
        self.words = [*first, *sorted(made - set(first))]
        total, self.cumulative = 0.0, []
        for place in range(len(self.words)):
            total += 1 / (place + 3)
            self.cumulative.append(total)
        self.rng = rng

    def some(self, count: int) -> list[str]:
        return self.rng.choices(self.words, cum_weights=self.cumulative, k=count)


def main() -> None:
    options = _options()
    count = options.repositories or (1_000_000 if options.postgres else 100_000)
    folder = temporary_folder(options.folder)
    try:
        with ExitStack() as stack:
            _set_up_django(folder, options.postgres, stack)
            started = time.monotonic()
            many = fill(count)
            filled = time.monotonic() - started
            lines = list(measure(many, options.explain))
            writes = measure_writes()
            sizes = _sizes()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    name = "PostgreSQL" if options.postgres else "SQLite"
    print(f"\n{count:,} repositories, {name}; filled in {filled:,.0f} s; {sizes}\n")
    print(
        "| ms | results, median | p95 | processor, median | p95 "
        "| count and facets, median | p95 | processor, median | p95 | found |"
    )
    print("| --- " + "| ---: " * 9 + "|")
    print("\n".join(lines))
    print(f"\n{writes}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.search", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite")
    parser.add_argument("--repositories", type=int, metavar="N", help="how many")
    parser.add_argument("--explain", action="store_true", help="print the plans")
    parser.add_argument("--folder", type=Path, help="where the data goes")
    return parser.parse_args()


def _set_up_django(folder: Path, postgres: bool, stack: ExitStack) -> None:
    os.environ["BERTH_DATA"] = str(folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "registry_site.settings"
    os.environ.pop("DATABASE_URL", None)
    if postgres:
        from tests.servers import run_postgres

        server = stack.enter_context(run_postgres(folder / "postgres"))
        os.environ["DATABASE_URL"] = server.create_database("berth_bench")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    stack.callback(connection.close)


# --- data


def fill(count: int) -> Any:
    """Make the data and return the user with many private repositories."""
    from django.db import connection

    from accounts.models import Namespace, User
    from repositories.models import Grant, Repository
    from search import triggers

    rng = random.Random(SEED)
    words = Words(rng)
    namespaces = list(_make_namespaces(words, max(count // 20, 50)))
    with connection.cursor() as cursor:  # rows first, what is derived from them later
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
            cursor.execute("DROP INDEX IF EXISTS search_trigrams")
        else:
            triggers.uninstall_triggers()
    own = Namespace.objects.get(name="many")
    for batch in _batches(_repositories(words, namespaces, own, count)):
        Repository.objects.bulk_create(batch)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = DEFAULT")
    many = User.objects.get(username="many")
    foreign = Repository.objects.filter(visibility="private").exclude(namespace=own)
    Grant.objects.bulk_create(
        Grant(repository=repository, user=many, role="read")
        for repository in foreign.order_by("pk")[: count // 200]
    )
    triggers.install()
    with connection.cursor() as cursor:
        # Most images are for linux/amd64, half also for arm64, some for others.
        cursor.execute(
            "UPDATE repositories_searchentry SET platforms = 1 "
            "+ 2 * (repository_id % 2) + 4 * CASE WHEN repository_id % 7 = 0 "
            "THEN 1 ELSE 0 END + 16 * CASE WHEN repository_id % 40 = 0 "
            "THEN 1 ELSE 0 END"
        )
        cursor.execute(
            "VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE"
        )
    return many


def _make_namespaces(words: Words, count: int) -> Iterator[Any]:
    from accounts.models import Namespace, Organization, User

    names = {"many", "library"}
    while len(names) < count:
        names.add(f"{words.some(1)[0]}{words.rng.randint(1, 9999)}")
    organization = Organization.objects.create(display_name="Official images")
    users = User.objects.bulk_create(
        [User(username=name, password="!") for name in sorted(names - {"library"})],
        batch_size=BATCH_ROWS,
    )
    library = Namespace(name="library", organization=organization, is_official=True)
    rows = [library] + [
        Namespace(name=u.username, user=u, is_verified=place % 250 == 0)
        for place, u in enumerate(users)
    ]
    yield from Namespace.objects.bulk_create(rows, batch_size=BATCH_ROWS)


def _repositories(
    words: Words, namespaces: list[Any], own: Any, count: int
) -> Iterator[Any]:
    from repositories.models import Repository

    rng = words.rng
    taken: set[tuple[int, str]] = set()
    while len(taken) < count:
        place = len(taken)
        namespace = own if place % 50 == 0 else rng.choice(namespaces)
        if place < 200:
            namespace = namespaces[0]  # library
        name = "-".join(words.some(rng.choice((1, 1, 2, 2, 3))))
        if (namespace.pk, name) in taken:
            name += f"-{place}"
        taken.add((namespace.pk, name))
        is_private = namespace is own or (place >= 200 and rng.random() < 0.3)
        pulls = int(rng.paretovariate(0.6)) if rng.random() < 0.6 else 0
        yield Repository(
            namespace=namespace,
            name=name,
            visibility="private" if is_private else "public",
            description=" ".join(words.some(rng.randint(4, 12)))[:200],
            star_count=int(rng.paretovariate(1.1)) - 1,
            pull_count=min(pulls, 10**10),
            pushed_at=START + timedelta(seconds=rng.randint(0, 25_000_000)),
        )


def _batches(rows: Iterator[Any]) -> Iterator[list[Any]]:
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    yield batch


# --- questions


def _questions() -> dict[str, tuple[list[str], bool]]:
    """Return title -> texts, and whether the user with many private ones asks."""
    words = Words(random.Random(SEED)).words
    rare, common = words[15_000:15_020], words[:20]
    pairs = [f"{a} {b}" for a, b in zip(words[:20], words[20:40], strict=True)]
    mixed = [f"{a} {b}" for a, b in zip(words[:10], words[3000:3010], strict=True)]
    return {
        "rare word": (rare, False),
        "common word": (common, False),
        "word in between": (words[300:320], False),
        "one-letter prefix": (list("abcdefgiklmnoprstvwz"), False),
        "two common words": (pairs, False),
        "a common and a rare word": (mixed, False),
        "no hit": ([f"q{word}x" for word in rare], False),
        "no words": ([""], False),
        "arch: and a word": ([f"arch:s390x {word}" for word in common], False),
        "many private, rare word": (rare, True),
        "many private, common word": (common, True),
        "many private, two words": (pairs, True),
    }


def measure(many: Any, explain: bool) -> Iterator[str]:
    from accounts.actors import ANONYMOUS, Actor
    from search.query import parse_query
    from search.results import count_facets, search

    for title, (texts, is_many) in _questions().items():
        actor = Actor(user_id=many.pk, name="many") if is_many else ANONYMOUS
        queries = [parse_query(text) for text in texts]
        found = [count_facets(actor, query).total for query in queries]
        listed = _times([partial(search, actor, query) for query in queries])
        counted = _times([partial(count_facets, actor, query) for query in queries])
        values = sorted(count.value for count in found)
        middle = values[len(values) // 2]
        yield (
            f"| {title} | {listed.show()} | {counted.show()} | "
            f"{middle:,}{'' if middle < 10_000 else '+'} |"
        )
        if explain:
            _explain(title, partial(search, actor, queries[0]))
            _explain(f"{title}: facets", partial(count_facets, actor, queries[0]))


@dataclass(frozen=True)
class Taken:
    """Milliseconds of many calls: by the clock, and of processors."""

    clock: list[float]
    processor: list[float]

    def show(self) -> str:
        return " | ".join(
            f"{value:.1f}"
            for values in (self.clock, self.processor)
            for value in (statistics.median(values), _p95(values))
        )


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def _times(calls: list[Callable[[], Any]]) -> Taken:
    """Measure RUNS_EACH calls, after one of each to warm up.

    Processor time is this process's and that of its PostgreSQL server process, so it
    says the same on a machine that does other things as well.
    """
    for call in calls:
        call()
    taken = Taken([], [])
    for run in range(RUNS_EACH):
        started, busy = time.perf_counter(), _processor_seconds()
        calls[run % len(calls)]()
        taken.clock.append((time.perf_counter() - started) * 1000)
        taken.processor.append((_processor_seconds() - busy) * 1000)
    return taken


def _processor_seconds() -> float:
    from django.db import connection

    seconds = time.process_time()
    if connection.vendor == "postgresql":
        pid = connection.connection.info.backend_pid
        nanoseconds = Path(f"/proc/{pid}/schedstat").read_text().split()[0]
        seconds += int(nanoseconds) / 1e9
    return seconds


def _explain(title: str, call: Callable[[], Any]) -> None:
    """Print the plans of what a call asks."""
    from django.db import connection

    asked: list[tuple[str, Any]] = []

    def listen(
        execute: Any, sql: str, parameters: Any, many: bool, context: Any
    ) -> Any:
        asked.append((sql, parameters))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(listen):
        call()
    word = (
        "EXPLAIN ANALYZE" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    )
    with connection.cursor() as cursor:
        for sql, parameters in asked:
            print(f"\n--- {title}")
            cursor.execute(f"{word} {sql}", parameters)
            print("\n".join(str(row[-1]) for row in cursor.fetchall()))


def measure_writes() -> str:
    """Measure what a push and a pull change in a repository's row."""
    from django.db import connection
    from django.db.models import F
    from django.utils import timezone

    from repositories.models import Repository

    ids = list(Repository.objects.order_by("-pk").values_list("pk", flat=True)[:200])
    taken = {}
    every_change: dict[str, dict[str, Any]] = {
        "a push": {"pushed_at": timezone.now()},
        "another push in that minute": {"pushed_at": timezone.now()},
        "a pull": {"pull_count": F("pull_count") + 1},
        "a star": {"star_count": F("star_count") + 1},
        "a description": {"description": "another description of this image"},
    }
    for title, changes in every_change.items():
        times = []
        for pk in ids:
            started = time.perf_counter()
            Repository.objects.filter(pk=pk).update(**changes)
            times.append((time.perf_counter() - started) * 1000)
        taken[title] = statistics.median(times)
    text = "Row changes, median: " + ", ".join(
        f"{title} {value:.2f} ms" for title, value in taken.items()
    )
    if connection.vendor == "postgresql":
        time.sleep(1.5)  # statistics are told once a second
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")
            cursor.execute(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables "
                "WHERE relname = 'repositories_repository'"
            )
            updated, hot = cursor.fetchone()
        text += f"; {hot:,} of {updated:,} without touching an index (HOT)"
    return text


def _sizes() -> str:
    from django.db import connection

    if connection.vendor != "postgresql":
        path = Path(connection.settings_dict["NAME"])
        return f"database of {path.stat().st_size / 2**20:,.0f} MiB"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_table_size('repositories_searchentry'), "
            "pg_indexes_size('repositories_searchentry'), "
            "pg_table_size('repositories_repository')"
        )
        entries, indexes, repositories = (n / 2**20 for n in cursor.fetchone())
    return (
        f"entries {entries:,.0f} MiB, their indexes {indexes:,.0f} MiB, "
        f"repositories {repositories:,.0f} MiB"
    )


if __name__ == "__main__":
    main()
