"""Keep the search's rows in step with what they are about.

    repository   made, renamed, moved, described, hidden, deleted    trigger
    repository   starred                                             trigger
    repository   pushed to, every ten seconds                        trigger
    namespace    renamed, marked                                     trigger
    image        pushed with a config: platform and labels           index.py
    of late      pulls, stars and pushes                             trends.py

Triggers, because a search must not show what is private now or gone, by whichever
way the row was changed, the administration pages and bulk updates included. They are
made after every migration, not in one: SQLite drops those of a table that it remakes.

Text is found by trigrams: pg_trgm on PostgreSQL, FTS5 on SQLite. Without the right to
make the extension everything works and the log says what is missing; words are then
found by reading.
"""

import logging
from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.backends.utils import CursorWrapper

from repositories.models import SearchEntry

log = logging.getLogger(__name__)

STARS_MAX = 2**29 - 1
PULLS_MAX = 2**31 - 1


def weight_sql(entry: str, stars: str, pulls: str) -> str:
    """Return SQL of an entry's weight: marks above stars, stars above pulls."""
    least = "LEAST" if connection.vendor == "postgresql" else "MIN"
    return (
        f"(CASE WHEN {entry}.is_official THEN {2**61} ELSE 0 END"
        f" + CASE WHEN {entry}.is_verified THEN {2**60} ELSE 0 END"
        f" + {least}({stars}, {STARS_MAX}) * {2**31}"
        f" + {least}({pulls}, {PULLS_MAX}))"
    )


def _by_unicode() -> str:
    """Return what makes PostgreSQL's LOWER know more than ASCII in every locale.

    Databases in the locale C are common; which collation there is depends on version
    and build. SQLite's LOWER folds ASCII only, but its trigrams fold by themselves.
    """
    if connection.vendor != "postgresql":
        return ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT collname FROM pg_collation WHERE collname IN "
            "('pg_c_utf8', 'und-x-icu', 'C.utf8') ORDER BY collname DESC LIMIT 1"
        )
        found = cursor.fetchone()
    return f' COLLATE "{found[0]}"' if found else ""


def put_sql(which: str) -> str:
    """Return SQL that writes the entries of the live repositories for which this is."""
    folded = f"r.description{_by_unicode()}"
    columns = {
        "repository_id": "r.id",
        "namespace_id": "n.id",
        "name": "r.name",
        "full_name": "n.name || '/' || r.name",
        "text": f"LOWER(n.name || '/' || r.name || ' ' || {folded})",
        "is_public": "r.visibility = 'public'",
        "is_official": "n.is_official",
        "is_verified": "n.is_verified",
        "star_count": "r.star_count",
        "pull_count": "r.pull_count",
        "updated_at": "COALESCE(r.pushed_at, r.created_at)",
        "weight": weight_sql("n", "r.star_count", "r.pull_count"),
    }
    entry = "repositories_searchentry"
    changing = [column for column in columns if column != "repository_id"]
    changes = ", ".join(f"{column} = excluded.{column}" for column in changing)
    old = ", ".join(f"{entry}.{column}" for column in changing)
    new = ", ".join(f"excluded.{column}" for column in changing)
    differs = "IS DISTINCT FROM" if connection.vendor == "postgresql" else "IS NOT"
    return f"""
INSERT INTO {entry} ({", ".join(columns)}, platforms, trend_score)
SELECT {", ".join(columns.values())}, 0, 0
  FROM repositories_repository r JOIN accounts_namespace n ON n.id = r.namespace_id
 WHERE r.deleted_at IS NULL AND {which}
    ON CONFLICT (repository_id) DO UPDATE SET {changes}
 WHERE ({old}) {differs} ({new})"""


def _trigger_bodies() -> dict[str, tuple[str, str, str]]:
    """Return name -> table, event, statements, in words that both databases know."""
    is_postgres = connection.vendor == "postgresql"
    differs = "IS DISTINCT FROM" if is_postgres else "IS NOT"
    a_moment_before = (
        "NEW.pushed_at - INTERVAL '10 seconds'"
        if is_postgres
        else "strftime('%Y-%m-%d %H:%M:%f', NEW.pushed_at, '-10 seconds')"
    )

    def changed(*columns: str) -> str:
        anything = " OR ".join(f"NEW.{c} {differs} OLD.{c}" for c in columns)
        return f"AFTER UPDATE OF {', '.join(columns)} ON {{table}} WHEN ({anything})"

    put = put_sql("r.id = NEW.id") + ";"
    forget = "DELETE FROM repositories_searchentry WHERE repository_id = NEW.id"
    weight = weight_sql("repositories_searchentry", "NEW.star_count", "pull_count")
    repository, namespace = "repositories_repository", "accounts_namespace"
    bodies = {
        "search_made": (repository, "AFTER INSERT ON {table}", put),
        "search_changed": (
            repository,
            changed("namespace_id", "name", "description", "visibility", "deleted_at"),
            f"{put} {forget} AND NEW.deleted_at IS NOT NULL;",
        ),
        "search_starred": (
            repository,
            changed("star_count"),
            "UPDATE repositories_searchentry SET star_count = NEW.star_count, "
            f"weight = {weight} WHERE repository_id = NEW.id;",
        ),
        "search_pushed": (
            repository,
            changed("pushed_at"),
            "UPDATE repositories_searchentry SET updated_at = NEW.pushed_at "
            f"WHERE repository_id = NEW.id AND (updated_at < {a_moment_before} "
            "OR updated_at > NEW.pushed_at);",
        ),
        "search_marked": (
            namespace,
            changed("name", "is_official", "is_verified"),
            put_sql("n.id = NEW.id") + ";",
        ),
    }
    if not is_postgres:
        fts, entry = "repositories_searchtext", "repositories_searchentry"
        values = "new.repository_id, new.full_name, new.text"
        add = f"INSERT INTO {fts} (rowid, full_name, text) VALUES ({values});"
        drop = (
            f"INSERT INTO {fts} ({fts}, rowid, full_name, text) "
            "VALUES ('delete', old.repository_id, old.full_name, old.text);"
        )
        bodies |= {
            "search_text_made": (entry, "AFTER INSERT ON {table}", add),
            "search_text_gone": (entry, "AFTER DELETE ON {table}", drop),
            "search_text_changed": (entry, changed("full_name", "text"), drop + add),
        }
    return bodies


def install() -> None:
    """Make triggers and text index, and the entries that are missing."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                "CREATE VIRTUAL TABLE IF NOT EXISTS repositories_searchtext USING "
                "fts5(full_name, text, content='repositories_searchentry', "
                "content_rowid='repository_id', tokenize='trigram')"
            )
        with transaction.atomic():
            for name, (table, event, body) in _trigger_bodies().items():
                _make_trigger(cursor, name, table, event.format(table=table), body)
            cursor.execute(
                put_sql(
                    "NOT EXISTS (SELECT 1 FROM repositories_searchentry e "
                    "WHERE e.repository_id = r.id)"
                )
            )
    if connection.vendor == "postgresql":
        _make_trigrams_of_postgres()


def is_installed() -> bool:
    """Return whether the database has the triggers."""
    question = (
        "SELECT COUNT(*) FROM pg_trigger WHERE tgname LIKE 'search\\_%'"
        if connection.vendor == "postgresql"
        else "SELECT COUNT(*) FROM sqlite_master WHERE type = 'trigger' "
        "AND name LIKE 'search\\_%' ESCAPE '\\'"
    )
    with connection.cursor() as cursor:
        cursor.execute(question)
        return bool(cursor.fetchone()[0] == len(_trigger_bodies()))


def uninstall_triggers() -> None:
    """Drop SQLite's triggers before a migration, which may remake their tables."""
    with connection.cursor() as cursor:
        for name in _trigger_bodies():
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")


def install_after_migrations(
    *, using: str, plan: Sequence[Any] = (), **signal: Any
) -> None:
    """Receive post_migrate."""
    if using != connection.alias or not _has_entries():
        return  # migrated back to before the search
    if plan or not is_installed():
        install()


def make_way_for_migrations(
    *, using: str, plan: Sequence[Any] = (), **signal: Any
) -> None:
    """Receive pre_migrate."""
    if plan and using == connection.alias and connection.vendor == "sqlite":
        uninstall_triggers()


def _has_entries() -> bool:
    return SearchEntry._meta.db_table in connection.introspection.table_names()


def has_trigrams() -> bool:
    """Return whether text is found by an index."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('search_trigrams') IS NOT NULL")
        return bool(cursor.fetchone()[0])


def _make_trigrams_of_postgres() -> None:
    if has_trigrams():
        return
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            cursor.execute(
                "CREATE INDEX search_trigrams ON repositories_searchentry "
                "USING gin (full_name gin_trgm_ops, text gin_trgm_ops)"
            )
    except DatabaseError as error:
        log.warning(
            "search works slowly, because the extension pg_trgm cannot be made (%s): "
            "let an administrator of the database run CREATE EXTENSION pg_trgm in it, "
            "then run 'manage.py rebuild_search'",
            str(error).strip(),
        )


def _make_trigger(
    cursor: CursorWrapper, name: str, table: str, event: str, body: str
) -> None:
    if connection.vendor != "postgresql":
        each = event.replace(" WHEN ", " FOR EACH ROW WHEN ", 1)
        cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        cursor.execute(f"CREATE TRIGGER {name} {each} BEGIN {body} END")
        return
    timing, _, condition = event.partition(" WHEN ")
    when = f" WHEN {condition}" if condition else ""
    cursor.execute(
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$body$ BEGIN {body} RETURN NULL; END $body$"
    )
    cursor.execute(
        f"CREATE OR REPLACE TRIGGER {name} {timing} FOR EACH ROW{when} "
        f"EXECUTE FUNCTION {name}()"
    )
