"""Who may do what, and why."""

import re

import pytest

from repositories.models import Grant, Repository
from tests.conftest import Cast
from tests.registry_client import RegistryClient
from tests.repositories.views.conftest import Browse


@pytest.fixture
def path(private_api: Repository) -> str:
    return f"{private_api.get_absolute_url()}/-/access"


def test_access_is_given_changed_and_taken(
    browse: Browse, cast: Cast, path: str, api: str, dave: RegistryClient
) -> None:
    client = browse("alice")
    fields = {"kind": "user", "name": cast.dave.username, "role": "read", "tags": ""}
    assert browse("dave").get(f"/{api}").status_code == 404
    given = client.post(path, fields, client.get(path))
    assert given.headers["Location"] == path
    assert browse("dave").get(f"/{api}").status_code == 200
    twice = client.post(path, fields, client.get(path))
    assert twice.status_code == 422
    assert "has a grant for these tags" in twice.text
    grant = Grant.objects.get(user=cast.dave, repository__name=api.split("/")[1])
    changed = client.post(
        f"{path}/{grant.pk}", {"role": "write", "tags": "dev-*"}, client.get(path)
    )
    assert changed.headers["Location"] == path
    grant.refresh_from_db()
    assert (grant.role, grant.tag_glob) == ("write", "dev-*")
    client.post(f"{path}/{grant.pk}", {"role": "king"}, client.get(path))
    grant.refresh_from_db()
    assert grant.role == "write"
    client.post(f"{path}/{grant.pk}", {"remove": "1"}, client.get(path))
    assert browse("dave").get(f"/{api}").status_code == 404


def test_a_grant_of_another_repository_is_not_there(
    browse: Browse, cast: Cast, path: str, other: str
) -> None:
    grant = Grant.objects.filter(repository__name=other.split("/")[1])[0]
    client = browse("alice")
    done = client.post(f"{path}/{grant.pk}", {"remove": "1"}, client.get(path))
    assert done.status_code == 404
    assert Grant.objects.filter(pk=grant.pk).exists()


def test_it_says_why(browse: Browse, cast: Cast, path: str) -> None:
    client = browse("alice")
    bob = client.get(path, params={"who": cast.bob.username, "action": "push"}).text
    assert f"<b>{cast.backend.name}</b>" in bob
    assert "Yes" in bob
    carol = client.get(path, params={"who": cast.carol.username, "action": "push"}).text
    assert "has no role with <b>push</b>" in carol
    robot = client.get(path, params={"who": cast.robby.username, "action": "pull"}).text
    assert "Yes" in robot
    nobody = client.get(path, params={"who": "no-such-user", "action": "pull"}).text
    assert "There is nobody of this name" in nobody
    visitor = client.get(path, params={"who": "anonymous", "action": "pull"}).text
    assert "nobody is signed in" in visitor
    assert client.get(path, params={"action": "fly"}).status_code == 200


def test_it_lists_who_can(browse: Browse, cast: Cast, path: str) -> None:
    page = browse("alice").get(path, params={"who": "", "action": "push"}).text
    answer = page[page.index('id="why-answer"') :]
    for person in (cast.alice, cast.bob, cast.robby):
        assert f"<b>{person.username}</b>" in answer
    assert cast.carol.username not in answer


def test_the_page_says_who_needs_no_grant(browse: Browse, path: str) -> None:
    page = browse("alice").get(path).text
    [teams] = re.findall(r"Members of ([^<]+) can do everything", page)
    assert "owners" in teams.split(", ")
