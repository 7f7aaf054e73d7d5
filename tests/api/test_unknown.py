"""What is not known is refused: a misspelt limit would be no limit."""

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from django.urls import get_resolver
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator

from accounts.models import AccessToken
from repositories.models import Event, Grant, Repository
from tests import make
from tests.api.conftest import ApiClient, Everybodys
from tests.api.table import ADMINISTRATORS, Route
from tests.api.test_routes import (
    ROUTES,
    api_patterns,
    filled,
    make_names,
    resolve_name,
)
from tests.conftest import Cast
from tests.registry_client import RegistryClient
from tests.servers import BerthServer
from webhooks.callbacks import callback_url
from webhooks.models import Delivery, Webhook

DIGEST = "sha256:" + "0" * 64
Api = Callable[[str], ApiClient]
WITH_BODY = ("POST", "PUT", "PATCH")
HOOK = {"url": "https://example.com/hook", "events": ["push"], "active": False}
# Routes whose row in the table is about what is not there, which is said first.
DEEPER = {
    ("own-invitation", "POST"),
    *((f"{robot}-token", "POST") for robot in ("own-robot", "robot")),
    *((robot, "PATCH") for robot in ("own-robot", "robot")),
    *(
        (f"{place}-webhook{rest}", method)
        for place in ("repository", "organization", "site")
        for rest, method in [
            ("", "PATCH"),
            ("-test", "POST"),
            ("-redeliver", "POST"),
            ("-delivery-redeliver", "POST"),
        ]
    ),
}


def check_unknown(refused: httpx.Response, name: str, code: str) -> None:
    assert refused.status_code == 400, refused.text
    found = [(e["code"], e["field"]) for e in refused.json()["errors"]]
    assert (code, name) in found, refused.text
    assert "known here" in refused.text


@pytest.fixture(scope="module")
def names(cast: Cast, registry: BerthServer, http: httpx.Client) -> dict[str, str]:
    """Make once what the rows are about: what is refused leaves it as it is."""
    owner = cast.alice.username
    client = RegistryClient(http, registry.url, owner, cast.secrets[owner])
    return make_names(cast, client)


@pytest.mark.parametrize(
    "row",
    [row for row in ROUTES if row.method in WITH_BODY and row.status != 404],
    ids=str,
)
def test_a_body_has_no_unknown_field(
    everybodys: Everybodys, names: dict[str, str], row: Route
) -> None:
    person = "administrator" if row.for_ == ADMINISTRATORS else "alice"
    body = {**(filled(row.body, names) or {}), "unheard_of": 1}
    client = everybodys.client(person, "full")
    before = Event.objects.count()
    refused = client.request(row.method, filled(row.path, names), body)
    check_unknown(refused, "unheard_of", "unknown_field")
    assert Event.objects.count() == before


def test_no_route_is_left_out() -> None:
    asked = {
        (resolve_name(row.path), row.method)
        for row in ROUTES
        if row.method in WITH_BODY and row.status != 404
    }
    there_are = {
        (pattern.name, method)
        for pattern in api_patterns()
        for method in WITH_BODY
        if hasattr(pattern.callback.view_class, method.lower())  # type: ignore[attr-defined]
    }
    strangers = {("callback", "POST")}
    assert there_are - asked - strangers == DEEPER


def test_what_is_below_a_webhook_has_no_unknown_field(api_of: Api, api: str) -> None:
    owner = api_of("alice")
    made = owner.post(f"/repositories/{api}/webhooks", HOOK).json()
    hook = f"/repositories/{api}/webhooks/{made['id']}"
    row = make_delivery(made["id"])
    for path in (f"{hook}/test", f"{hook}/deliveries/{row}/redeliver"):
        check_unknown(owner.post(path, {"x": 1}), "x", "unknown_field")
    since = {"since": "2026-01-01T00:00:00Z", "x": 1}
    check_unknown(owner.post(f"{hook}/redeliver", since), "x", "unknown_field")
    check_unknown(owner.patch(hook, {"tag": "v*"}), "tag", "unknown_field")


def make_delivery(webhook_id: int) -> UUID:
    webhook = Webhook.objects.get(pk=webhook_id)
    delivery = Delivery.objects.create(
        webhook=webhook,
        repository=webhook.repository,
        tag="v1",
        event="push",
        kind="tag.pushed",
        body="{}",
        due_at=timezone.now(),
    )
    return delivery.uuid


def test_a_robots_new_token_takes_nothing(api_of: Api, cast: Cast) -> None:
    owner, name = api_of("alice"), make.unique("ci")
    for path in ("/user/robots", f"/organizations/{cast.acme.namespace.name}/robots"):
        assert owner.post(path, {"name": name}).status_code == 201
        refused = owner.post(f"{path}/{name}/token", {"expires_at": None})
        check_unknown(refused, "expires_at", "unknown_field")


def test_an_answer_to_an_invitation_says_only_that(api_of: Api, cast: Cast) -> None:
    path = f"/organizations/{cast.acme.namespace.name}/invitations"
    body = {"team": cast.backend.name, "username": cast.dave.username}
    made = api_of("alice").post(path, body).json()
    answer = {"answer": "decline", "reason": "no"}
    refused = api_of("dave").post(f"/user/invitations/{made['id']}", answer)
    check_unknown(refused, "reason", "unknown_field")


def test_a_misspelt_limit_gives_no_right(api_of: Api, api: str, cast: Cast) -> None:
    """``tag`` for ``tags`` would be a grant for all of them."""
    owner = api_of("alice")
    subject = {"kind": "user", "name": cast.dave.username}
    before = Grant.objects.count()
    body = {"subject": subject, "role": "write", "tag": "release-*"}
    refused = owner.post(f"/repositories/{api}/grants", body)
    check_unknown(refused, "tag", "unknown_field")
    assert "tags" in refused.json()["errors"][0]["message"]
    body = {"subject": {**subject, "team": "x"}, "role": "write"}
    refused = owner.post(f"/repositories/{api}/grants", body)
    check_unknown(refused, "subject.team", "unknown_field")
    assert Grant.objects.count() == before
    body = {"name": "spelt", "actions": "write", "repository": [api]}
    refused = owner.post("/user/tokens", body)
    check_unknown(refused, "repository", "unknown_field")
    assert not AccessToken.objects.filter(name="spelt").exists()


def test_what_a_get_shows_may_be_sent_back(
    api_of: Api, private_api: Repository, cast: Cast
) -> None:
    owner, org = api_of("alice"), f"/organizations/{cast.acme.namespace.name}"
    path = f"/repositories/{private_api.full_name}"
    grant = owner.get(f"{path}/grants").json()["results"][0]
    hook = owner.post(f"{path}/webhooks", HOOK).json()
    del hook["secret"]
    for at, whole in {
        "/user": owner.get("/user").json(),
        path: owner.get(path).json(),
        org: owner.get(org).json(),
        f"{org}/teams/{cast.backend.name}": None,
        f"{path}/grants/{grant['id']}": grant,
        f"{path}/webhooks/{hook['id']}": hook,
    }.items():
        whole = whole or owner.get(at).json()
        changed = owner.patch(at, whole)
        assert changed.status_code == 200, (at, changed.text)
        assert changed.json() == whole


def test_what_changes_by_itself_may_be_sent_back_late(
    api_of: Api, private_api: Repository
) -> None:
    path, owner = f"/repositories/{private_api.full_name}", api_of("alice")
    whole = owner.get(path).json()
    Repository.objects.filter(pk=private_api.pk).update(pull_count=7)
    changed = owner.patch(path, {**whole, "description": "new"})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["description"], changed.json()["pull_count"]) == ("new", 7)


def test_a_field_that_is_only_read_is_not_said_to_be_changed(
    api_of: Api, cast: Cast
) -> None:
    owner, org = api_of("alice"), f"/organizations/{cast.acme.namespace.name}"
    team = f"{org}/teams/{cast.backend.name}"
    for refused, name in [
        (owner.patch("/user", {"email": "x@example.com"}), "email"),
        (owner.patch("/user", {"date_joined": "2026-01-01"}), "date_joined"),
        (owner.patch(org, {"is_verified": True}), "is_verified"),
        (owner.patch(team, {"members": [cast.dave.username]}), "members"),
        (owner.post(f"{org}/teams", {"name": "new", "members": []}), "members"),
    ]:
        assert refused.status_code == 400, refused.text
        (error,) = refused.json()["errors"]
        assert (error["code"], error["field"]) == ("read_only", name)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("x" * 5000, "unknown_field"),
        ("\ud800", "parse_error"),
        ("\0", "parse_error"),
        ("", "unknown_field"),
        ("non_field_errors", "unknown_field"),
    ],
)
def test_any_name_at_all_is_refused_in_shape(api_of: Api, name: str, code: str) -> None:
    client = api_of("alice")
    refused = client.http.patch(
        f"{client.url}/api/v1/user",
        content=json.dumps({name: 1}).encode(),
        headers={
            "Authorization": f"Bearer {client.token}",
            "Content-Type": "application/json",
        },
    )
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["code"] == code
    assert len(refused.content) < 1000


@pytest.mark.parametrize("size_bytes", [2_621_441, 40_000_000])
def test_a_body_that_no_field_holds_is_refused(api_of: Api, size_bytes: int) -> None:
    """The error says how much there may be; the next request is answered."""
    client = api_of("alice")
    refused = client.patch("/user", {"display_name": "x" * size_bytes})
    assert refused.status_code == 413, refused.text
    (error,) = refused.json()["errors"]
    assert error["code"] == "too_large"
    assert error["message"] == "the body has more than 2,621,440 bytes"
    assert client.get("/user").status_code == 200


@pytest.mark.parametrize(
    "row", [row for row in ROUTES if row.path != "/callbacks/{absent}"], ids=str
)
def test_a_query_has_no_unknown_parameter(
    everybodys: Everybodys, names: dict[str, str], row: Route
) -> None:
    person = "administrator" if row.for_ == ADMINISTRATORS else "alice"
    path = filled(row.path, names)
    path += ("&" if "?" in path else "?") + "unheard_of=1"
    before = Event.objects.count()
    client = everybodys.client(person, "full")
    refused = client.request(row.method, path, filled(row.body, names))
    check_unknown(refused, "unheard_of", "unknown_parameter")
    assert Event.objects.count() == before


@pytest.mark.parametrize(
    "path",
    [
        "/repositories?limit=2",
        "/search?limit=2",
        "/search?type=bogus",
        "/search?type=official&type=bogus",
        "/repositories/{api}/tags?sorted=name",
        "/repositories/{api}/events?foo=1",
        "/repositories/{api}/statistics?page_size=2",
    ],
)
def test_a_parameter_that_nobody_listens_to_is_refused(
    api_of: Api, public_api: Repository, path: str
) -> None:
    asked = path.format(api=public_api.full_name)
    assert api_of("anonymous").get(asked).status_code == 400


@pytest.mark.parametrize("status", ["bogus", "", "Failed"])
def test_deliveries_have_no_other_status(api_of: Api, api: str, status: str) -> None:
    owner, path = api_of("alice"), f"/repositories/{api}/webhooks"
    hook = owner.post(path, HOOK).json()["id"]
    assert owner.get(f"{path}/{hook}/deliveries?status=failed").status_code == 200
    refused = owner.get(f"{path}/{hook}/deliveries?status={status}")
    assert refused.json()["errors"][0]["field"] == "status"


def test_what_receivers_send_besides_is_not_refused(
    api_of: Api, api: str, alice: RegistryClient
) -> None:
    """Their programs were written for Docker Hub, and say what they like."""
    owner = api_of("alice")
    made = owner.post(f"/repositories/{api}/webhooks", HOOK).json()
    url = callback_url(make_delivery(made["id"]))
    path = url.partition("/api/v1")[2]
    report = {"state": "success", "build": 7}
    assert api_of("anonymous").post(f"{path}?from=ci", report).status_code == 201


def test_the_schema_says_which_parameters_and_fields_there_are() -> None:
    """What the schema describes is what is taken, for every route and method."""
    schema: Any = SchemaGenerator().get_schema(request=None, public=True)
    example = defaultdict(lambda: "1", digest=DIGEST, delivery=str(UUID(int=0)))
    asked = 0
    for path, methods in schema["paths"].items():
        match = get_resolver().resolve(path.format_map(example))
        view = match.func.view_class()  # type: ignore[attr-defined]
        for method, operation in methods.items():
            described = {
                parameter["name"]
                for parameter in operation.get("parameters", ())
                if parameter["in"] == "query"
            }
            assert view.known_parameters(method.upper()) == described, (path, method)
            asked += 1
    assert asked > 100
    requests = [n for n in schema["components"]["schemas"] if n.endswith("Request")]
    for name in requests:
        is_closed = schema["components"]["schemas"][name].get("additionalProperties")
        assert (is_closed is False) == (name != "NewReportRequest"), name
