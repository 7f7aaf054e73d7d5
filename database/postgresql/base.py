"""Django's backend for PostgreSQL; see silence.py."""

from typing import Any

from django.db.backends.postgresql import base

from database.postgresql.silence import silence


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that is refused at once while the database is silent."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connect = super().get_new_connection
        return silence.connect(
            lambda: connect(conn_params),
            patience=float(conn_params["connect_timeout"]),
        )
