"""Column types shared by the models of every app."""

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:  # Django's fields take type arguments only for the type checker
    _CharField = models.CharField[str, str]
else:
    _CharField = models.CharField


class BytewiseCharField(_CharField):
    """Text that compares and sorts by its bytes on every database.

    Names, tags and digests are case-sensitive and listed in byte order (G-2, TAG-2).
    SQLite does so by itself; PostgreSQL needs the "C" collation.
    """

    def db_parameters(self, connection: Any) -> dict[str, Any]:
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters
