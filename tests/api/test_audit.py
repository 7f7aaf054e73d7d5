"""What every request that changes something leaves in the audit log: a table.

A route that takes an unsafe method and is in no row fails the suite, so that nothing
new goes unrecorded; a row without an event says why there is none.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.events import AccountEvent
from accounts.invitations import invite
from accounts.models import AccessToken, User
from accounts.robots import create_robot
from accounts.tokens import issue_access_token
from distribution import urls
from distribution.endpoints import Resource
from repositories.models import Event, Repository
from repositories.rights.defaults import add_default
from tests import make
from tests.api.conftest import ApiClient
from tests.api.test_routes import api_patterns, resolve_name
from tests.conftest import Cast
from tests.images import image
from tests.registry_client import RegistryClient

UNSAFE = ("post", "put", "patch", "delete")
ORG = "/organizations/{org}"
API = "/repositories/{api}"
DELETED = "/deleted-repositories/{deleted}"
TEAM = {"name": "testers", "standing": "creator"}
Row = tuple[str, str, Any, list[tuple[str, dict[str, Any]]]]

# method, path, body, and the events: kind and what its detail has at least. In this
# order on one organization, whose owner asks, or a site administrator for /users.
TABLE: list[Row] = [
    ("PATCH", "/user", {"display_name": "Olga"}, [("user.changed", {})]),
    (
        *("POST", "/user/tokens", {"name": "ci", "actions": "read"}),
        [("token.issued", {"token": "ci", "actions": "read"})],
    ),
    ("DELETE", "/user/tokens/{token}", None, [("token.revoked", {"token": "old"})]),
    (
        "POST",
        "/users",
        {"username": "{fresh}", "password": "a long enough phrase"},
        [("user.created", {"user": "{fresh}", "is_superuser": False})],
    ),
    (
        *("PATCH", "/users/{fresh}", {"email": "{fresh}@example.com"}),
        [("user.changed", {"user": "{fresh}", "changed": ["email"]})],
    ),
    (
        *("PATCH", "/users/{fresh}", {"is_active": False, "display_name": "F"}),
        [("user.suspended", {}), ("user.changed", {"changed": ["display_name"]})],
    ),
    (
        *("PATCH", "/users/{fresh}", {"is_active": True}),
        [("user.activated", {"user": "{fresh}"})],
    ),
    ("DELETE", "/users/{fresh}", None, [("user.suspended", {"user": "{fresh}"})]),
    (
        *("POST", "/organizations", {"name": "{guild}"}),
        [("organization.created", {"owner": "{owner}"})],
    ),
    (
        *("PATCH", ORG, {"display_name": "Guild", "description": "d"}),
        [("organization.changed", {"changed": ["display_name", "description"]})],
    ),
    ("POST", f"{ORG}/teams", TEAM, [("team.created", TEAM | {"team": "testers"})]),
    (
        *("PATCH", f"{ORG}/teams/testers", {"standing": "admin"}),
        [("team.changed", {"standing": "admin", "was": {"standing": "creator"}})],
    ),
    (
        *("PUT", f"{ORG}/teams/testers/members/{{bob}}", None),
        [("member.added", {"team": "testers", "member": "{bob}"})],
    ),
    ("PUT", f"{ORG}/teams/testers/members/{{bob}}", None, []),  # is in it already
    (
        *("DELETE", f"{ORG}/teams/testers/members/{{bob}}", None),
        [("member.removed", {"team": "testers", "member": "{bob}"})],
    ),
    ("DELETE", f"{ORG}/teams/testers/members/{{bob}}", None, []),  # is not in it
    (
        *("DELETE", f"{ORG}/teams/testers", None),
        [("team.deleted", {"team": "testers", "members": []})],
    ),
    (
        *("POST", f"{ORG}/invitations", {"team": "owners", "username": "{bob}"}),
        [("invitation.sent", {"team": "owners", "user": "{bob}"})],
    ),
    (
        *("DELETE", f"{ORG}/invitations/{{invitation}}", None),
        [("invitation.withdrawn", {"team": "owners", "email": "a@example.com"})],
    ),
    (
        *("POST", "/user/invitations/{offer}", {"answer": "accept"}),
        [("member.added", {}), ("invitation.accepted", {"user": "{owner}"})],
    ),
    (
        *("POST", "/user/robots", {"name": "own"}),
        [("robot.created", {"robot": "{owner}+own"})],
    ),
    (
        *("PATCH", "/user/robots/own", {"description": "d"}),
        [("robot.changed", {"robot": "{owner}+own", "changed": ["description"]})],
    ),
    (
        *("POST", "/user/robots/own/token", None),
        [("robot.token_replaced", {"robot": "{owner}+own"})],
    ),
    (
        *("DELETE", "/user/robots/own", None),
        [("robot.deleted", {"robot": "{owner}+own"})],
    ),
    (
        *("POST", f"{ORG}/robots", {"name": "new"}),
        [("robot.created", {"robot": "{org}+new"})],
    ),
    (
        *("PATCH", f"{ORG}/robots/new", {"is_active": False}),
        [("robot.changed", {"robot": "{org}+new", "is_active": False})],
    ),
    (
        *("POST", f"{ORG}/robots/new/token", None),
        [("robot.token_replaced", {"robot": "{org}+new"})],
    ),
    (
        *("DELETE", f"{ORG}/robots/new", None),
        [("robot.deleted", {"robot": "{org}+new"})],
    ),
    (
        "POST",
        "/repositories",
        {
            "namespace": "{org}",
            "name": "made",
            "visibility": "private",
            "description": "d",
        },
        [("repository.created", {}), ("repository.changed", {})],
    ),
    (
        *("PATCH", API, {"readme": "text", "visibility": "public"}),
        [
            ("repository.changed", {"changed": ["readme"]}),
            ("repository.visibility", {"visibility": "public"}),
        ],
    ),
    (
        "POST",
        f"{API}/grants",
        {"subject": {"kind": "user", "name": "{bob}"}, "role": "write"},
        [("grant.set", {"role": "write"})],
    ),
    ("PATCH", f"{API}/grants/{{grant}}", {"role": "read"}, [("grant.set", {})]),
    ("DELETE", f"{API}/grants/{{grant}}", None, [("grant.removed", {})]),
    (
        *("PUT", f"{API}/tags/v2", {"digest": "{digest}"}),
        [("tag.pushed", {"tag": "v2", "digest": "{digest}"})],
    ),
    ("DELETE", f"{API}/tags/v2", None, [("tag.deleted", {"tag": "v2"})]),
    (
        *("POST", f"{API}/tags/v2/restore", None),
        [("tag.restored", {"tag": "v2", "digest": "{digest}"})],
    ),
    ("DELETE", API, None, [("repository.deleted", {})]),
    ("POST", f"{DELETED}/restore", {}, [("repository.restored", {})]),
    ("DELETE", API, None, [("repository.deleted", {})]),
    ("DELETE", DELETED, None, [("repository.purged", {})]),
    (
        *("PATCH", "/repositories/{org}/made", {"name": "renamed"}),
        [("repository.renamed", {})],
    ),
    (
        *("PATCH", "/repositories/{org}/renamed", {"namespace": "{guild}"}),
        [("repository.transferred", {}), ("repository.transferred", {})],  # both logs
    ),
    (
        *("DELETE", "/repositories/{guild}/renamed", None),
        [("repository.deleted", {})],
    ),
    (
        *("PATCH", "/organizations/{guild}", {"name": "{guild}x"}),
        [("organization.renamed", {"from": "{guild}", "to": "{guild}x"})],
    ),
    ("DELETE", "/former-names/{guild}", None, [("name.freed", {})]),
    (
        *("DELETE", "/organizations/{guild}x", None),
        [("organization.deleted", {}), ("repository.purged", {})],  # what it had
    ),
    (
        "POST",
        f"{ORG}/defaults",
        {"subject": {"kind": "user", "name": "{bob}"}, "role": "read"},
        [("default.set", {"role": "read", "creator": None})],
    ),
    (
        *("DELETE", f"{ORG}/defaults/{{default}}", None),
        [("default.removed", {"role": "write", "creator": "{bob}"})],
    ),
    ("POST", f"{ORG}/teams", TEAM, [("team.created", {})]),
    (  # which answers the open invitation
        *("PUT", f"{ORG}/teams/testers/members/{{bob}}", None),
        [("member.added", {}), ("invitation.withdrawn", {"user": "{bob}"})],
    ),
    (  # with every right, through teams and by defaults
        *("DELETE", f"{ORG}/members/{{bob}}", None),
        [
            ("member.removed", {"team": "testers", "member": "{bob}"}),
            ("default.removed", {"role": "read", "creator": None}),
        ],
    ),
]
# Routes that are not in the table, and why.
WEBHOOK_PLACES = ("repository", "organization", "site")
NOT_IN_TABLE: dict[tuple[str, str], str] = {
    ("star", "PUT"): "a star changes nobody's rights and nothing that is kept",
    ("star", "DELETE"): "the same",
    ("watch", "PUT"): "changes only what oneself is told of",
    ("watch", "DELETE"): "the same",
    ("read-notifications", "POST"): "the same",
    ("notification-preference", "PUT"): "the same",
    ("callback", "POST"): "a receiver's word, kept with its delivery",
}
for _place in WEBHOOK_PLACES:
    NOT_IN_TABLE |= {
        (f"{_place}-webhooks", "POST"): "in test_webhooks.py",
        (f"{_place}-webhook", "PATCH"): "in test_webhooks.py",
        (f"{_place}-webhook", "DELETE"): "in test_webhooks.py",
        (f"{_place}-webhook-preview", "POST"): "changes nothing",
        (f"{_place}-webhook-test", "POST"): "kept in the log of deliveries",
        (f"{_place}-webhook-redeliver", "POST"): "kept in the log of deliveries",
        (f"{_place}-webhook-delivery-redeliver", "POST"): "the same",
    }

# The protocol: what an unsafe method of a route leaves, or why nothing.
BYTES = "bytes without a name: what they come to be is told by the manifest's event"
PROTOCOL = {
    ("/v2/token", "POST"): "signs in; a refresh token reaches no further than that",
    ("/v2/a/b/blobs/uploads/", "POST"): "repository.created",
    ("/v2/a/b/blobs/uploads/x", "PATCH"): BYTES,
    ("/v2/a/b/blobs/uploads/x", "PUT"): BYTES,
    ("/v2/a/b/blobs/uploads/x", "DELETE"): BYTES,
    ("/v2/a/b/blobs/sha256:x", "DELETE"): BYTES,
    ("/v2/a/b/manifests/x", "PUT"): "tag.pushed",
    ("/v2/a/b/manifests/x", "DELETE"): "manifest.deleted",
}


@dataclass
class Auditor:
    """Sends requests as one person and looks at what each left."""

    client: ApiClient
    user: User
    token_name: str

    def ask(self, method: str, path: str, body: Any) -> list[Event]:
        before = Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        asked_at = timezone.now()
        response = self.client.request(method, path, body)
        assert response.status_code < 300, (method, path, response.text)
        events = list(
            Event.objects.filter(pk__gt=before, user=self.user)
            .with_token()
            .order_by("pk")
        )
        for event in events:  # who, when, from where, by which token
            assert event.actor_name == self.user.username
            assert event.address in {"127.0.0.1", "::1"}
            assert event.token_name == self.token_name
            assert abs(event.at - asked_at) < timedelta(minutes=1)
        return events


def auditor_of(user: User, api_of: Callable[[str], ApiClient]) -> Auditor:
    name = make.unique("laptop")
    token, secret = issue_access_token(
        user=user, name=name, actions="admin", actor=make.SYSTEM
    )
    return Auditor(api_of(secret), user, token.name)


def filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return value.format(**names)
    if isinstance(value, dict):
        return {key: filled(inner, names) for key, inner in value.items()}
    return value


def test_every_change_leaves_its_event(
    cast: Cast, api_of: Callable[[str], ApiClient], alice: RegistryClient
) -> None:
    owner = make.user("olga")
    organization = make.organization(owner=owner)
    repository = make.repository(organization.namespace)
    make.grant(repository, cast.alice, "write")
    grant = make.grant(repository, cast.carol, "read")
    pushed = image()
    alice.push(f"{repository.full_name}:v1", pushed)
    old, _ = issue_access_token(
        user=owner, name="old", actions="read", actor=make.SYSTEM
    )
    owners = organization.teams.get()
    mailed, _ = invite(team=owners, email="a@example.com", actor=make.SYSTEM)
    offer, _ = invite(
        team=make.team(make.organization(owner=cast.alice)),
        user=owner,
        actor=make.SYSTEM,
    )
    default = add_default(
        namespace=organization.namespace,
        creator=cast.bob,
        subject=cast.carol,
        role="write",
        actor=make.SYSTEM,
    )
    names = {
        "invitation": str(mailed.pk),
        "offer": str(offer.pk),
        "default": str(default.pk),
        "org": organization.namespace.name,
        "guild": make.unique("guild"),
        "api": repository.full_name,
        "owner": owner.username,
        "bob": cast.bob.username,
        "fresh": make.unique("fresh"),
        "token": str(old.pk),
        "grant": str(grant.pk),
        "deleted": str(repository.pk),
        "digest": pushed.digest,
    }
    root = make.user("root", is_superuser=True)
    people = {True: auditor_of(root, api_of), False: auditor_of(owner, api_of)}
    for method, path, body, expected in TABLE:
        auditor = people[path.startswith("/users")]
        events = auditor.ask(method, filled(path, names), filled(body, names))
        assert [event.kind for event in events] == [kind for kind, _ in expected], path
        for event, (_, detail) in zip(events, expected, strict=True):
            wanted = {k: v for k, v in detail.items() if k != "name"}
            assert {k: event.detail[k] for k in wanted} == filled(wanted, names), path
            if path.startswith((ORG, API)):
                assert event.namespace_name == names["org"]
    for event in Event.objects.filter(user=owner):
        assert "berth_" not in str(event.detail), "a secret is in the log"


def test_no_route_of_the_api_that_changes_something_is_missing() -> None:
    in_table = {
        (resolve_name(path.replace("{guild}", "{org}")), method)
        for method, path, *_ in (
            (m, re.sub(r"{(fresh|token|deleted)}", "1", p), b, e)
            for m, p, b, e in TABLE
        )
    }
    there_are = {
        (pattern.name, method.upper())
        for pattern in api_patterns()
        for method in UNSAFE
        if hasattr(pattern.callback.view_class, method)  # type: ignore[attr-defined]
    }
    assert there_are == in_table | set(NOT_IN_TABLE)


def test_no_route_of_the_protocol_that_changes_something_is_missing() -> None:
    there_are = {
        (str(pattern.pattern), method)
        for pattern in urls.urlpatterns
        for method in methods_of(pattern.callback)
        if method.lower() in UNSAFE
    }
    known = set()
    for path, method in PROTOCOL:
        pattern = next(p for p in urls.urlpatterns if p.pattern.regex.match(path[1:]))
        known.add((str(pattern.pattern), method))
    assert there_are == known


def methods_of(resource: Any) -> set[str]:
    assert isinstance(resource, Resource)
    return set(resource.functions)


def test_the_protocol_tells_who_from_where_by_which_token(
    cast: Cast, alice: RegistryClient
) -> None:
    name = make.unique("laptop")
    _, secret = issue_access_token(
        user=cast.alice, name=name, actions="admin", actor=make.SYSTEM
    )
    client = RegistryClient(alice.http, alice.url, cast.alice.username, secret)
    full_name = f"{cast.acme.namespace.name}/{make.unique('pushed')}"
    pushed = image()
    client.push(f"{full_name}:v1", pushed)
    deleted = client.delete(f"/v2/{full_name}/manifests/{pushed.digest}")
    assert deleted.status_code == 202
    events = Event.objects.filter(repository_name=full_name).with_token()
    assert [event.kind for event in events.order_by("pk")] == [
        *("repository.created", "tag.pushed", "tag.deleted", "manifest.deleted"),
    ]
    for event in events:
        assert event.actor_name == cast.alice.username
        assert event.address in {"127.0.0.1", "::1"}
        assert event.token_name == name
    AccessToken.objects.filter(user=cast.alice, name=name).update(
        revoked_at=timezone.now()
    )
    assert {e.token_name for e in events.all()} == {name}, "revoked, and still named"


def test_a_robot_is_named_by_its_whole_name(
    cast: Cast, api_of: Callable[[str], ApiClient], private_api: Repository
) -> None:
    robot, secret = create_robot(
        namespace=cast.acme.namespace, name=make.unique("bot"), actor=make.SYSTEM
    )
    make.grant(private_api, robot, "admin")
    path = f"/repositories/{private_api.full_name}"
    assert api_of(secret).patch(path, {"description": "x"}).status_code == 200
    event = Event.objects.of_repository(private_api.pk).latest("pk")
    assert (event.kind, event.actor_name) == ("repository.changed", robot.username)
    assert event.robot_id == robot.pk


def test_what_was_refused_leaves_nothing(
    cast: Cast, api_of: Callable[[str], ApiClient]
) -> None:
    owner = make.user("olga")
    path = f"/organizations/{make.organization(owner=owner).namespace.name}"
    auditor = auditor_of(owner, api_of)
    before = Event.objects.filter(user=owner).count()
    for method, where, body in (
        ("DELETE", f"{path}/teams/owners", None),
        ("DELETE", f"{path}/teams/owners/members/{owner.username}", None),
        ("PATCH", f"{path}/teams/owners", {"standing": "member"}),
        ("POST", f"{path}/teams", {"name": "owners"}),
        ("PATCH", path, {"display_name": ""}),  # as it was
    ):
        auditor.client.request(method, where, body)
    assert Event.objects.filter(user=owner).count() == before


@pytest.mark.parametrize("kind", AccountEvent.values)
def test_kinds_never_collide_with_those_of_repositories(kind: str) -> None:
    assert kind not in Event.Kind.values
    assert len(kind) <= 40
