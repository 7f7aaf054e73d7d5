"""Recognizes a database that is away or full, so that reads do without their writes.

    is_outage      the database does not answer, or cannot write, or no file can be
                   opened: 503, and try again
    is_disk_full   it has no space left: 507, until an administrator makes room
    optional_write a write that no answer depends on is left out, and logged

A read that also records something ("last used", a mark that the garbage collection set)
puts that into optional_write: a full disk does not stop pulls and pages.
"""

import errno
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import InterfaceError, OperationalError, transaction

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5
NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
POSTGRES_DISK_FULL = "53100"  # SQLSTATE, class 53: insufficient resources
SQLITE_DISK_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
FULL_FOR_SECONDS = 60.0  # readiness reports a full database for so long

_full_at = -FULL_FOR_SECONDS  # by the monotonic clock; of this process


def is_outage(error: BaseException) -> bool:
    """Return whether the database or the process failed, rather than the statement."""
    if isinstance(error, OSError):
        return error.errno in NO_DESCRIPTORS
    return isinstance(error, (OperationalError, InterfaceError))


def is_disk_full(error: BaseException) -> bool:
    """Return whether the database has no space left to write."""
    global _full_at
    cause = error.__cause__ or error
    if isinstance(cause, sqlite3.OperationalError):
        is_full = getattr(cause, "sqlite_errorcode", 0) in SQLITE_DISK_FULL
    else:
        is_full = getattr(cause, "pgcode", None) == POSTGRES_DISK_FULL
    if is_full:
        _full_at = time.monotonic()
    return is_full


def was_disk_full() -> bool:
    """Return whether this process found the database full within the last minute."""
    return time.monotonic() - _full_at < FULL_FOR_SECONDS


@contextmanager
def optional_write(what: str) -> Iterator[None]:
    """Run a write in a transaction of its own; leave it out if the database cannot."""
    try:
        with transaction.atomic():
            yield
    except (OperationalError, InterfaceError) as error:
        is_disk_full(error)
        log.warning("%s is not recorded: %s", what, str(error).strip())
