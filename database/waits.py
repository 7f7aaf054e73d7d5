"""Limits for how long a process waits for the database, and others for the process.

    a server that does not answer     web processes end the wait (postgresql/silence.py)
    rows that another session holds   LOCK_SECONDS, as on SQLite; web processes only
    a session that holds rows while   PostgreSQL ends it after IDLE_SECONDS, else a push
    its process hangs                 to the same tag would wait for ever

Commands have none of these: a migration may take its time.
"""

from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

IDLE_SECONDS = 60  # no transaction of Berth waits for anything but the database
LOCK_SECONDS = 30


def limit_waits(*, is_web: bool) -> None:
    """Set the limits for the connections that this process makes from now on."""
    if connection.vendor != "postgresql":
        return
    from database.postgresql.silence import silence

    limits = f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'"
    if is_web:
        limits += f"; SET lock_timeout = '{LOCK_SECONDS}s'"
        silence.watch()

    def set_limits(*, connection: BaseDatabaseWrapper, **signal: Any) -> None:
        # By a statement: poolers refuse parameters of a connection. They have to pool
        # sessions, or the limits would apply to others (docs/settings.md).
        with connection.cursor() as cursor:
            cursor.execute(limits)

    connection_created.connect(set_limits, weak=False, dispatch_uid="database.waits")
