"""Clients of the API: one login each, by access token."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.conftest import Cast
from tests.servers import BerthServer


@dataclass(frozen=True)
class ApiClient:
    """Speaks JSON with the live server; every refusal is held against its shape."""

    http: httpx.Client
    url: str
    token: str = ""

    def request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
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
