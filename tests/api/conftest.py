"""Clients of the API: one login each, by access token."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.utils.crypto import get_random_string

from accounts.actors import ANONYMOUS
from accounts.authentication import actor_of, actor_of_robot
from accounts.models import User
from distribution.tokens import issue_token
from tests import make
from tests.conftest import Cast
from tests.registry_client import basic_header
from tests.servers import BerthServer


@dataclass(frozen=True)
class ApiClient:
    """Speaks JSON with the live server; every refusal is held against its shape."""

    http: httpx.Client
    url: str
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def cookie(self) -> str:
        return self.headers.get("Cookie", "")

    def request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = dict(self.headers)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        response = self.http.request(
            method, f"{self.url}/api/v1{path}", json=body, headers=headers
        )
        check_answer(response)
        return response

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.request("POST", path, body)

    def put(self, path: str, body: Any = None) -> httpx.Response:
        return self.request("PUT", path, body)

    def patch(self, path: str, body: Any) -> httpx.Response:
        return self.request("PATCH", path, body)

    def delete(self, path: str) -> httpx.Response:
        return self.request("DELETE", path)

    def everything(self, path: str) -> list[Any]:
        """Follow a list to its end."""
        found: list[Any] = []
        following: str | None = f"{self.url}/api/v1{path}"
        while following:
            headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
            answer = self.http.get(following, headers=headers).json()
            found += answer["results"]
            following = answer["next"]
        return found


def check_answer(response: httpx.Response) -> None:
    """Errors are ``{"errors": [{"code", "message", "field"}]}``, and never 500."""
    where = f"{response.request.method} {response.request.url}: {response.text[:500]}"
    assert response.status_code < 500, where
    if response.status_code >= 400:
        errors = response.json()["errors"]
        assert errors, where
        for error in errors:
            assert set(error) == {"code", "message", "field"}, where
            assert error["message"], where
    if response.status_code == 401:
        assert response.headers["WWW-Authenticate"].startswith("Bearer"), where


@pytest.fixture
def api_of(
    cast: Cast, registry: BerthServer, http: httpx.Client
) -> Iterator[Callable[[str], ApiClient]]:
    """Return the client of one of the people, "anonymous", or a token's own."""

    def client(who: str) -> ApiClient:
        if who.startswith("berth_"):
            return ApiClient(http, registry.url, who)
        if who == "anonymous":
            return ApiClient(http, registry.url)
        return ApiClient(http, registry.url, cast.secrets[getattr(cast, who).username])

    yield client


@dataclass(frozen=True)
class Everybodys:
    """Clients of all persons with all of their credentials (tests/api/table.py)."""

    http: httpx.Client
    url: str
    headers: dict[tuple[str, str], dict[str, str]]

    def client(self, person: str, credential: str) -> ApiClient:
        return ApiClient(self.http, self.url, headers=self.headers[person, credential])


@pytest.fixture(scope="module")
def everybodys(cast: Cast, registry: BerthServer, http: httpx.Client) -> Everybodys:
    """Make those who are in no other test, and every credential of everybody."""
    former, disabled = make.user("former"), make.user("disabled")
    team = make.team(cast.acme, former, disabled)
    team.memberships.filter(user=former).delete()
    people = {
        "alice": cast.alice,
        "bob": cast.bob,
        "carol": cast.carol,
        "dave": cast.dave,
        "former": former,
        "disabled": disabled,
        "administrator": make.user("root", is_superuser=True, is_staff=True),
    }
    headers = {}
    for person, user in people.items():
        elsewhere = make.repository(user.namespace, make.unique("other"))
        for credential, secret in {
            "full": make.access_token(user),
            "read": make.access_token(user, "read"),
            "other": make.access_token(user, repository_ids=[elsewhere.pk]),
            "registry": issue_token(actor=actor_of(user), access=[]).text,
        }.items():
            headers[person, credential] = {"Authorization": f"Bearer {secret}"}
        headers[person, "session"] = session_headers(user)
        headers[person, "password"] = basic_header(user.username, "a password")
    robot = cast.secrets[cast.robby.username]
    robots_own = issue_token(actor=actor_of_robot(cast.robby), access=[]).text
    nobodys = issue_token(actor=ANONYMOUS, access=[]).text
    headers["robby", "full"] = {"Authorization": f"Bearer {robot}"}
    headers["robby", "registry"] = {"Authorization": f"Bearer {robots_own}"}
    headers["anonymous", "full"] = {}
    headers["anonymous", "registry"] = {"Authorization": f"Bearer {nobodys}"}
    User.objects.filter(pk=disabled.pk).update(is_active=False)
    return Everybodys(http, registry.url, headers)


def session_headers(user: User) -> dict[str, str]:
    """Sign a person in, and return what a page of ours sends with its requests."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    csrf = get_random_string(32)
    cookies = {
        settings.SESSION_COOKIE_NAME: session.session_key,
        settings.CSRF_COOKIE_NAME: csrf,
    }
    return {
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "X-CSRFToken": csrf,
    }
