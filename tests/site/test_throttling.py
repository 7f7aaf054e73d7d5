"""How many requests the API takes of one caller (BERTH_API_RATE)."""

from collections.abc import Iterator

import httpx
import pytest
from django.core.cache.backends.redis import RedisCache

from api.kit import throttles
from tests.api.conftest import check_answer
from tests.servers import BerthServer, free_port

pytestmark = pytest.mark.own_database

MAX = 6  # requests of an account; half as many without one
ISSUE_TOKENS = """
from accounts.actors import SYSTEM
from accounts.models import User
from accounts.tokens import issue_access_token
for user in User.objects.all():
    for _ in range(2):
        print(issue_access_token(user=user, name="t", actions="read", actor=SYSTEM)[1])
"""


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BerthServer]:
    """A server that takes a few requests a day and keeps to it, without Redis."""
    server = BerthServer(
        data_folder=tmp_path_factory.mktemp("strict"),
        BERTH_WORKERS="1",
        BERTH_API_RATE=f"{MAX}/day",
        BERTH_API_ANONYMOUS_RATE=f"{MAX // 2}/day",
    )
    server.manage("prepare")
    with server:
        yield server


def statuses(server: BerthServer, count: int, **headers: str) -> list[int]:
    answers = [
        httpx.get(f"{server.url}/api/v1/repositories", headers=headers, timeout=60)
        for _ in range(count)
    ]
    for answer in answers:
        check_answer(answer)
    return [answer.status_code for answer in answers]


def test_an_account_has_to_wait_with_whichever_token(strict: BerthServer) -> None:
    one, two = strict.manage("shell", "--verbosity=0", "-c", ISSUE_TOKENS).split()
    assert statuses(strict, MAX - 1, Authorization=f"Bearer {one}") == [200] * (MAX - 1)
    assert statuses(strict, 2, Authorization=f"Bearer {two}") == [200, 429]
    refused = httpx.get(
        f"{strict.url}/api/v1/user",
        headers={"Authorization": f"Bearer {one}"},
        timeout=60,
    )
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 86400
    assert refused.json()["errors"] == [
        {
            "code": "throttled",
            "message": "too many requests: try again in "
            f"{refused.headers['Retry-After']} seconds",
            "field": None,
        }
    ]
    # The protocol has limits of its own, and pages none.
    assert httpx.get(f"{strict.url}/v2/", timeout=60).status_code == 401


def test_a_stranger_does_not_become_another_by_a_header(strict: BerthServer) -> None:
    got = [
        status
        for number in range(MAX)
        for status in statuses(strict, 1, **{"X-Forwarded-For": f"203.0.113.{number}"})
    ]
    assert got == [200] * (MAX // 2) + [429] * (MAX - MAX // 2)
    # The OpenAPI document is made once and kept, so it costs less than a refusal.
    assert httpx.get(f"{strict.url}/api/schema/", timeout=60).status_code == 200


def test_a_cache_that_is_away_refuses_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    away = RedisCache(f"redis://127.0.0.1:{free_port()}/0", {})
    monkeypatch.setattr(throttles, "cache", away)
    monkeypatch.setattr(throttles, "_ask_again_at", 0.0)
    assert throttles.count("key", 60, now=1000.0) == 0
    assert "no one is refused" in caplog.text
    caplog.clear()
    assert throttles.count("key", 60, now=1001.0) == 0
    assert not caplog.text, "it is left alone for a while"
    assert throttles.count("key", 60, now=1000.0 + throttles.REST_SECONDS) == 0
    assert "no one is refused" in caplog.text
