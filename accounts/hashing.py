"""Limits how much password hashing runs at the same time in this process.

One argon2 hash takes 100 MB and a tenth of a second of several cores. The limit is in
the hasher itself, so that every way in has it: Basic, sign-in and sign-up pages,
changed and reset passwords, the administration, the API.

    HASHES_MAX       hashes that run; the memory of a process is bounded by them
    WAITING_MAX      threads that wait for one of them; the other threads stay free
    WAIT_SECONDS     how long a thread waits

A caller beyond these limits gets HashingBusy, which is answered 503 with Retry-After.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher

HASHES_MAX = 2
WAITING_MAX = max(1, settings.BERTH_THREADS // 2)
WAIT_SECONDS = 5.0
RETRY_AFTER_SECONDS = 5

_running = BoundedSemaphore(HASHES_MAX)
_admitted = BoundedSemaphore(HASHES_MAX + WAITING_MAX)


class HashingBusy(Exception):
    """Too many passwords are being verified; nothing was verified or changed."""

    retry_after_seconds = RETRY_AFTER_SECONDS

    def __init__(self) -> None:
        super().__init__(
            "too many people are signing in at this moment: try again in "
            f"{RETRY_AFTER_SECONDS} seconds"
        )


@contextmanager
def hashing_slot() -> Iterator[None]:
    """Wait for a slot to hash in; raise HashingBusy when it takes too long."""
    if not _admitted.acquire(blocking=False):
        raise HashingBusy
    try:
        if not _running.acquire(timeout=WAIT_SECONDS):
            raise HashingBusy
        try:
            yield
        finally:
            _running.release()
    finally:
        _admitted.release()


class LimitedArgon2Hasher(Argon2PasswordHasher):
    """Django's Argon2 hasher, a bounded number of times at once."""

    def encode(self, password: str, salt: str) -> str:
        with hashing_slot():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with hashing_slot():
            return super().verify(password, encoded)

    def harden_runtime(self, *arguments: Any) -> None:
        """Do nothing: there are no hashes with fewer rounds than these."""
