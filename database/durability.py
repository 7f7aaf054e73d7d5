"""Transactions whose commit does not wait for the disk."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from database.sql import change_rows, this_threads_connection


@contextmanager
def quick_transaction() -> Iterator[None]:
    """Open a transaction that does not wait for the disk when it commits.

    A killed process loses nothing of it; a power cut may, together with everything that
    came after it, but never something before. For rows whose loss costs a client one
    more try, such as an upload that is in progress, and for nothing that is a promise.
    """
    wrapper = this_threads_connection()
    if wrapper.vendor == "sqlite":
        change_rows("PRAGMA synchronous=NORMAL", ())
        try:
            with transaction.atomic():
                yield
        finally:
            change_rows("PRAGMA synchronous=FULL", ())
        return
    with transaction.atomic():
        change_rows("SET LOCAL synchronous_commit TO OFF", ())
        yield
