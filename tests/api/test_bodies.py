"""Hostile bodies and queries are 400 in the API's shape, on every route."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from api.kit.parsers import StrictJSONParser, read_json
from repositories.events.outbox import relay_events
from repositories.models import Repository
from tests import images, make
from tests.api.conftest import ApiClient, check_answer, session_headers
from tests.api.test_routes import api_patterns
from tests.conftest import Cast
from tests.registry_client import RegistryClient
from webhooks.api.views import REPORT_MAX_BYTES
from webhooks.callbacks import callback_url
from webhooks.models import Delivery

Api = Callable[[str], ApiClient]

DEEP = 100_000
HOSTILE = {
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep value": b'{"name": ' + b"[" * 500 + b"]" * 500 + b"}",
    "never closed": b"[" * DEEP,
    "half of a pair": b'{"name": "a\\ud800"}',
    "half of a pair in a name": b'{"\\udfff": "a"}',
    "half of a pair in bytes": b'{"name": "\xed\xa0\x80"}',
    "NUL": b'{"name": "a\\u0000b"}',
    "huge number": b'{"name": ' + b"9" * 5000 + b"}",
    "beyond 64 bits": b'{"name": 9223372036854775808}',
    "no number": b'{"name": NaN}',
    "infinite": b'{"name": 1e999}',
    "twice": b'{"name": "a", "name": "b"}',
    "no UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "nothing": b"",
    "no object": b'"a"',
}


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "no object"])
def test_hostile_json_is_no_json(name: str) -> None:
    """Depth, duplicates, surrogates, NUL and numbers are refused (B8)."""
    with pytest.raises(ValueError):
        read_json(HOSTILE[name])


def test_json_of_every_type_is_read_as_it_is() -> None:
    value = {"a": [1, -(2**63) + 1, 1.5, None, True, "\U0001f600\n"], "b": {"c": {}}}
    assert read_json(json.dumps(value).encode()) == value
    assert read_json(json.dumps(value, ensure_ascii=False).encode()) == value


def test_every_view_of_the_api_reads_bodies_strictly() -> None:
    """One that brings a parser of its own would bring its faults (B8)."""
    for pattern in api_patterns():
        view: Any = vars(pattern.callback)["cls"]
        for parser in view.parser_classes:
            assert issubclass(parser, StrictJSONParser), view


@pytest.fixture
def callback(private_api: Repository, alice: RegistryClient) -> str:
    hook, _ = make.webhook(
        "https://example.com", repository=private_api, format="dockerhub"
    )
    alice.push(f"{private_api.full_name}:v1", images.image())
    while relay_events():
        pass
    uuid = Delivery.objects.get(webhook=hook).uuid
    return callback_url(uuid).partition("/api/v1")[2]


def test_a_hostile_body_is_400_on_every_route(api_of: Api, callback: str) -> None:
    """In the API's own shape, the address for receivers' reports included (B8)."""
    alice = api_of("alice")
    routes = [
        *(("POST", "/repositories"), ("POST", "/organizations"), ("PATCH", "/user")),
        *(("POST", "/user/tokens"), ("POST", callback)),
    ]
    for name, content in HOSTILE.items():
        if not content:  # changes nothing, and may
            continue
        for method, path in routes:
            response = alice.http.request(
                method,
                f"{alice.url}/api/v1{path}",
                content=content,
                headers={
                    "Authorization": f"Bearer {alice.token}",
                    "Content-Type": "application/json; charset=zlib_codec",
                },
            )
            refused = {400, 413} if len(content) > REPORT_MAX_BYTES else {400}
            assert response.status_code in refused, (name, path, response.text[:300])
            check_answer(response)


QUERIES = (
    *("q=%00", "q=%ED%A0%80", "q=" + "a" * 6000, "page=%00", "page=" + "9" * 5000),
    *("page=-1", "page=%D9%A1", "before=" + "9" * 40, "cursor=%00", "sort=%00"),
    *("platform=%00", "tag=%00", "deleted=%00", "restored=%00", "status=%00"),
    *("delivery=%00", "attempt=" + "9" * 40, "action=%00", "who=%00", "kind=%00"),
    *("page_size=" + "9" * 500, "days=1e400", "at=%00", "&".join(["x=1"] * 1100)),
    *("since=%00", "until=9999999-99-99", "repository=%00", "namespace=%00"),
)


@pytest.mark.parametrize("place", ["pages", "api"])
def test_no_query_is_a_failure_of_ours(
    api_of: Api, private_api: Repository, place: str, cast: Cast
) -> None:
    """NUL, surrogates, and numbers that are too long end at 4xx at most (B8)."""
    alice = api_of("alice")
    name, acme = private_api.full_name, cast.acme.namespace.name
    headers = session_headers(cast.alice)
    paths = {
        "pages": [
            *("/", "/search", f"/{acme}", f"/{name}", f"/{name}/-/tags"),
            *(f"/{name}/-/activity", f"/{name}/-/webhooks", f"/{acme}/-/teams"),
            *(f"/{acme}/-/audit", f"/{acme}/-/members", "/-/notifications", "/new"),
        ],
        "api": [
            *("/repositories", "/search", "/events", "/user", "/user/tokens"),
            *(f"/repositories/{name}/{part}" for part in ("tags", "events", "who")),
            *(f"/repositories/{name}/statistics", f"/organizations/{acme}/audit"),
        ],
    }[place]
    for path in paths:
        for query in QUERIES:
            url = f"{alice.url}{'' if place == 'pages' else '/api/v1'}{path}?{query}"
            typed = {"Content-Type": "text/plain; charset=zlib_codec"}
            response = alice.http.get(url, headers=headers | typed)
            assert response.status_code < 500, (url[:200], response.text[:300])
            if place == "api" and response.status_code != 404:
                check_answer(response)
