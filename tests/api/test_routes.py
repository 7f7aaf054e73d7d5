"""Who gets what from every route: a table, and a check that no route is missing."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.authentication import actor_of
from repositories.lifecycle import delete_repository
from repositories.models import Repository
from tests import make
from tests.api.conftest import ApiClient, Everybodys
from tests.api.table import (
    ADMINISTRATORS,
    API,
    EVERYBODY,
    HIDDEN,
    MEMBERS,
    ORG,
    OWNERS,
    PEOPLE,
    READ,
    READERS,
    REPOSITORY,
    SIGNED_IN,
    UNRESTRICTED,
    WRITERS,
    Route,
    row_of,
)
from tests.conftest import TEST_DATABASE, Cast
from tests.images import image
from tests.registry_client import RegistryClient


def webhook_routes(place: str, for_: frozenset[str] = OWNERS) -> list[Route]:
    """Return the rows of webhooks in one place: a repository, a namespace, the site."""
    hooks, hook = f"{place}/webhooks", f"{place}/webhooks/{{absent}}"
    delivery = f"{hook}/deliveries/{{uuid}}"
    return [
        Route("GET", hooks, for_=for_),
        Route("POST", hooks, body={}, status=400, for_=for_),
        Route("POST", f"{hooks}/preview", body={"events": []}, status=400, for_=for_),
        Route("GET", hook, status=404, for_=for_),
        Route("PATCH", hook, body={}, status=404, for_=for_),
        Route("DELETE", hook, status=404, for_=for_),
        Route("POST", f"{hook}/test", status=404, for_=for_),
        Route("POST", f"{hook}/redeliver", status=404, for_=for_),
        Route("GET", f"{hook}/deliveries", status=404, for_=for_),
        Route("GET", delivery, status=404, for_=for_),
        Route("POST", f"{delivery}/redeliver", status=404, for_=for_),
    ]


# Rows of both forms (tests/api/table.py). {org}, {api} (private), {grant} and the like
# are filled in. A row is asked for many times: by everybody, with every credential.
TABLE: list[Any] = [
    Route("GET", "/user", for_=PEOPLE, needs=READ, reach=UNRESTRICTED),
    Route("PATCH", "/user", body={}, for_=PEOPLE),
    Route("GET", "/user/tokens", for_=PEOPLE),
    Route(
        "POST",
        "/user/tokens",
        body={"name": "ci", "actions": "read"},
        status=201,
        for_=PEOPLE,
    ),
    Route("DELETE", "/user/tokens/{absent}", status=404, for_=PEOPLE),
    Route("GET", "/users", for_=ADMINISTRATORS),
    Route("POST", "/users", body={}, status=400, for_=ADMINISTRATORS),
    Route("GET", "/users/{dave}", for_=EVERYBODY, needs=READ, reach=UNRESTRICTED),
    Route("PATCH", "/users/{dave}", body={}, for_=ADMINISTRATORS),
    Route("DELETE", "/users/{nobody}", status=404, for_=ADMINISTRATORS),
    Route("GET", "/organizations", for_=SIGNED_IN, needs=READ, reach=UNRESTRICTED),
    Route("POST", "/organizations", body={"name": "-"}, status=400, for_=PEOPLE),
    Route("GET", ORG, for_=EVERYBODY, needs=READ, reach=UNRESTRICTED),
    Route("PATCH", ORG, body={}),
    Route("DELETE", ORG, status=409),
    Route("GET", f"{ORG}/teams", for_=MEMBERS, needs=READ),
    Route("POST", f"{ORG}/teams", body={"name": "-"}, status=400),
    Route("GET", f"{ORG}/teams/{{team}}", for_=MEMBERS, needs=READ),
    Route("PATCH", f"{ORG}/teams/{{team}}", body={}),
    Route("DELETE", f"{ORG}/teams/owners", status=409),
    Route("PUT", f"{ORG}/teams/{{team}}/members/{{bob}}", status=204),
    Route("DELETE", f"{ORG}/teams/{{team}}/members/{{dave}}", status=204),
    Route("GET", f"{ORG}/invitations"),
    Route("POST", f"{ORG}/invitations", body={"team": "{team}"}, status=400),
    Route("DELETE", f"{ORG}/invitations/{{absent}}", status=404),
    Route("GET", "/user/invitations", for_=PEOPLE),
    Route(
        "POST",
        "/user/invitations/{absent}",
        body={"answer": "accept"},
        status=404,
        for_=PEOPLE,
    ),
    Route("GET", f"{ORG}/defaults"),
    Route("POST", f"{ORG}/defaults", body={}, status=400),
    Route("DELETE", f"{ORG}/defaults/{{absent}}", status=404),
    Route("DELETE", f"{ORG}/members/{{dave}}", status=204),
    Route("GET", "/former-names", for_=PEOPLE),
    Route("DELETE", "/former-names/{absent}", status=404, for_=PEOPLE),
    Route("GET", "/user/robots", for_=PEOPLE),
    Route("POST", "/user/robots", body={"name": "-"}, status=400, for_=PEOPLE),
    Route("GET", "/user/robots/nobody", status=404, for_=PEOPLE),
    Route(
        "PATCH",
        "/user/robots/nobody",
        body={"is_active": True},
        status=404,
        for_=PEOPLE,
    ),
    Route("DELETE", "/user/robots/nobody", status=404, for_=PEOPLE),
    Route("POST", "/user/robots/nobody/token", status=404, for_=PEOPLE),
    Route("GET", f"{ORG}/robots/{{robot}}"),
    Route("GET", f"{ORG}/robots"),
    Route("POST", f"{ORG}/robots", body={"name": "-"}, status=400),
    Route("PATCH", f"{ORG}/robots/nobody", body={"is_active": True}, status=404),
    Route("DELETE", f"{ORG}/robots/nobody", status=404),
    Route("POST", f"{ORG}/robots/nobody/token", status=404),
    Route("GET", "/user/events", for_=PEOPLE),
    Route("GET", "/user/events/export?format=csv", for_=PEOPLE),
    Route("GET", "/events", for_=ADMINISTRATORS),
    Route("GET", "/events/export?format=jsonl&kind=default.", for_=ADMINISTRATORS),
    Route("GET", f"{ORG}/events"),
    Route("GET", f"{ORG}/events/export?format=csv"),
    Route("GET", "/search", for_=EVERYBODY, needs=READ, reach=UNRESTRICTED),
    Route("GET", "/repositories", for_=EVERYBODY, needs=READ, reach=UNRESTRICTED),
    Route(
        "POST",
        "/repositories",
        body={"namespace": "{org}", "name": "{existing}", "visibility": "private"},
        status=409,
    ),
    Route("GET", API, for_=READERS, needs=READ, anonymous=404),
    Route("PATCH", API, body={}),
    Route("GET", f"{API}/grants"),
    Route("POST", f"{API}/grants", body={}, status=400),
    Route("PATCH", f"{API}/grants/{{grant}}", body={}),
    Route("DELETE", f"{API}/grants/{{absent}}", status=404),
    Route("GET", f"{API}/access?who={{bob}}&action=push"),
    Route("GET", f"{API}/who?action=push"),
    Route("GET", f"{API}/events", for_=READERS, needs=READ, anonymous=404),
    Route("GET", f"{API}/statistics", for_=READERS, needs=READ, anonymous=404),
    Route("GET", f"{API}/events/export?format=jsonl"),
    Route("GET", f"{API}/tags", for_=READERS, needs=READ, anonymous=404),
    Route("GET", f"{API}/tags/v1", for_=READERS, needs=READ, anonymous=404),
    Route("PUT", f"{API}/tags/v1", body={"digest": "{digest}"}, for_=WRITERS),
    Route("DELETE", f"{API}/tags/absent", status=404, for_=WRITERS),
    Route("GET", f"{API}/tags/v1/history", for_=READERS, needs=READ, anonymous=404),
    Route(
        "GET", f"{API}/manifests/{{digest}}", for_=READERS, needs=READ, anonymous=404
    ),
    Route("POST", f"{API}/tags/v1/restore", status=409, for_=WRITERS),
    Route(
        "GET", "/deleted-repositories", for_=SIGNED_IN, needs=READ, reach=UNRESTRICTED
    ),
    Route("GET", "/deleted-repositories/{deleted}", reach=HIDDEN),
    Route("POST", "/deleted-repositories/{deleted}/restore", reach=HIDDEN),
    Route("DELETE", "/deleted-repositories/{deleted}", status=204, reach=HIDDEN),
    Route("GET", "/user/stars", for_=PEOPLE, needs=READ, reach=UNRESTRICTED),
    Route("PUT", f"{API}/star", for_=READERS - {"robby"}),
    Route("DELETE", f"{API}/star", for_=READERS - {"robby"}),
    Route("GET", "/user/watches", for_=PEOPLE, needs=READ, reach=UNRESTRICTED),
    Route("PUT", f"{API}/watch", for_=READERS - {"robby"}),
    Route("DELETE", f"{API}/watch", for_=READERS - {"robby"}),
    Route("GET", "/user/notifications", for_=PEOPLE),
    Route("POST", "/user/notifications/read", body={"last": 1}, for_=PEOPLE),
    Route("GET", "/user/notifications/preference", for_=PEOPLE),
    Route(
        "PUT",
        "/user/notifications/preference",
        body={"wants_mail": True},
        for_=PEOPLE,
    ),
    *webhook_routes(API),
    *webhook_routes(ORG),
    *webhook_routes("", ADMINISTRATORS),
    Route(
        "POST",
        "/callbacks/{absent}",
        body={"state": "success"},
        status=404,
        for_=EVERYBODY,
        needs=READ,
        anonymous=404,
        reach=UNRESTRICTED,
    ),
    # At the end, since it succeeds for the owner.
    Route("DELETE", API, status=204),
]


ROUTES = [row_of(row) for row in TABLE]


def make_names(cast: Cast, alice: RegistryClient) -> dict[str, str]:
    """Make what the paths of the table are about, and return their names."""
    repository = make.repository(cast.acme.namespace, make.unique("api"))
    grant = make.grant(repository, cast.backend, "write")
    make.grant(repository, cast.carol, "read")
    make.grant(repository, cast.robby, "write")
    pushed = image()
    alice.push(f"{repository.full_name}:v1", pushed)
    deleted = make.repository(cast.acme.namespace, make.unique("deleted"))
    make.grant(deleted, cast.backend, "write")
    delete_repository(repository=deleted, actor=actor_of(cast.alice))
    return {
        "deleted": str(deleted.pk),
        "org": cast.acme.namespace.name,
        "team": cast.backend.name,
        "api": repository.full_name,
        "existing": repository.name,
        "digest": pushed.digest,
        "grant": str(grant.pk),
        "absent": "999999999",
        "uuid": str(UUID(int=0)),
        "nobody": make.unique("nobody"),
        "bob": cast.bob.username,
        "dave": cast.dave.username,
        "robot": cast.robby.name,
    }


def is_used_up(names: dict[str, str]) -> bool:
    """Tell whether somebody has deleted or restored what the names are about."""
    there = Repository.objects.filter(deleted_at=None)
    is_there = there.filter(
        namespace__name=names["org"], name=names["existing"]
    ).exists()
    waits = Repository.objects.exclude(deleted_at=None).filter(pk=names["deleted"])
    return not is_there or not waits.exists()


def filled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return value.format_map(names)
    if isinstance(value, dict):
        return {key: filled(inner, names) for key, inner in value.items()}
    return value


@pytest.fixture(scope="module")
def names() -> dict[str, str]:
    """Hold the names that the rows share; each may ask often for what it is about."""
    return {}


def is_asked(person: str, credential: str) -> bool:
    """On the second database: everyone with all of their rights, the owner with each.

    A token narrows by its own columns, and not by who has it.
    """
    return TEST_DATABASE == "sqlite" or credential == "full" or person == "alice"


@pytest.mark.parametrize("row", ROUTES, ids=str)
def test_everybody_gets_the_answer_of_the_table(
    everybodys: Everybodys,
    cast: Cast,
    alice: RegistryClient,
    names: dict[str, str],
    row: Route,
) -> None:
    expected, got = row.expected(), {}
    for who in expected:
        if not is_asked(*who):
            continue
        if not names or is_used_up(names):
            names.update(make_names(cast, alice))
        client = everybodys.client(*who)
        path, body = filled(row.path, names), filled(row.body, names)
        response = client.request(row.method, path, body)
        got[who] = response.status_code
        if row.is_about == REPOSITORY and response.status_code == 404:
            check_hidden(client, row, names, response, who)
    assert {who: got[who] for who in got if got[who] != expected[who]} == {}, {
        who: expected[who] for who in got if got[who] != expected[who]
    }


def check_hidden(
    client: ApiClient,
    row: Route,
    names: dict[str, str],
    response: httpx.Response,
    who: tuple[str, str],
) -> None:
    """Those who may not see the repository are told what they are told of none."""
    person, credential = who
    if person in READERS and credential != "other":
        return
    elsewhere = {**names, "api": f"{names['org']}/absent"}
    absent = client.request(
        row.method, filled(row.path, elsewhere), filled(row.body, names)
    )
    assert absent.content == response.content, who
    assert absent.headers.keys() == response.headers.keys(), who


def test_a_session_needs_the_csrf_token(
    everybodys: Everybodys, cast: Cast, alice: RegistryClient
) -> None:
    """A page elsewhere must not act for those who are signed in here."""
    names = make_names(cast, alice)
    session = everybodys.client("alice", "session")
    for forged in (
        replace(session, headers={"Cookie": session.cookie}),
        replace(session, headers={"Cookie": session.cookie, "X-CSRFToken": "x" * 32}),
        replace(session, headers={**session.headers, "Origin": "https://evil.example"}),
    ):
        for row in ROUTES:
            if row.method != "GET":
                path, body = filled(row.path, names), filled(row.body, names)
                response = forged.request(row.method, path, body)
                assert response.status_code == 403, row
                assert "CSRF" in response.text
    assert not is_used_up(names)


def test_no_route_is_missing_from_the_table() -> None:
    """Every route and method of /api/v1, from the URL resolver."""
    in_table = {(resolve_name(row.path), row.method) for row in ROUTES}
    there_are = {
        (pattern.name, method.upper())
        for pattern in api_patterns()
        for method in ("get", "post", "put", "patch", "delete")
        if hasattr(pattern.callback.view_class, method)  # type: ignore[attr-defined]
    }
    assert there_are == in_table


def api_patterns() -> list[URLPattern]:
    return [
        pattern
        for resolver in get_resolver().url_patterns
        if isinstance(resolver, URLResolver) and str(resolver.pattern) == "api/v1/"
        for pattern in resolver.url_patterns
        if isinstance(pattern, URLPattern)
    ]


def resolve_name(path: str) -> str | None:
    """Return the name of a path's route; any id is 1, and any name too."""
    example = defaultdict(
        lambda: "1", api="acme/api", digest="sha256:" + "0" * 64, uuid=str(UUID(int=0))
    )
    plain = filled(path.partition("?")[0], example)
    return get_resolver().resolve(f"/api/v1{plain}").url_name
