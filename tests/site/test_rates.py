"""An account does nothing without end that costs others something (A7)."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.authentication import actor_of
from accounts.models import User
from accounts.rates import TooManyActions, take
from distribution.models import Upload
from distribution.uploads import sessions
from registry_site.environment import rates
from repositories.models import Repository
from tests import make
from tests.pages import session_cookie
from tests.registry_client import basic_header

MAX = 3
_serial = itertools.count()


@pytest.fixture(scope="module")
def owner(django_db_setup: None) -> User:
    return make.user("owner")


@pytest.fixture(scope="module")
def api(owner: User) -> Repository:
    organization = make.organization(owner=owner)
    made = make.repository(organization.namespace, make.unique("api"))
    make.webhook("https://example.com/", repository=made)
    return made


@pytest.fixture
def strict(settings: Any) -> Any:
    """Let each be done a few times a day."""
    names = django_settings.BERTH_RATES
    settings.BERTH_RATES = dict.fromkeys(names, (MAX, 86400))
    cache.clear()
    yield settings
    cache.clear()


def browser_of(person: User | None) -> Client:
    browser = Client(HTTP_HOST=django_settings.BERTH_SERVICE)
    if person is not None:
        name = django_settings.SESSION_COOKIE_NAME
        browser.cookies[name] = session_cookie(person)
    return browser


def api_post(path: str, **body: Any) -> Callable[[Client, dict[str, str]], Any]:
    def send(browser: Client, names: dict[str, str]) -> Any:
        filled = {
            key: value.format(**names, n=next(_serial))
            if isinstance(value, str)
            else value
            for key, value in body.items()
        }
        url = f"/api/v1{path.format(**names)}"
        return browser.post(url, filled, content_type="application/json")

    return send


def get(path: str) -> Callable[[Client, dict[str, str]], Any]:
    return lambda browser, names: browser.get(path.format(**names))


def patch_readme(browser: Client, names: dict[str, str]) -> Any:
    return browser.patch(
        f"/api/v1/repositories/{names['repository']}",
        {"readme": f"# {next(_serial)}"},
        content_type="application/json",
    )


def put_star(browser: Client, names: dict[str, str]) -> Any:
    return browser.put(f"/api/v1/repositories/{names['repository']}/star")


HOOK = "/repositories/{repository}/webhooks"
ACTIONS: dict[str, Callable[[Client, dict[str, str]], Any]] = {
    "exports": get("/api/v1/user/events/export?format=csv"),
    "invitations": api_post(
        "/organizations/{org}/invitations", team="owners", email="r{n}@example.com"
    ),
    "organizations": api_post("/organizations", name="rated-{n}"),
    "previews": api_post(f"{HOOK}/preview", format="native", events=["push"]),
    "readmes": patch_readme,
    "redeliveries": api_post(
        f"{HOOK}/{{hook}}/redeliver", since="2026-01-01T00:00:00Z"
    ),
    "repositories": api_post(
        "/repositories", namespace="{org}", name="rated-{n}", visibility="private"
    ),
    "robots": api_post("/organizations/{org}/robots", name="rated-{n}"),
    "searches": get("/search?q=x"),
    "stars": put_star,
    "teams": api_post(
        "/organizations/{org}/teams", name="rated-{n}", standing="member"
    ),
    "tokens": api_post("/user/tokens", name="t{n}", actions="read"),
    "webhook-tests": api_post(f"{HOOK}/{{hook}}/test"),
    "webhooks": api_post(HOOK, url="https://example.com/{n}", events=["push"]),
}


@pytest.mark.once  # the cache counts
@pytest.mark.parametrize("action", sorted(django_settings.BERTH_RATES))
def test_each_has_a_limit_by_account(
    strict: Any, owner: User, api: Repository, action: str
) -> None:
    """429 with Retry-After in the shape of its place; others are not stopped (A7)."""
    names = {
        "org": api.namespace.name,
        "repository": api.full_name,
        "hook": str(api.webhooks.order_by("pk")[0].pk),
    }
    browser = browser_of(owner)
    answers = [ACTIONS[action](browser, names) for _ in range(MAX + 1)]
    assert all(a.status_code < 400 for a in answers[:-1]), answers[0].content
    refused = answers[-1]
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 86400
    if refused.headers["Content-Type"] == "application/json":
        [error] = refused.json()["errors"]
        assert error["code"] == "throttled"
        assert action in error["message"]
    else:
        assert b"<h1>" in refused.content
    other = make.user("other")
    assert browser_of(other).get("/search?q=x").status_code == 200


def test_pages_api_and_docker_share_the_count_of_searches(strict: Any) -> None:
    """By address without an account, IPv6 by its /64 (A7)."""
    browser = browser_of(None)
    paths = ("/search?q=x", "/api/v1/search?q=x", "/v1/search?q=x")
    for number, path in enumerate(paths):
        answer = browser.get(path, REMOTE_ADDR=f"2001:db8::{number + 1}")
        assert answer.status_code == 200
    for path in paths:
        answer = browser.get(path, REMOTE_ADDR="2001:db8::ffff")
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) > 0
        if not path.startswith("/search"):
            assert "errors" in answer.json()
    assert browser.get(paths[0], REMOTE_ADDR="2001:db8:0:1::1").status_code == 200


def test_a_cache_that_is_away_refuses_nobody(
    strict: Any, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError

    with monkeypatch.context() as patch:
        patch.setattr(cache, "incr", refuse)
        for _ in range(MAX + 1):
            take("stars", actor_of(owner))
    with pytest.raises(TooManyActions):
        for _ in range(MAX + 1):
            take("stars", actor_of(owner))


def test_open_uploads_are_limited_by_account(
    strict: Any, owner: User, api: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OCI errors; canceled ones make room, and so do abandoned ones (RATE-6, A7)."""
    strict.BERTH_OPEN_UPLOADS = MAX
    secret = make.access_token(owner)
    headers = {
        "Authorization": basic_of(owner.username, secret),
        "Content-Length": "0",
    }
    client = Client(HTTP_HOST=django_settings.BERTH_SERVICE)

    def start() -> Any:
        return client.post(
            f"/v2/{api.full_name}/blobs/uploads/",
            content_type="application/octet-stream",
            headers=headers,
        )

    assert [start().status_code for _ in range(MAX)] == [202] * MAX
    refused = start()
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    [error] = refused.json()["errors"]
    assert error["code"] == "TOOMANYREQUESTS"
    assert "BERTH_OPEN_UPLOADS" in error["message"]
    mine = Upload.objects.filter(user=owner)
    mine.order_by("started_at")[0].delete()
    assert start().status_code == 202
    mine.update(touched_at=timezone.now() - sessions.OPEN_IN_USE)
    assert start().status_code == 202
    monkeypatch.setattr(sessions, "ABANDONED_FACTOR", 1)
    assert start().status_code == 429
    mine.delete()


def basic_of(username: str, secret: str) -> str:
    return basic_header(username, secret)["Authorization"]


@pytest.mark.parametrize("text", ["stars", "stars=", "stars=x", "nothing=1/hour"])
def test_a_rate_that_cannot_be_read_stops_the_start(text: str) -> None:
    with pytest.raises(Exception, match=r"neither|NAME=RATE"):
        rates(text, {"stars": "1/hour"})


def test_single_rates_are_changed() -> None:
    changed = rates("stars=none, tokens=5/day", {"stars": "1/hour", "tokens": "1/hour"})
    assert changed == {"stars": None, "tokens": (5, 86400)}
