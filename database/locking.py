"""Take rows for oneself, all in one order, so that no one waits in a circle.

    blob links     in the order of their digests
    manifest
    tags           in the order of repository and name
    repository     in the order of their ids
    search entry
    rights         held to the end by decisions.decide

A transaction may leave out steps, and never goes back up. Rows that others refer to
are locked with no_key=True unless they are deleted: a new row that refers to one takes
a lock on it too. Should two verbs meet in a circle all the same, the database undoes
one of them, and retry_deadlocks() begins it again.
"""

import functools
import logging
import random
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from django.db import (
    IntegrityError,
    OperationalError,
    connection,
    models,
    transaction,
)

log = logging.getLogger(__name__)

TRIES = 20  # each lost one means that someone else got something done
UNDONE = ("40001", "40P01")  # SQLSTATE: serialization failure, deadlock
PAUSE_SECONDS = 0.05  # at most, so that the same two do not meet again

Row = TypeVar("Row", bound=models.Model)
P = ParamSpec("P")
R = TypeVar("R")


def retry_deadlocks(verb: Callable[P, R]) -> Callable[P, R]:
    """Run a verb again when the database undid its transaction for another's sake.

    For functions that can be begun again from their arguments. Inside a caller's
    transaction, which is undone as a whole, the error continues to the caller.
    """

    @functools.wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for tries_left in reversed(range(TRIES)):
            try:
                return verb(*args, **kwargs)
            except OperationalError as error:
                code = getattr(error.__cause__, "pgcode", None)
                if code not in UNDONE or connection.in_atomic_block or not tries_left:
                    raise
                log.warning("%s was undone (%s), again", verb.__qualname__, code)
                time.sleep(random.uniform(0, PAUSE_SECONDS))  # noqa: S311
        raise AssertionError("the loop returns or raises")

    return run


def lock_or_create(
    rows: "models.QuerySet[Row]", *, defaults: dict[str, Any], **key: Any
) -> tuple[Row, bool]:
    """Return the row of a unique key, locked, and whether it was made now.

    Django's get_or_create gives up when the row that stood in its way is deleted at the
    same moment; a push that meets a deletion has to continue. Runs in the caller's
    transaction.
    """
    for tries_left in reversed(range(TRIES)):
        row = rows.select_for_update().filter(**key).first()
        if row is not None:
            return row, False
        try:
            with transaction.atomic():
                return rows.create(**key, **defaults), True
        except IntegrityError:  # made by someone else since we looked
            if not tries_left:
                raise
    raise AssertionError("the loop returns or raises")
