"""Ways to more than one has, tried from outside; each of them ends at a refusal."""

import base64
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest

from accounts.models import AccessToken, Organization, Robot, Team, User
from repositories.models import Grant, Repository
from tests import make
from tests.api.conftest import ApiClient
from tests.conftest import Cast
from tests.registry_client import RegistryClient

Api = Callable[[str], ApiClient]


# --- tokens do not grow


@pytest.mark.parametrize("limit", ["read", "write", "repository", "namespace"])
def test_a_narrow_token_makes_no_token_and_changes_no_account(
    cast: Cast, api_of: Api, private_api: Repository, limit: str
) -> None:
    narrowed = {
        "read": {"actions": "read"},
        "write": {"actions": "write"},
        "repository": {"repository_ids": [private_api.pk]},
        "namespace": {"namespace_ids": [cast.acme.namespace.pk]},
    }[limit]
    client = api_of(make.access_token(cast.alice, **narrowed))  # type: ignore[arg-type]
    before = AccessToken.objects.filter(user=cast.alice).count()
    for actions in ("read", "write", "admin"):
        made = client.post("/user/tokens", {"name": "more", "actions": actions})
        assert made.status_code == 403
    assert AccessToken.objects.filter(user=cast.alice).count() == before
    assert client.patch("/user", {"display_name": "pwned"}).status_code == 403
    assert client.post("/organizations", {"name": "pwned"}).status_code == 403
    assert client.get("/users").status_code == 403


def test_a_token_for_one_organization_gives_nothing_in_another(
    cast: Cast, api_of: Api
) -> None:
    other = make.organization(owner=cast.alice)
    only = [cast.acme.namespace.pk]
    client = api_of(make.access_token(cast.alice, namespace_ids=only))
    path = f"/organizations/{other.namespace.name}"
    assert client.patch(path, {"display_name": "x"}).status_code == 403
    assert client.get(f"{path}/teams").status_code == 403
    assert client.post(f"{path}/robots", {"name": "x"}).status_code == 403
    fields = {"namespace": other.namespace.name, "name": "x", "visibility": "public"}
    assert client.post("/repositories", fields).status_code == 403


# --- fields that are not offered are not taken


def test_fields_that_are_not_offered_change_nothing(
    cast: Cast, api_of: Api, private_api: Repository
) -> None:
    dave, alice = api_of("dave"), api_of("alice")
    refused = dave.patch(
        "/user",
        {
            "username": "root",
            "email": "root@example.com",
            "is_superuser": True,
            "is_staff": True,
            "is_active": False,
            "password": "x",
        },
    )
    assert refused.status_code == 400
    row = User.objects.get(pk=cast.dave.pk)
    was = cast.dave
    assert (row.username, row.email, row.password, row.is_active) == (
        *(was.username, was.email, was.password, True),
    )
    assert not row.is_superuser and not row.is_staff
    refused = alice.patch(
        f"/organizations/{cast.acme.namespace.name}",
        {"is_official": True, "is_verified": True, "id": 1, "namespace": "root"},
    )
    assert refused.status_code == 400
    acme = Organization.objects.get(pk=cast.acme.pk)
    assert not acme.namespace.is_official and not acme.namespace.is_verified
    counts = {"star_count": 9, "pull_count": 9}
    for fields, status in (
        ({**counts, "is_official": True, "deleted_at": None}, 400),
        (counts, 200),  # they change by themselves: left alone
    ):
        path = f"/repositories/{private_api.full_name}"
        assert alice.patch(path, fields).status_code == status
    api = Repository.objects.get(pk=private_api.pk)
    assert (api.star_count, api.pull_count) == (0, 0)
    before = AccessToken.objects.count()
    refused = dave.post(
        "/user/tokens",
        {"name": "x", "actions": "read", "user": cast.alice.pk, "token_hash": "0"},
    )
    assert refused.status_code == 400
    assert AccessToken.objects.count() == before


def test_a_grant_does_not_move_to_another_repository_or_subject(
    cast: Cast, api_of: Api, private_api: Repository, public_api: Repository
) -> None:
    grant = Grant.objects.get(repository=private_api, user=cast.carol)
    path = f"/repositories/{private_api.full_name}/grants/{grant.pk}"
    fields = {
        "role": "read",
        "repository": public_api.pk,
        "subject": {"kind": "user", "name": cast.dave.username},
    }
    assert api_of("alice").patch(path, fields).status_code == 400
    grant.refresh_from_db()
    assert (grant.repository, grant.user) == (private_api, cast.carol)
    elsewhere = f"/repositories/{public_api.full_name}/grants/{grant.pk}"
    assert api_of("alice").delete(elsewhere).status_code == 404


# --- robots and members do not climb


def test_a_robot_that_may_create_gets_no_hold_of_the_organization(
    cast: Cast, api_of: Api
) -> None:
    robot, secret = make.robot(cast.acme.namespace)
    make.team(cast.acme, robot, standing="creator")
    client, org = api_of(secret), cast.acme.namespace.name
    fields = {"namespace": org, "name": make.unique("r"), "visibility": "private"}
    assert client.post("/repositories", fields).status_code == 201
    assert client.post(f"/organizations/{org}/robots", {"name": "x"}).status_code == 403
    team = {"name": "x", "standing": "admin"}
    assert client.post(f"/organizations/{org}/teams", team).status_code == 403
    own = {"namespace": cast.alice.username, "name": "x", "visibility": "private"}
    assert client.post("/repositories", own).status_code == 403


def test_who_is_in_a_team_does_not_raise_its_standing(cast: Cast, api_of: Api) -> None:
    person = make.user("climber")
    team = make.team(cast.acme, person, standing="creator")
    client = api_of(make.access_token(person))
    path = f"/organizations/{cast.acme.namespace.name}/teams"
    assert client.patch(f"{path}/{team.name}", {"standing": "admin"}).status_code == 403
    for name in (team.name, "owners"):
        joined = client.put(f"{path}/{name}/members/{person.username}")
        assert joined.status_code == 403
    team.refresh_from_db()
    assert team.standing == Team.Standing.CREATOR


def test_a_robot_or_team_of_others_gets_no_grant(
    cast: Cast, api_of: Api, private_api: Repository
) -> None:
    """Or their names could be probed for."""
    other = make.organization(owner=cast.dave)
    robot, _ = make.robot(other.namespace)
    team = make.team(other)
    path = f"/repositories/{private_api.full_name}/grants"
    for kind, name in (("robot", robot.username), ("team", team.name)):
        bodies = []
        for asked in (name, f"{name}-absent"):
            subject = {"kind": kind, "name": asked}
            answer = api_of("alice").post(path, {"subject": subject, "role": "read"})
            assert answer.status_code == 400
            bodies.append(answer.text.replace(asked, "<name>"))
        assert bodies[0] == bodies[1]
    assert not Grant.objects.filter(robot=robot).exists()
    path = f"/organizations/{cast.acme.namespace.name}/teams/{cast.backend.name}"
    joined = api_of("alice").put(f"{path}/members/{quote(robot.username)}")
    assert joined.status_code == 404


# --- names that look like others


@pytest.mark.parametrize(
    "twist",
    [
        lambda name: name.upper(),
        lambda name: name + "\0",
        lambda name: name + " ",
        lambda name: name.replace("a", "\u0430"),  # Cyrillic
        lambda name: name.replace("a", "\uff41"),  # fullwidth, NFKC folds it
        lambda name: name + "\u200b",
        lambda name: name + "\n",
        lambda name: name + "+",
        lambda name: name + "/",
    ],
)
def test_no_other_spelling_leads_to_a_repository(
    api_of: Api, private_api: Repository, twist: Callable[[str], str]
) -> None:
    alice, (org, _, name) = api_of("alice"), private_api.full_name.partition("/")
    for other in (f"{org}/{twist(name)}", f"{twist(org)}/{name}"):
        for rest in ("", "/tags", "/grants"):
            path = f"/repositories/{quote(other)}{rest}"
            assert alice.get(path).status_code in {404, 405}, path
    fields = {"namespace": org, "name": twist(name), "visibility": "public"}
    assert alice.post("/repositories", fields).status_code == 400
    fields = {"namespace": twist(org), "name": "x", "visibility": "public"}
    assert alice.post("/repositories", fields).status_code in {400, 403}


@pytest.mark.parametrize(
    "name", ["\u212bcme", "ac\0me", "..", "-", "api", "a+b", "A" * 9]
)
def test_no_organization_takes_a_name_that_is_another_thing(
    api_of: Api, name: str
) -> None:
    assert api_of("dave").post("/organizations", {"name": name}).status_code == 400


def test_a_robot_cannot_be_called_like_a_robot_of_others(
    cast: Cast, api_of: Api
) -> None:
    path = f"/organizations/{cast.acme.namespace.name}/robots"
    for name in ("a+b", "../x", "a/b", "A", "\u0430"):
        assert api_of("alice").post(path, {"name": name}).status_code == 400
    assert not Robot.objects.filter(name__contains="+").exists()


# --- lists show no more than they should


@pytest.mark.parametrize(
    "position", ["x", "\0", "9" * 30, "-1", "1 OR 1=1", "2026-01-01", "\ud7ff", ""]
)
@pytest.mark.parametrize("offset", ["0", "-1", "9" * 30, "x"])
def test_a_forged_cursor_shows_nothing_of_others(
    api_of: Api, private_api: Repository, position: str, offset: str
) -> None:
    dave = api_of("dave")
    words = urlencode({"o": offset, "p": position, "r": "1"})
    cursor = quote(base64.b64encode(words.encode()).decode())
    for path in ("/repositories", "/user/tokens", f"/repositories/{private_api}/tags"):
        answer = dave.get(f"{path}?cursor={cursor}")
        assert answer.status_code in {200, 404}
        assert private_api.name not in answer.text.replace(path, "")
    alice = api_of("alice")
    for path in ("tags?sort=name&", "tags?", "events?"):
        answer = alice.get(f"/repositories/{private_api}/{path}cursor={cursor}")
        assert answer.status_code in {200, 404}


def test_a_private_repository_is_in_no_list_and_no_search(
    cast: Cast, api_of: Api, dave: RegistryClient, private_api: Repository
) -> None:
    name = private_api.name
    only = [make.repository(cast.alice.namespace, make.unique("only")).pk]
    for who in (
        "dave",
        "anonymous",
        make.access_token(cast.alice, repository_ids=only),
    ):
        client = api_of(who)
        for path in ("/repositories?page_size=200", f"/search?q={name}"):
            assert name not in client.get(path).text, (who, path)
    assert name not in str(dave.get(f"/v1/search?q={name}", token="").json()["results"])
    assert name not in dave.get("/v2/_catalog?n=1000").text
    for action in ("pull", "push", "*"):
        asked = f"repository:{private_api.full_name}:{action}"
        absent = f"repository:{cast.acme.namespace.name}/absent:{action}"
        told = dave.token_answer(asked).json()
        assert told["scope"] == dave.token_answer(absent).json()["scope"] == ""
