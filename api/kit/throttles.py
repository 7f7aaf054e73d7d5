"""How many requests the API takes of one caller (BERTH_API_RATE).

Counted in the cache, by account or, of those without one, by address: with REDIS_URL
for all processes together, without it in each for itself, so that the limit is at most
multiplied by BERTH_WORKERS. When the cache is away, no one is refused.
"""

import logging
import time
from math import ceil

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.signin_limits import place_of
from api.kit.authentication import actor_of_request

log = logging.getLogger(__name__)

REST_SECONDS = 10  # how long a cache that did not answer is not asked again

_ask_again_at = 0.0


class ActorThrottle(BaseThrottle):
    """Count in windows of a minute, or whatever the rate says."""

    _wait_seconds: int | None = None

    def allow_request(self, request: Request, view: object) -> bool:
        actor = actor_of_request(request)
        rate = settings.BERTH_API_RATE
        if actor.robot_id is not None:
            caller = f"robot:{actor.robot_id}"
        elif actor.user_id is not None:
            caller = f"user:{actor.user_id}"
        else:
            caller = f"address:{place_of(actor.address)}"
            rate = settings.BERTH_API_ANONYMOUS_RATE
        if rate is None:
            return True
        requests_max, window_seconds = rate
        now = time.time()
        window = int(now // window_seconds)
        if count(f"api:{caller}:{window}", window_seconds, now) <= requests_max:
            return True
        self._wait_seconds = max(1, ceil((window + 1) * window_seconds - now))
        return False

    def wait(self) -> int | None:
        return self._wait_seconds


def count(key: str, window_seconds: int, now: float) -> int:
    """Count one more and return how many that makes; 0 when it cannot be counted."""
    global _ask_again_at
    if now < _ask_again_at:
        return 0
    try:
        # Kept longer than the window, so that it never ends between the two steps.
        cache.add(key, 0, 2 * window_seconds)
        return int(cache.incr(key))
    except ValueError:  # the counter was thrown out to make room
        return 0
    except _cache_errors():
        log.exception("requests cannot be counted; no one is refused")
        _ask_again_at = now + REST_SECONDS
        return 0


def _cache_errors() -> tuple[type[Exception], ...]:
    """Return what a cache raises when it is away."""
    from redis import RedisError  # a site without REDIS_URL never needs this client

    return RedisError, OSError
