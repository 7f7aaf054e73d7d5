"""Robots of organizations and of users over the API, and how they end."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.actors import SYSTEM
from accounts.authentication import actor_of
from accounts.models import User
from accounts.organizations import delete_organization
from api.repositories.robots import RobotView
from repositories.models import Repository
from tests import make
from tests.api.conftest import ApiClient
from tests.conftest import Cast
from tests.images import image
from tests.registry_client import RegistryClient
from tests.servers import BerthServer

Api = Callable[[str], ApiClient]


def client_of(login: dict[str, Any], other: RegistryClient) -> RegistryClient:
    return RegistryClient(other.http, other.url, login["username"], login["token"])


def test_a_person_has_robots_too(
    api_of: Api, cast: Cast, dave: RegistryClient, bob: RegistryClient
) -> None:
    owner, name = api_of("dave"), make.unique("laptop")
    made = owner.post("/user/robots", {"name": name, "description": "at home"})
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    login = made.json()
    assert login["username"] == f"{cast.dave.username}+{name}"
    assert owner.post("/user/robots", {"name": name}).status_code == 409
    assert name in [r["name"] for r in owner.everything("/user/robots")]
    assert name not in [r["name"] for r in api_of("bob").everything("/user/robots")]
    assert api_of("bob").get(f"/user/robots/{name}").status_code == 404
    robot = client_of(login, dave)
    assert robot.token_answer().status_code == 200
    fresh = owner.post(f"/user/robots/{name}/token").json()
    assert robot.token_answer().status_code == 401
    assert client_of(fresh, dave).token_answer().status_code == 200
    assert owner.delete(f"/user/robots/{name}").status_code == 204
    assert client_of(fresh, dave).token_answer().status_code == 401


def test_a_robot_is_shown_with_what_it_may_do_and_never_with_its_token(
    api_of: Api, cast: Cast, private_api: Repository
) -> None:
    organization, name = cast.acme.namespace.name, make.unique("ci")
    path, owner = f"/organizations/{organization}/robots", api_of("alice")
    login = owner.post(path, {"name": name, "description": "builds"}).json()
    subject = {"kind": "robot", "name": login["username"]}
    grants = f"/repositories/{private_api.full_name}/grants"
    body = {"subject": subject, "role": "write", "tags": "release-*"}
    grant = owner.post(grants, body).json()
    team = make.team(cast.acme)
    member = f"/organizations/{organization}/teams/{team.name}/members"
    assert owner.put(f"{member}/{login['username']}").status_code == 204
    answer = owner.get(f"{path}/{name}")
    shown = answer.json()
    assert shown["description"] == "builds"
    assert shown["created_at"]
    assert shown["last_used_at"] is None
    assert shown["teams"] == [team.name]
    assert shown["grants"] == [
        {
            "id": grant["id"],
            "repository": private_api.full_name,
            "role": "write",
            "tags": "release-*",
        }
    ]
    assert "$BERTH_TOKEN" in shown["snippets"]["docker"]
    assert login["token"] not in answer.text
    assert "hash" not in answer.text


def test_the_token_comes_with_snippets_that_hold_it(api_of: Api, cast: Cast) -> None:
    path = f"/organizations/{cast.acme.namespace.name}/robots"
    name = make.unique("ci")
    for answer in (
        api_of("alice").post(path, {"name": name}),
        api_of("alice").post(f"{path}/{name}/token"),
    ):
        login = answer.json()
        promised = {"docker", "podman", "kubernetes", "config_json", "github_actions"}
        assert promised <= set(login["snippets"])
        assert login["token"] in login["snippets"]["docker"]
        assert login["token"] not in login["snippets"]["github_actions"]


def test_a_robot_is_read_by_a_constant_number_of_queries(
    database: None, cast: Cast
) -> None:
    robot, _ = make.robot(cast.acme.namespace)

    def count() -> int:
        view = RobotView()
        view.actor = actor_of(cast.alice)
        with CaptureQueriesContext(connection) as queries:
            answer = view.get(
                None,  # type: ignore[arg-type]  # it is not looked at
                organization=cast.acme.namespace.name,
                robot=robot.name,
            )
        assert len(answer.data["grants"]) == len(answer.data["teams"])
        return len(queries)

    counts = []
    for _ in range(2):
        for _ in range(10):
            make.grant(
                make.repository(cast.acme.namespace, make.unique("r")), robot, "read"
            )
            make.team(cast.acme, robot)
        counts.append(count())
    assert counts[0] == counts[1]


@pytest.mark.parametrize("end", ["owner suspended", "organization deleted"])
def test_a_robot_ends_with_its_owner_at_every_door(
    http: httpx.Client,
    anonymous: RegistryClient,
    identity_server: BerthServer,
    end: str,
) -> None:
    """Token endpoint, refresh token, registry token, Basic and the API."""
    owner = make.user("owner")
    organization = make.organization(owner=owner)
    namespace = owner.namespace
    if end == "organization deleted":
        namespace = organization.namespace
    robot, secret = make.robot(namespace)
    # Elsewhere, so that what ends is the robot and not what it had a right to.
    elsewhere = make.repository(make.user("other").namespace, "tool")
    make.grant(elsewhere, robot, "write")
    name = elsewhere.full_name
    client = RegistryClient(http, anonymous.url, robot.username, secret)
    client.push(f"{name}:v1", image())
    token = client.token(f"repository:{name}:pull,push")
    offline = http.get(
        f"{identity_server.url}/v2/token?offline_token=true", headers=client.basic
    ).json()["refresh_token"]
    api = ApiClient(http, anonymous.url, secret)

    def knock() -> list[int]:
        refreshed = http.post(
            f"{identity_server.url}/v2/token",
            data={"grant_type": "refresh_token", "refresh_token": offline},
        )
        path = f"/v2/{name}/tags/list"
        return [
            client.token_answer().status_code,
            refreshed.status_code,
            client.get(path, token=token).status_code,
            client.get(path, token="", headers=client.basic).status_code,
            api.get("/organizations").status_code,
        ]

    assert knock() == [200, 200, 200, 200, 200]
    if end == "organization deleted":
        delete_organization(organization=organization, actor=SYSTEM)
    else:
        User.objects.filter(pk=owner.pk).update(is_active=False)
    assert knock() == [401, 401, 401, 401, 401]
