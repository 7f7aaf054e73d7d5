"""Who may do what, and why."""

import re
from html import unescape

import pytest
from django.utils import timezone

from accounts.models import Robot
from repositories.models import Grant, Repository
from tests import make
from tests.conftest import Cast
from tests.hub.repository.conftest import Browse
from tests.registry_client import RegistryClient


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
    assert "has <b>read</b>" in carol
    robot = client.get(path, params={"who": cast.robby.username, "action": "pull"}).text
    assert "Yes" in robot
    nobody = client.get(path, params={"who": "no-such-user", "action": "pull"}).text
    assert "There is no user or robot named no-such-user here." in answer_of(nobody)
    visitor = client.get(path, params={"who": "anonymous", "action": "pull"}).text
    assert "no one is signed in" in visitor
    assert client.get(path, params={"action": "fly"}).status_code == 200


def answer_of(page: str) -> str:
    """Return the part that htmx swaps in; a message elsewhere would stay unseen."""
    _before, _, rest = page.partition('id="why-answer"')
    return unescape(re.sub(r"<[^>]*>", "", rest.partition("</section>")[0]))


def test_an_answer_names_what_one_has_and_what_is_missing(
    browse: Browse, cast: Cast
) -> None:
    """No question is answered by silence or by half the truth (F6, F7)."""
    repository = make.repository(cast.acme.namespace, make.unique("api"))
    erin = make.user("erin")
    frontend = make.team(cast.acme, erin, name="frontend")
    make.grant(repository, frontend, "read")
    make.grant(repository, cast.carol, "write", tags="dev-*")
    gone = make.user("gone", is_active=False)
    make.grant(repository, gone, "write")
    robot, _ = make.robot(cast.acme.namespace)
    off, over = (make.robot(cast.acme.namespace)[0] for _ in range(2))
    Robot.objects.filter(pk=off.pk).update(is_active=False)
    Robot.objects.filter(pk=over.pk).update(expires_at=timezone.now())
    name = repository.full_name
    needs = "push needs write"
    table = [
        (
            erin,
            "push",
            "",
            f"read on {name} through team {frontend.name}; {needs}",
        ),
        (cast.bob, "push", "", f"has no role on {name}; {needs}"),
        (cast.carol, "push", "prod", "only for tags like 'dev-*'"),
        (
            cast.carol,
            "grant",
            "",
            f"write on {name} for tags like 'dev-*'; grant needs",
        ),
        (robot, "pull", "", f"has no role on {name}; pull needs read"),
        (gone, "push", "", f"{gone.username} is suspended"),
        (off, "push", "", f"{off.username} is disabled"),
        (over, "push", "", f"{over.username} has expired"),
        ("nobody-x", "push", "", "There is no user or robot named nobody-x here."),
        ("other+robot", "pull", "", "no user or robot named other+robot here."),
        ("<b>", "push", "", "no user or robot named <b> here."),
        (cast.dave, "fly", "", "Select a valid choice"),
        (cast.dave, "push", "x" * 129, "at most 128 characters"),
    ]
    client = browse("alice")
    path = f"/{name}/-/access"
    for who, action, tag, words in table:
        login = str(getattr(who, "username", who))
        asked = {"who": login, "action": action, "tag": tag}
        page = client.get(path, params=asked)
        assert words in answer_of(page.text), (login, action, answer_of(page.text))
    home = f"/{cast.acme.namespace.name}/-/why"
    asked = {"who": "nobody-x", "action": "push", "repository": repository.name}
    there = client.get(home, params=asked)
    assert "no user or robot" in answer_of(client.get(there.headers["Location"]).text)
    asked["repository"] = "no-such-repository"
    wrong = client.get(home, params=asked)
    assert wrong.status_code == 422
    assert "no repository named no-such-repository" in answer_of(wrong.text)


def test_it_lists_who_can(browse: Browse, cast: Cast, path: str) -> None:
    page = browse("alice").get(path, params={"who": "", "action": "push"}).text
    answer = page[page.index('id="why-answer"') :]
    for person in (cast.alice, cast.bob, cast.robby):
        assert f"<b>{person.username}</b>" in answer
    assert cast.carol.username not in answer


def test_the_page_says_who_needs_no_grant(browse: Browse, path: str) -> None:
    page = browse("alice").get(path).text
    [teams] = re.findall(r"Members of ([^<]+) have full access", page)
    assert "owners" in teams.split(", ")
