"""A cache in Redis that may go away, hang, be emptied or be filled by someone else.

Cached values can always be computed again, so no request fails or waits for them: after
a timeout, Redis is not asked for REST_SECONDS, and every key counts as missing. Values
are JSON. Django's own serializer is pickle, which runs what it reads; write access to
Redis must not become control of Berth.
"""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)

REST_SECONDS = 5.0

_rests_until = 0.0  # of this process, for all its threads


class JsonSerializer:
    """Integers as they are, so that Redis can count with them; the rest as JSON."""

    def dumps(self, value: Any) -> str | int:
        return value if type(value) is int else json.dumps(value)

    def loads(self, raw: bytes) -> Any:
        """Return the value; raises ValueError for what we did not write."""
        return json.loads(raw)


class PatientRedisCache(RedisCache):
    """Answers as an empty cache would while Redis does not."""

    def add(self, *args: Any, **options: Any) -> bool:
        return _ask(super().add, True, *args, **options)

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return _ask(super().get, default, key, default, version)

    def set(self, *args: Any, **options: Any) -> None:
        _ask(super().set, None, *args, **options)

    def touch(self, *args: Any, **options: Any) -> bool:
        return _ask(super().touch, False, *args, **options)

    def delete(self, *args: Any, **options: Any) -> bool:
        return _ask(super().delete, False, *args, **options)

    def get_many(self, *args: Any, **options: Any) -> dict[Any, Any]:
        return _ask(super().get_many, {}, *args, **options)

    def has_key(self, *args: Any, **options: Any) -> bool:
        return _ask(super().has_key, False, *args, **options)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add to a counter; raises ValueError where there is none, or no answer."""
        count = _ask(super().incr, None, key, delta, version)
        if count is None:
            raise ValueError(f"there is no counter '{key}'")
        return count

    def set_many(
        self, data: Mapping[Any, Any], *args: Any, **options: Any
    ) -> list[Any]:
        return _ask(super().set_many, list(data), data, *args, **options)

    def delete_many(self, keys: Iterable[Any], *args: Any, **options: Any) -> None:
        _ask(super().delete_many, None, keys, *args, **options)


def _ask(
    verb: Callable[..., Answer], unanswered: Answer, *args: Any, **options: Any
) -> Answer:
    """Return what Redis answers, else ``unanswered``."""
    global _rests_until
    if time.monotonic() < _rests_until:
        return unanswered
    try:
        return verb(*args, **options)
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        _rests_until = time.monotonic() + REST_SECONDS
        log.warning("the cache does not answer (%s)", type(error).__name__)
    except (RedisError, ValueError) as error:  # full, read-only, or not what we wrote
        log.warning("the cache cannot be used (%s)", type(error).__name__)
    return unanswered
