"""A Redis that hangs, is gone, or holds what somebody else wrote (R1 - R5)."""

import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from registry_site import cache as cache_module
from registry_site.cache import PatientRedisCache
from tests.servers import Valkey


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("cache")) as running:
        yield running


@pytest.fixture
def cache(valkey: Valkey, monkeypatch: Any) -> Iterator[PatientRedisCache]:
    with open_cache(valkey, monkeypatch, timeout_seconds=10) as made:
        yield made


@contextmanager
def open_cache(
    valkey: Valkey, monkeypatch: Any, *, timeout_seconds: float
) -> Iterator[PatientRedisCache]:
    monkeypatch.setattr(cache_module, "_rests_until", 0.0)
    made = PatientRedisCache(
        valkey.url,
        {
            "OPTIONS": {
                "serializer": "registry_site.cache.JsonSerializer",
                "socket_connect_timeout": timeout_seconds,
                "socket_timeout": timeout_seconds,
            }
        },
    )
    yield made
    client: Any = made._cache
    pool = client._get_connection_pool(write=True)
    pool.disconnect()


def test_what_is_kept_comes_back_as_it_was(cache: PatientRedisCache) -> None:
    for value in (1, 2.5, "text", True, None, [1.5, 2], {"a": ["b"]}):
        cache.set("key", value)
        assert cache.get("key", "absent") == value
    cache.set("count", 1)
    assert cache.incr("count") == 2
    assert cache.get("count") == 2
    assert not cache.add("count", 5)
    assert cache.get_many(["count", "none"]) == {"count": 2}
    cache.delete("count")
    assert cache.get("count") is None
    with pytest.raises(ValueError, match="no counter"):
        cache.incr("count")


def ask_everything(cache: PatientRedisCache) -> None:
    assert cache.get("key", "absent") == "absent"
    assert cache.get_many(["key"]) == {}
    assert cache.add("key", 1), "allauth waits until it is true"
    assert not cache.touch("key")
    assert not cache.delete("key")
    assert not cache.has_key("key")
    cache.set("key", 1)
    cache.set_many({"key": 1})
    cache.delete_many(["key"])
    with pytest.raises(ValueError, match="no counter"):
        cache.incr("key")


def test_a_redis_that_hangs_is_waited_for_once(
    valkey: Valkey, cache: PatientRedisCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R2: a quarter of a second as in the settings, and not for each question."""
    cache.set("key", 1)
    with (
        open_cache(valkey, monkeypatch, timeout_seconds=0.25) as impatient,
        valkey.hanging(),
    ):
        started = time.monotonic()
        ask_everything(impatient)
        assert time.monotonic() - started < 1
    cache_module._rests_until = 0.0
    assert cache.get("key") == 1


def test_a_redis_that_is_gone_is_an_empty_cache(cache: PatientRedisCache) -> None:
    """R1."""
    gone = PatientRedisCache("redis://127.0.0.1:1/0", {"OPTIONS": {}})
    ask_everything(gone)


@pytest.mark.parametrize(
    ("makes_it", "undoes_it"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    ],
    ids=["full", "read-only"],
)
def test_a_redis_that_takes_no_writes_is_an_empty_cache(
    valkey: Valkey,
    cache: PatientRedisCache,
    makes_it: tuple[str, ...],
    undoes_it: tuple[str, ...],
) -> None:
    """R4: nothing fails, and it is used again once it takes writes."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
        client.execute_command(*makes_it)
        try:
            ask_everything(cache)
        finally:
            client.execute_command(*undoes_it)
    cache_module._rests_until = 0.0
    cache.set("key", 1)
    assert cache.get("key") == 1


def test_what_somebody_else_wrote_is_neither_run_nor_an_error(
    valkey: Valkey, cache: PatientRedisCache, tmp_path: Path
) -> None:
    """R5."""

    class Canary:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "run",))

    key = cache.make_key("key")
    with redis.Redis.from_url(valkey.url) as client:
        for poison in (pickle.dumps(Canary()), b"\xff\xfe", b"{", b""):
            client.set(key, poison)
            assert cache.get("key", "absent") == "absent"
        client.delete(key)
        client.rpush(key, "a list")
        assert cache.get("key", "absent") == "absent"
        with pytest.raises(ValueError, match="no counter"):
            cache.incr("key")
    assert not (tmp_path / "run").exists()
    cache.set("other", 1)
    assert cache.get("other") == 1, "it is asked all the same"
