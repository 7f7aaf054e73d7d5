"""Run plain SQL with as little around it as the database allows.

A pull asks three small questions and a push makes a dozen small changes. On SQLite
Django's compiler and cursors cost several times what the statements do, so those that
are in the path of every request are written out, and go to the driver itself on
Django's connection and with Django's errors. For listeners to queries (a test that
counts, the debug log) and for other databases, the ordinary way is taken.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

Rows = list[tuple[Any, ...]]

_mine = threading.local()


@dataclass(frozen=True, slots=True)
class Arm:
    """One SELECT of a UNION, or its FROM, and the tables whose rows it can lock."""

    sql: str
    tables: str


def this_threads_connection() -> BaseDatabaseWrapper:
    """Return Django's connection of this thread, looked up once.

    Django finds it through storage that also serves coroutines, which costs as much as
    a small query.
    """
    wrapper: BaseDatabaseWrapper | None = getattr(_mine, "wrapper", None)
    if wrapper is None:
        wrapper = _mine.wrapper = connections[DEFAULT_DB_ALIAS]
    return wrapper


def fetch_rows(sql: str, parameters: Sequence[Any]) -> Rows:
    """Return all rows of a statement, which has ``%s`` for its parameters."""
    rows, _ = _execute(sql, parameters, has_rows=True)
    return rows


def fetch_row(sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    """Return the only row that a statement can find, None if there is none."""
    rows = fetch_rows(sql, parameters)
    return rows[0] if rows else None


def change_rows(sql: str, parameters: Sequence[Any]) -> int:
    """Run a statement that returns nothing; return how many rows it changed."""
    _, count = _execute(sql, parameters, has_rows=False)
    return count


def prepared_value(model: type[models.Model], column: str, value: object) -> Any:
    """Return a value as the driver takes it for that column of the model."""
    field = model._meta.get_field(column)
    assert isinstance(field, models.Field), "a column, not a relation to this model"
    return field.get_db_prep_save(value, connection)


def for_update() -> str:
    """Return the words that lock the rows of a SELECT; SQLite has one writer anyway."""
    return " FOR UPDATE" if connection.features.has_select_for_update else ""


def _execute(
    sql: str, parameters: Sequence[Any], *, has_rows: bool
) -> tuple[Rows, int]:
    wrapper = this_threads_connection()
    driver = wrapper.connection
    if (
        driver is None
        or wrapper.vendor != "sqlite"
        or wrapper.execute_wrappers
        or wrapper.queries_logged
    ):
        with wrapper.cursor() as cursor:
            cursor.execute(sql, parameters)
            return (cursor.fetchall() if has_rows else []), cursor.rowcount
    with wrapper.wrap_database_errors:
        result = driver.execute(_for_sqlite(sql), parameters)
        return (result.fetchall() if has_rows else []), result.rowcount


@cache  # of the few statements that are written in the source
def _for_sqlite(sql: str) -> str:
    return sql.replace("%s", "?")
