"""Who gets what from every route: a table, and a check that no route is missing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.authentication import actor_of
from accounts.models import User
from repositories.lifecycle import delete_repository
from repositories.models import Grant, Repository
from tests import make
from tests.api.conftest import ApiClient
from tests.conftest import Cast
from tests.images import image
from tests.registry_client import RegistryClient

PEOPLE = (
    "alice",  # owns
    "bob",  # writes through a team, and so is in the organization
    "carol",  # reads
    "dave",  # a stranger
    "former",  # was in the team
    "disabled",  # was switched off
    "administrator",  # of the site
    "robby",  # a robot that writes
    "anonymous",
    "alice-read",  # alice with a token that only reads
    "alice-other",  # alice with a token for another repository
)

# path, method, body, then the status for each of PEOPLE in that order. {org}, {api}
# (private), {grant} and the like are filled in. Foreign and absent answer alike: a row
# for a repository has the stranger's answer, and the test asks for an absent one too.
Row = tuple[str, str, Any, tuple[int, ...]]
ORG = "/organizations/{org}"
API = "/repositories/{api}"
TABLE: list[Row] = [
    ("/user", "GET", None, (200, 200, 200, 200, 200, 401, 200, 403, 401, 200, 200)),
    ("/user", "PATCH", {}, (200, 200, 200, 200, 200, 401, 200, 403, 401, 403, 200)),
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


@pytest.fixture
def names(cast: Cast, private_api: Repository, alice: RegistryClient) -> dict[str, str]:
    """What the paths of the table are about."""
    pushed = image()
    alice.push(f"{private_api.full_name}:v1", pushed)
    grant = Grant.objects.filter(repository=private_api).first()
    assert grant is not None
    deleted = make.repository(cast.acme.namespace, make.unique("deleted"))
    make.grant(deleted, cast.backend, "write")
    delete_repository(repository=deleted, actor=actor_of(cast.alice))
    return {
        "deleted": str(deleted.pk),
        "org": cast.acme.namespace.name,
        "team": cast.backend.name,
        "api": private_api.full_name,
        "existing": private_api.name,
        "digest": pushed.digest,
        "grant": str(grant.pk),
        "absent": "999999999",
        "uuid": "00000000-0000-0000-0000-000000000000",
        "nobody": make.unique("nobody"),
        "bob": cast.bob.username,
        "dave": cast.dave.username,
        "robot": cast.robby.name,
    }


@pytest.fixture(scope="module")
def more_people(cast: Cast) -> dict[str, str]:
    """Tokens of those who are only in this table."""
    former, disabled = make.user("former"), make.user("disabled")
    team = make.team(cast.acme, former, disabled)
    team.memberships.filter(user=former).delete()
    administrator = make.user("root", is_superuser=True, is_staff=True)
    tokens = {
        "former": make.access_token(former),
        "disabled": make.access_token(disabled),
        "administrator": make.access_token(administrator),
        "alice-read": make.access_token(cast.alice, "read"),
    }
    other = make.repository(cast.acme.namespace, make.unique("other"))
    tokens["alice-other"] = make.access_token(cast.alice, repository_ids=[other.pk])
    User.objects.filter(pk=disabled.pk).update(is_active=False)
    return tokens


def filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return value.format(**names)
    if isinstance(value, dict):
        return {key: filled(inner, names) for key, inner in value.items()}
    return value


@pytest.mark.parametrize("row", TABLE, ids=[f"{m} {p}" for p, m, *_ in TABLE])
def test_everybody_gets_the_answer_of_the_table(
    api_of: Callable[[str], ApiClient],
    more_people: dict[str, str],
    names: dict[str, str],
    row: Row,
) -> None:
    path, method, body, expected = row
    got = []
    # The owner last, whose request may change things.
    for who in reversed(PEOPLE):
        client = api_of(more_people.get(who, who))
        response = client.request(method, filled(path, names), filled(body, names))
        got.append(response.status_code)
        if response.status_code == 404 and "{api}" in path:
            elsewhere = {**names, "api": f"{names['org']}/absent"}
            absent = client.request(
                method, filled(path, elsewhere), filled(body, names)
            )
            if who in {"dave", "former", "administrator", "anonymous"}:
                assert absent.json() == response.json(), who
    assert dict(zip(PEOPLE, reversed(got), strict=True)) == dict(
        zip(PEOPLE, expected, strict=True)
    )


def test_no_route_is_missing_from_the_table() -> None:
    """Every route and method of /api/v1, from the URL resolver."""
    in_table = {(resolve_name(path), method) for path, method, *_ in TABLE}
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
    plain = path.partition("?")[0].format(
        org="acme",
        team="backend",
        api="acme/api",
        digest="sha256:" + "0" * 64,
        grant="1",
        absent="1",
        deleted="1",
        uuid="00000000-0000-0000-0000-000000000000",
        nobody="nobody",
        bob="bob",
        dave="dave",
        robot="robby",
        invitation="1",
        offer="1",
        default="1",
    )
    return get_resolver().resolve(f"/api/v1{plain}").url_name
