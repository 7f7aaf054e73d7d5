"""Take a row for oneself, made if it is not there."""

from typing import Any, TypeVar

from django.db import IntegrityError, models, transaction

TRIES = 20  # each lost one means that somebody else got something done

Row = TypeVar("Row", bound=models.Model)


def lock_or_create(
    rows: "models.QuerySet[Row]", *, defaults: dict[str, Any], **key: Any
) -> tuple[Row, bool]:
    """Return the row of a unique key, locked, and whether it was made now.

    Django's get_or_create gives up when the row that stood in its way is deleted at the
    same moment; a push that meets a deletion has to go on. Runs in the caller's
    transaction.
    """
    for tries_left in reversed(range(TRIES)):
        row = rows.select_for_update().filter(**key).first()
        if row is not None:
            return row, False
        try:
            with transaction.atomic():
                return rows.create(**key, **defaults), True
        except IntegrityError:  # made by somebody else since we looked
            if not tries_left:
                raise
    raise AssertionError("the loop returns or raises")
