"""People, organizations, teams, robots and tokens over the API."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import AccessToken, User
from repositories.models import Grant, Repository
from tests import make
from tests.api.conftest import ApiClient
from tests.conftest import Cast
from tests.images import image
from tests.registry_client import RegistryClient

Api = Callable[[str], ApiClient]


def test_a_token_is_shown_once_and_works_until_it_is_revoked(
    cast: Cast, api_of: Api
) -> None:
    bob = api_of("bob")
    made = bob.post("/user/tokens", {"name": "ci", "actions": "read"})
    assert made.status_code == 201
    secret = made.json()["token"]
    listed = {t["id"]: t for t in bob.everything("/user/tokens")}
    assert listed[made.json()["id"]]["name"] == "ci"
    assert secret not in str(listed)
    assert api_of(secret).get("/user").json()["username"] == cast.bob.username
    assert bob.delete(f"/user/tokens/{made.json()['id']}").status_code == 204
    assert api_of(secret).get("/user").status_code == 401
    assert bob.delete(f"/user/tokens/{made.json()['id']}").status_code == 404


def test_one_leaves_a_team_by_oneself(cast: Cast, api_of: Api) -> None:
    guild = make.organization(owner=cast.alice)
    team = make.team(guild, cast.bob)
    here = f"/organizations/{guild.namespace.name}/teams/{team.name}/members"
    mine = f"{here}/{cast.bob.username}"
    writes = api_of(make.access_token(cast.bob, "write"))
    assert writes.delete(mine).status_code == 403, "that is what admin is for"
    bob = api_of("bob")
    assert bob.delete(f"{here}/{cast.alice.username}").status_code == 403
    assert bob.delete(mine).status_code == 204
    assert not team.memberships.exists()
    assert bob.delete(mine).status_code == 403, "as for anybody who is not in a team"
    owners = f"/organizations/{guild.namespace.name}/teams/owners/members"
    alice = api_of("alice")
    assert alice.delete(f"{owners}/{cast.alice.username}").status_code == 409


def test_somebody_elses_token_is_not_there(cast: Cast, api_of: Api) -> None:
    made = api_of("bob").post("/user/tokens", {"name": "ci", "actions": "read"})
    assert api_of("dave").delete(f"/user/tokens/{made.json()['id']}").status_code == 404
    assert AccessToken.objects.get(pk=made.json()["id"]).revoked_at is None


def test_a_limited_token_reaches_what_it_names(
    api_of: Api, api: str, other: str
) -> None:
    made = api_of("alice").post(
        "/user/tokens", {"name": "one", "actions": "admin", "repositories": [api]}
    )
    limited = api_of(made.json()["token"])
    assert limited.get(f"/repositories/{api}").status_code == 200
    assert limited.get(f"/repositories/{other}").status_code == 404
    assert limited.post("/user/tokens", {"name": "x", "actions": "read"}).status_code


def test_it_is_said_when_the_token_is_in_the_way(
    api_of: Api, cast: Cast, api: str
) -> None:
    """And not that its owner were in no team."""
    body = {"name": "narrow", "actions": "admin", "repositories": [api]}
    made = api_of("alice").post("/user/tokens", body).json()
    name = cast.acme.namespace.name
    refused = api_of(made["token"]).get(f"/organizations/{name}/teams")
    assert refused.status_code == 403
    (error,) = refused.json()["errors"]
    assert error["message"] == f"the token *narrow* does not reach *{name}*"
    stranger = api_of("dave").get(f"/organizations/{name}/teams")
    (error,) = stranger.json()["errors"]
    said = f"{cast.dave.username} is in no team of *{name}*"
    assert error["message"] == said


def test_a_token_names_only_repositories_that_one_sees(api_of: Api, api: str) -> None:
    body = {"name": "spy", "actions": "read", "repositories": [api]}
    foreign = api_of("dave").post("/user/tokens", body)
    absent = api_of("dave").post("/user/tokens", {**body, "repositories": ["no/where"]})
    assert foreign.status_code == absent.status_code == 400
    assert foreign.json()["errors"][0]["field"] == "repositories"


def test_an_organization_from_its_making_to_its_end(api_of: Api, cast: Cast) -> None:
    dave, name = api_of("dave"), make.unique("guild")
    assert dave.post("/organizations", {"name": name}).status_code == 201
    assert dave.post("/organizations", {"name": name}).status_code == 409
    path = f"/organizations/{name}"
    assert dave.patch(path, {"display_name": "The Guild"}).status_code == 200
    assert dave.get(path).json()["display_name"] == "The Guild"
    team = {"name": "makers", "standing": "creator"}
    assert dave.post(f"{path}/teams", team).status_code == 201
    assert dave.post(f"{path}/teams", team).status_code == 409
    member = f"{path}/teams/makers/members/{cast.carol.username}"
    assert dave.put(member).status_code == 204
    assert dave.put(member).status_code == 204
    carol = api_of("carol")
    created = carol.post(
        "/repositories", {"namespace": name, "name": "tool", "visibility": "private"}
    )
    assert created.status_code == 201
    assert dave.delete(path).status_code == 409
    assert carol.delete(f"/repositories/{name}/tool").status_code == 204
    assert dave.delete(member).status_code == 204
    assert carol.get(f"{path}/teams").status_code == 403
    assert dave.delete(path).status_code == 204
    assert dave.get(path).status_code == 404


def test_the_owners_team_cannot_be_emptied(api_of: Api, cast: Cast) -> None:
    organization = make.organization(owner=cast.dave)
    path = f"/organizations/{organization.namespace.name}/teams/owners"
    dave = api_of("dave")
    refused = dave.delete(f"{path}/members/{cast.dave.username}")
    assert refused.status_code == 409
    assert "owner" in refused.json()["errors"][0]["message"]
    assert dave.patch(path, {"standing": "member"}).status_code == 409


def test_a_robot_gets_a_token_once_and_a_new_one_on_request(
    api_of: Api, cast: Cast, registry: object, alice: RegistryClient
) -> None:
    path = f"/organizations/{cast.acme.namespace.name}/robots"
    owner, name = api_of("alice"), make.unique("deploy")
    made = owner.post(path, {"name": name})
    assert made.status_code == 201
    login = made.json()
    assert login["username"] == f"{cast.acme.namespace.name}+{name}"
    client = RegistryClient(alice.http, alice.url, login["username"], login["token"])
    assert client.get("/v2/", token=client.token()).status_code == 200
    fresh = owner.post(f"{path}/{name}/token").json()["token"]
    assert client.token_answer().status_code == 401
    client.secret = fresh
    assert client.token_answer().status_code == 200
    assert owner.delete(f"{path}/{name}").status_code == 204
    assert client.token_answer().status_code == 401


def test_a_site_administrator_makes_and_switches_off_users(
    api_of: Api, cast: Cast
) -> None:
    root = make.user("root", is_superuser=True)
    administrator = api_of(make.access_token(root))
    name = make.unique("olga")
    weak = {"username": name, "email": "", "password": "short"}
    assert administrator.post("/users", weak).status_code == 400
    body = {**weak, "password": "a long enough phrase"}
    assert administrator.post("/users", body).status_code == 201
    assert administrator.post("/users", body).status_code == 409
    assert administrator.get(f"/users/{name}").status_code == 200
    assert administrator.delete(f"/users/{name}").status_code == 204
    assert administrator.get(f"/users/{name}").status_code == 404
    owner = make.user("owner")
    make.organization(owner=owner)
    # Also the only owner of an organization (kind 9).
    assert administrator.delete(f"/users/{owner.username}").status_code == 204


@pytest.mark.parametrize(
    "password", ["password", "PassWord", "iloveyou", "qwertyuiop", "olgas@example"]
)
def test_what_would_be_guessed_is_no_password(api_of: Api, password: str) -> None:
    administrator = api_of(make.access_token(make.user("root", is_superuser=True)))
    name = make.unique("nina")
    body = {"username": name, "email": "olgas@example.com", "password": password}
    refused = administrator.post("/users", body)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "password"
    assert not User.objects.filter(username=name).exists()


@pytest.mark.parametrize("who", ["anonymous", "dave"])
def test_a_public_profile_has_no_address(api_of: Api, who: str) -> None:
    email = f"{make.unique('olga')}@example.com"
    user = make.user("olga", email=email, display_name="Olga")
    shown = api_of(who).get(f"/users/{user.username}")
    assert shown.status_code == 200
    assert set(shown.json()) == {"username", "display_name", "date_joined"}
    assert "example.com" not in shown.text
    assert api_of("anonymous").patch(f"/users/{user.username}", {}).status_code == 401
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert api_of(who).get(f"/users/{user.username}").status_code == 404


def test_hashes_and_passwords_are_in_no_answer(
    api_of: Api, cast: Cast, api: str, alice: RegistryClient
) -> None:
    """I14."""
    alice.push(f"{api}:v1", image())
    owner = api_of("alice")
    organization = f"/organizations/{cast.acme.namespace.name}"
    for path in (
        *("/user", "/user/tokens", organization, f"{organization}/teams"),
        *(f"{organization}/robots", f"/repositories/{api}/grants"),
        f"/repositories/{api}/events",
    ):
        text = owner.get(path).text
        for word in ("hash", "argon2", "password", "berth_"):
            assert word not in text, (path, word)


def test_tokens_are_listed_with_their_ends_and_limits(
    api_of: Api, cast: Cast, private_api: Repository
) -> None:
    carol, org = api_of("carol"), cast.acme.namespace.name
    name = private_api.full_name
    body = {"name": "narrow", "actions": "read"}
    limits: list[dict[str, list[str]]] = [
        {},
        {"repositories": [name]},
        {"namespaces": [org]},
        {"repositories": [name], "namespaces": [org]},
        {"repositories": []},
    ]
    made = [carol.post("/user/tokens", {**body, **limit}).json() for limit in limits]
    listed = {token["id"]: token for token in carol.everything("/user/tokens")}
    for token, limit in zip(made, limits, strict=True):
        assert token["token"].endswith(token["ends_with"])
        assert len(token["ends_with"]) == 4
        shown = {k: v for k, v in token.items() if k != "token"}
        assert listed[token["id"]] == shown
        for kind in ("repositories", "namespaces"):
            assert shown[kind] == (limit.get(kind, []) if limit else None)


def test_a_tokens_limit_is_not_named_once_it_is_out_of_sight(
    api_of: Api, cast: Cast, private_api: Repository
) -> None:
    carol, name = api_of("carol"), private_api.full_name
    body = {"name": "narrow", "actions": "read", "repositories": [name]}
    made = carol.post("/user/tokens", body).json()
    grant = Grant.objects.get(repository=private_api, user=cast.carol)
    path = f"/repositories/{name}/grants/{grant.pk}"
    assert api_of("alice").delete(path).status_code == 204
    listed = {token["id"]: token for token in carol.everything("/user/tokens")}
    assert listed[made["id"]]["repositories"] == []
    assert listed[made["id"]]["is_limited"] is True


def test_a_list_of_tokens_asks_as_often_for_twenty_as_for_ten(
    database: None, cast: Cast
) -> None:
    user = make.user("holder")
    repositories = [make.repository(user.namespace, f"r{n}") for n in range(20)]
    client = Client(headers={"Authorization": f"Bearer {make.access_token(user)}"})
    client.get("/api/v1/user")  # the first use of a token is noted
    counts = []
    for rows in (repositories[:10], repositories[10:]):
        for repository in rows:
            make.access_token(user, repository_ids=[repository.pk])
        with CaptureQueriesContext(
            connection,
        ) as asked:
            answer = client.get("/api/v1/user/tokens", HTTP_HOST="localhost")
        assert answer.status_code == 200
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 12
