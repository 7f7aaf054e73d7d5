"""Limits on guessing: who fails to sign in too often has to wait (RATE-5).

    what is counted            failures in 15 minutes
    account and address        10      a person who forgot, or a script gone wrong
    address (IPv6: its /64)    50      one machine trying many accounts
    account                    200     many machines trying one account
    second factor of account   10      wrong codes after the correct password

Only guesses at passwords and at codes of a second factor count. Tokens, links and other
generated secrets cannot be guessed: a correct one is always accepted, and an expired or
revoked one that a forgotten client repeats blocks no other client of its address.

Pages, the token endpoint and the API count together. A blocked caller is refused before
anything is hashed. When the counts cannot be read, no one is blocked: the limiter is
never the reason that a registry is down.
"""

import hashlib
import ipaddress
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError, transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import FailedAttempts

log = logging.getLogger(__name__)

WINDOW = timedelta(minutes=15)
PAIR_MAX, ADDRESS_MAX, ACCOUNT_MAX = 10, 50, 200
CODES_MAX = 10
IPV6_PREFIX = 64  # what one subscriber has


class TooManyAttempts(Exception):
    """Too many failures; the caller may try again after some seconds."""

    def __init__(self, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(
            f"too many failed sign-ins: try again in {retry_after_seconds} seconds"
        )


@dataclass(frozen=True, slots=True)
class _Counter:
    key: str
    failures_max: int


def check_attempts(*, username: str, address: str) -> None:
    """Raise TooManyAttempts for a caller who has to wait. One query."""
    _check(_counters(username, address))


def record_failure(*, username: str, address: str) -> None:
    """Count a wrong password; a window begins with its first one."""
    _record(_counters(username, address))


def check_codes(*, username: str) -> None:
    """Raise TooManyAttempts for an account with too many wrong codes. One query."""
    _check([_codes_of(username)])


def record_wrong_code(*, username: str) -> None:
    """Count a wrong code of a second factor; the password was correct."""
    _record([_codes_of(username)])


def _check(counters: list[_Counter]) -> None:
    now = timezone.now()
    allowed = {c.key: c.failures_max for c in counters}
    try:
        rows = FailedAttempts.objects.filter(
            key__in=allowed, **_open_windows(now)
        ).values_list("key", "failure_count", "window_ends_at")
        ends = [end for key, count, end in rows if count >= allowed[key]]
    except DatabaseError:
        log.exception("failed sign-ins cannot be counted; no one is blocked")
        return
    if ends:
        raise TooManyAttempts(max(1, int((max(ends) - now).total_seconds()) + 1))


def _record(counters: list[_Counter]) -> None:
    now = timezone.now()
    try:
        with transaction.atomic():
            for counter in counters:
                counted = FailedAttempts.objects.filter(
                    key=counter.key, **_open_windows(now)
                ).update(failure_count=F("failure_count") + 1)
                if not counted:
                    FailedAttempts.objects.update_or_create(
                        key=counter.key,
                        defaults={"failure_count": 1, "window_ends_at": now + WINDOW},
                    )
    except DatabaseError:
        log.exception("a failed sign-in could not be counted")


def forget_attempts() -> None:
    """Delete counts whose window is over."""
    FailedAttempts.objects.exclude(**_open_windows(timezone.now())).delete()


def _open_windows(now: datetime) -> dict[str, datetime]:
    """Return the filter for windows that count: a clock ahead has made the others."""
    return {"window_ends_at__gt": now, "window_ends_at__lte": now + WINDOW}


def _counters(username: str, address: str) -> list[_Counter]:
    """Return what a caller counts for, in the order in which rows are locked."""
    place = place_of(address)
    counters = []
    if username:
        counters.append(_Counter(_key("account", username), ACCOUNT_MAX))
    if place:
        counters.append(_Counter(_key("address", place), ADDRESS_MAX))
    if username and place:
        counters.append(_Counter(_key("pair", username, place), PAIR_MAX))
    return sorted(counters, key=lambda counter: counter.key)


def _codes_of(username: str) -> _Counter:
    return _Counter(_key("second factor", username), CODES_MAX)


def place_of(address: str) -> str:
    """Return what of an address counts as one caller, "" if it is invalid."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed)


def _key(*words: str) -> str:
    """Return a key of fixed length; names that people typed are kept nowhere."""
    return hashlib.sha256("\0".join(words).encode()).hexdigest()
