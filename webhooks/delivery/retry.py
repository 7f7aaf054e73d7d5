"""The retry schedule of failed deliveries. Pure.

    try      waits at most    since the first try
     2       10 seconds       10 seconds
     3        1 minute         1 minute
     4        5 minutes        6 minutes
     5       15 minutes       21 minutes
     6        1 hour           1 hour 21 minutes
     7        2 hours          3 hours 21 minutes
     8        4 hours          7 hours 21 minutes
     9        6 hours         13 hours 21 minutes
    10       10 hours         23 hours 21 minutes, and that was the last

Each wait is between 80 and 100 % of what the table says, so that receivers which failed
together are not asked together again.
"""

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

RETRY_SCHEDULE_SECONDS = (10, 60, 300, 900, 3600, 7200, 14_400, 21_600, 36_000)
TRIES_MAX = len(RETRY_SCHEDULE_SECONDS) + 1
JITTER_LEAST = 0.8
RETRY_AFTER_MAX_SECONDS = 3600  # a receiver may ask for an hour, not for a week


def wait_seconds(
    tries: int, retry_after_seconds: float | None = None, chance: float | None = None
) -> float | None:
    """Return how long to wait after so many tries, or None when that was the last.

    A receiver's Retry-After makes the wait longer, never shorter. ``chance`` is from 0
    to 1, by lot unless given.
    """
    if tries >= TRIES_MAX:
        return None
    lot = random.random() if chance is None else chance  # noqa: S311  # no secret
    wait = RETRY_SCHEDULE_SECONDS[tries - 1] * (JITTER_LEAST + (1 - JITTER_LEAST) * lot)
    asked = min(retry_after_seconds or 0, RETRY_AFTER_MAX_SECONDS)
    return max(wait, asked)


def parse_retry_after(text: str, now: datetime) -> float | None:
    """Read a Retry-After header, seconds or a date (RFC 9110 §10.2.3), else None."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a zone of 10^20 hours is the latter
        return None
    if at.tzinfo is None:  # "-0000", and nothing says otherwise
        at = at.replace(tzinfo=UTC)
    return max((at - now) / timedelta(seconds=1), 0.0)
