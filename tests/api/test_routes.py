"""Who gets what from every route: a table, and a check that no route is missing."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.authentication import actor_of
from repositories.lifecycle import delete_repository
from repositories.models import Repository
from tests import make
from tests.api.conftest import ApiClient, Everybodys
from tests.api.table import API, ORG, READERS, REPOSITORY, Route, row_of
from tests.conftest import Cast
from tests.images import image
from tests.registry_client import RegistryClient

# Rows of both forms (tests/api/table.py). {org}, {api} (private), {grant} and the like
# are filled in. A row is asked for many times: by everybody, with every credential.
TABLE: list[Any] = [
    ("/user", "GET", None, (200, 200, 200, 200, 200, 401, 200, 403, 401, 200, 200)),
    ("/user", "PATCH", {}, (200, 200, 200, 200, 200, 401, 200, 403, 401, 403, 403)),
    (
        *("/user/tokens", "GET", None),
        (200, 200, 200, 200, 200, 401, 200, 403, 401, 403, 403),
    ),
    (
        *("/user/tokens", "POST", {"name": "ci", "actions": "read"}),
        (201, 201, 201, 201, 201, 401, 201, 403, 401, 403, 403),
    ),
    (
        *("/user/tokens/{absent}", "DELETE", None),
        (404, 404, 404, 404, 404, 401, 404, 403, 401, 403, 403),
    ),
    ("/users", "GET", None, (403, 403, 403, 403, 403, 401, 200, 403, 401, 403, 403)),
    (
        *("/users", "POST", {}),
        (403, 403, 403, 403, 403, 401, 400, 403, 401, 403, 403),
    ),
    (
        *("/users/{dave}", "GET", None),
        (200, 200, 200, 200, 200, 401, 200, 200, 401, 200, 200),
    ),
    (
        *("/users/{dave}", "PATCH", {}),
        (403, 403, 403, 403, 403, 401, 200, 403, 401, 403, 403),
    ),
    (
        *("/users/{nobody}", "DELETE", None),
        (403, 403, 403, 403, 403, 401, 404, 403, 401, 403, 403),
    ),
    (
        *("/organizations", "GET", None),
        (200, 200, 200, 200, 200, 401, 200, 200, 401, 200, 200),
    ),
    (
        *("/organizations", "POST", {"name": "-"}),
        (400, 400, 400, 400, 400, 401, 400, 403, 401, 403, 403),
    ),
    (ORG, "GET", None, (200, 200, 200, 200, 200, 401, 200, 200, 200, 200, 200)),
    (ORG, "PATCH", {}, (200, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403)),
    (ORG, "DELETE", None, (409, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403)),
    (
        *(f"{ORG}/teams", "GET", None),
        (200, 200, 403, 403, 403, 401, 403, 403, 401, 200, 403),
    ),
    (
        *(f"{ORG}/teams", "POST", {"name": "-"}),
        (400, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/teams/{{team}}", "GET", None),
        (200, 200, 403, 403, 403, 401, 403, 403, 401, 200, 403),
    ),
    (
        *(f"{ORG}/teams/{{team}}", "PATCH", {}),
        (200, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/teams/owners", "DELETE", None),
        (409, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/teams/{{team}}/members/{{bob}}", "PUT", None),
        (204, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/teams/{{team}}/members/{{dave}}", "DELETE", None),
        (204, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/invitations", "GET", None),
        (200, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/invitations", "POST", {"team": "{team}"}),
        (400, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/invitations/{{absent}}", "DELETE", None),
        (404, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *("/user/invitations", "GET", None),
        (200, 200, 200, 200, 200, 401, 200, 403, 401, 403, 403),
    ),
    (
        *("/user/invitations/{absent}", "POST", {"answer": "accept"}),
        (404, 404, 404, 404, 404, 401, 404, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/defaults", "GET", None),
        (200, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/defaults", "POST", {}),
        (400, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/defaults/{{absent}}", "DELETE", None),
        (404, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *("/user/robots", "GET", None),
        (200, 200, 200, 200, 200, 401, 200, 403, 401, 403, 403),
    ),
    (
        *("/user/robots", "POST", {"name": "-"}),
        (400, 400, 400, 400, 400, 401, 400, 403, 401, 403, 403),
    ),
    (
        *("/user/robots/nobody", "GET", None),
        (404, 404, 404, 404, 404, 401, 404, 403, 401, 403, 403),
    ),
    (
        *("/user/robots/nobody", "DELETE", None),
        (404, 404, 404, 404, 404, 401, 404, 403, 401, 403, 403),
    ),
    (
        *("/user/robots/nobody/token", "POST", None),
        (404, 404, 404, 404, 404, 401, 404, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/robots/{{robot}}", "GET", None),
        (200, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/robots", "GET", None),
        (200, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/robots", "POST", {"name": "-"}),
        (400, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/robots/nobody", "DELETE", None),
        (404, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/robots/nobody/token", "POST", None),
        (404, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *("/user/events", "GET", None),
        (200, 200, 200, 200, 200, 401, 200, 403, 401, 403, 403),
    ),
    (
        *("/user/events/export?format=csv", "GET", None),
        (200, 200, 200, 200, 200, 401, 200, 403, 401, 403, 403),
    ),
    (
        *("/events", "GET", None),
        (403, 403, 403, 403, 403, 401, 200, 403, 401, 403, 403),
    ),
    (
        *("/events/export?format=jsonl&kind=default.", "GET", None),
        (403, 403, 403, 403, 403, 401, 200, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/events", "GET", None),
        (200, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/events/export?format=csv", "GET", None),
        (200, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    ("/search", "GET", None, (200, 200, 200, 200, 200, 401, 200, 200, 200, 200, 200)),
    (
        *("/repositories", "GET", None),
        (200, 200, 200, 200, 200, 401, 200, 200, 200, 200, 200),
    ),
    (
        "/repositories",
        "POST",
        {"namespace": "{org}", "name": "{existing}", "visibility": "private"},
        (409, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (API, "GET", None, (200, 200, 200, 404, 404, 401, 404, 200, 404, 200, 404)),
    (API, "PATCH", {}, (200, 403, 403, 404, 404, 401, 404, 403, 404, 403, 404)),
    (
        *(f"{API}/grants", "GET", None),
        (200, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/grants", "POST", {}),
        (400, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/grants/{{grant}}", "PATCH", {}),
        (200, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/grants/{{absent}}", "DELETE", None),
        (404, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/access?who={{bob}}&action=push", "GET", None),
        (200, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/who?action=push", "GET", None),
        (200, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/events", "GET", None),
        (200, 200, 200, 404, 404, 401, 404, 200, 404, 200, 404),
    ),
    (
        *(f"{API}/statistics", "GET", None),
        (200, 200, 200, 404, 404, 401, 404, 200, 404, 200, 404),
    ),
    (
        *(f"{API}/events/export?format=jsonl", "GET", None),
        (200, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/tags", "GET", None),
        (200, 200, 200, 404, 404, 401, 404, 200, 404, 200, 404),
    ),
    (
        *(f"{API}/tags/v1", "GET", None),
        (200, 200, 200, 404, 404, 401, 404, 200, 404, 200, 404),
    ),
    (
        *(f"{API}/tags/v1", "PUT", {"digest": "{digest}"}),
        (200, 200, 403, 404, 404, 401, 404, 200, 404, 403, 404),
    ),
    (
        *(f"{API}/tags/absent", "DELETE", None),
        (404, 404, 403, 404, 404, 401, 404, 404, 404, 403, 404),
    ),
    (
        *(f"{API}/tags/v1/history", "GET", None),
        (200, 200, 200, 404, 404, 401, 404, 200, 404, 200, 404),
    ),
    (
        *(f"{API}/manifests/{{digest}}", "GET", None),
        (200, 200, 200, 404, 404, 401, 404, 200, 404, 200, 404),
    ),
    (
        *(f"{API}/tags/v1/restore", "POST", None),
        (409, 409, 403, 404, 404, 401, 404, 409, 404, 403, 404),
    ),
    (
        *("/deleted-repositories", "GET", None),
        (200, 200, 200, 200, 200, 401, 200, 200, 401, 200, 200),
    ),
    (
        *("/deleted-repositories/{deleted}", "GET", None),
        (200, 404, 404, 404, 404, 401, 404, 404, 401, 404, 404),
    ),
    (
        *("/deleted-repositories/{deleted}/restore", "POST", None),
        (200, 404, 404, 404, 404, 401, 404, 404, 401, 404, 404),
    ),
    (
        *("/deleted-repositories/{deleted}", "DELETE", None),
        (204, 404, 404, 404, 404, 401, 404, 404, 401, 404, 404),
    ),
    (
        *(f"{API}/webhooks", "GET", None),
        (200, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/webhooks", "POST", {}),
        (400, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/webhooks/preview", "POST", {"events": []}),
        (400, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/webhooks/{{absent}}", "GET", None),
        (404, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/webhooks/{{absent}}", "PATCH", {}),
        (404, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/webhooks/{{absent}}", "DELETE", None),
        (404, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/webhooks/{{absent}}/test", "POST", None),
        (404, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/webhooks/{{absent}}/redeliver", "POST", None),
        (404, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/webhooks/{{absent}}/deliveries", "GET", None),
        (404, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/webhooks/{{absent}}/deliveries/{{uuid}}", "GET", None),
        (404, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{API}/webhooks/{{absent}}/deliveries/{{uuid}}/redeliver", "POST", None),
        (404, 403, 403, 404, 404, 401, 404, 403, 401, 403, 404),
    ),
    (
        *(f"{ORG}/webhooks", "GET", None),
        (200, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/webhooks", "POST", {}),
        (400, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/webhooks/preview", "POST", {"events": []}),
        (400, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/webhooks/{{absent}}", "GET", None),
        (404, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/webhooks/{{absent}}", "PATCH", {}),
        (404, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/webhooks/{{absent}}", "DELETE", None),
        (404, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/webhooks/{{absent}}/test", "POST", None),
        (404, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/webhooks/{{absent}}/redeliver", "POST", None),
        (404, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/webhooks/{{absent}}/deliveries", "GET", None),
        (404, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/webhooks/{{absent}}/deliveries/{{uuid}}", "GET", None),
        (404, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *(f"{ORG}/webhooks/{{absent}}/deliveries/{{uuid}}/redeliver", "POST", None),
        (404, 403, 403, 403, 403, 401, 403, 403, 401, 403, 403),
    ),
    (
        *("/webhooks", "GET", None),
        (403, 403, 403, 403, 403, 401, 200, 403, 401, 403, 403),
    ),
    (
        *("/webhooks", "POST", {}),
        (403, 403, 403, 403, 403, 401, 400, 403, 401, 403, 403),
    ),
    (
        *("/webhooks/preview", "POST", {"events": []}),
        (403, 403, 403, 403, 403, 401, 400, 403, 401, 403, 403),
    ),
    (
        *("/webhooks/{absent}", "GET", None),
        (403, 403, 403, 403, 403, 401, 404, 403, 401, 403, 403),
    ),
    (
        *("/webhooks/{absent}", "PATCH", {}),
        (403, 403, 403, 403, 403, 401, 404, 403, 401, 403, 403),
    ),
    (
        *("/webhooks/{absent}", "DELETE", None),
        (403, 403, 403, 403, 403, 401, 404, 403, 401, 403, 403),
    ),
    (
        *("/webhooks/{absent}/test", "POST", None),
        (403, 403, 403, 403, 403, 401, 404, 403, 401, 403, 403),
    ),
    (
        *("/webhooks/{absent}/redeliver", "POST", None),
        (403, 403, 403, 403, 403, 401, 404, 403, 401, 403, 403),
    ),
    (
        *("/webhooks/{absent}/deliveries", "GET", None),
        (403, 403, 403, 403, 403, 401, 404, 403, 401, 403, 403),
    ),
    (
        *("/webhooks/{absent}/deliveries/{uuid}", "GET", None),
        (403, 403, 403, 403, 403, 401, 404, 403, 401, 403, 403),
    ),
    (
        *("/webhooks/{absent}/deliveries/{uuid}/redeliver", "POST", None),
        (403, 403, 403, 403, 403, 401, 404, 403, 401, 403, 403),
    ),
    (
        *("/callbacks/{absent}", "POST", {"state": "success"}),
        (404, 404, 404, 404, 404, 401, 404, 404, 404, 404, 404),
    ),
    # At the end, since it succeeds for the owner.
    (API, "DELETE", None, (204, 403, 403, 404, 404, 401, 404, 403, 404, 403, 404)),
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
        "uuid": "00000000-0000-0000-0000-000000000000",
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


@pytest.mark.parametrize("row", ROUTES, ids=str)
def test_everybody_gets_the_answer_of_the_table(
    everybodys: Everybodys, cast: Cast, alice: RegistryClient, row: Route
) -> None:
    names = make_names(cast, alice)
    expected, got = row.expected(), {}
    for who in expected:
        if is_used_up(names):
            names = make_names(cast, alice)
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
    example = defaultdict(lambda: "1", api="acme/api", digest="sha256:" + "0" * 64)
    plain = filled(path.partition("?")[0], example)
    return get_resolver().resolve(f"/api/v1{plain}").url_name
