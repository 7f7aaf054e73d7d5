"""Limits on how often an account does what costs others something.

    take("invitations", actor)     counts one, or raises TooManyActions

Counted in the cache in windows of the rate's period: by account or robot, and by
address for those who did not sign in. As with BERTH_API_RATE, each process counts for
itself without REDIS_URL, and no one is refused while the cache is away. Berth's own
tasks and commands are not counted. BERTH_RATES changes single rates (docs/settings.md).
"""

import time
from math import ceil

from django.conf import settings
from django.core.cache import cache

from accounts.actors import Actor
from accounts.signin_limits import TooManyAttempts, place_of


class TooManyActions(TooManyAttempts):
    """The account did this too often; answered 429 like too many attempts."""

    def __init__(self, action: str, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds)
        self.args = (
            f"too many {action}: try again in {retry_after_seconds} seconds "
            f"(the limit '{action}' in BERTH_RATES)",
        )


def take(action: str, actor: Actor, *, times: int = 1) -> None:
    """Count an action of the actor, else raise TooManyActions."""
    rate = settings.BERTH_RATES[action]
    caller = _caller(actor)
    if rate is None or not caller:
        return
    actions_max, window_seconds = rate
    now = time.time()
    window = int(now // window_seconds)
    if _count(f"rate:{action}:{caller}:{window}", window_seconds, times) > actions_max:
        wait = (window + 1) * window_seconds - now
        raise TooManyActions(action, max(1, ceil(wait)))


def _caller(actor: Actor) -> str:
    if actor.robot_id is not None:
        return f"robot:{actor.robot_id}"
    if actor.user_id is not None:
        return f"user:{actor.user_id}"
    place = place_of(actor.address)
    return f"address:{place}" if place else ""


def _count(key: str, window_seconds: int, times: int) -> int:
    # Kept longer than the window, so that it does not end between the two steps.
    cache.add(key, 0, 2 * window_seconds)
    try:
        return int(cache.incr(key, times))
    except ValueError:  # no counter, because the cache is away or full
        return 0
