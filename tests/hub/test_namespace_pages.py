"""Pages of namespaces: who opens which, what every button does, how often they ask."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.actors import SYSTEM
from accounts.models import Invitation, Membership, Organization, Robot, Team, User
from accounts.organizations import rename_organization
from repositories.models import DefaultPermission, Grant
from tests import make
from tests.conftest import Cast
from tests.pages import PageClient, title_of
from tests.servers import BerthServer

PAGES = ["", "/-/teams", "/-/people", "/-/robots", "/-/defaults", "/-/audit"]
PAGES += ["/-/settings", "/-/settings/delete"]
SIGN_IN, OK, NO, ABSENT = 302, 200, 403, 404


@pytest.fixture
def guild(cast: Cast) -> Organization:
    """An organization of alice's of its own, with bob in a team."""
    organization = make.organization(owner=cast.alice, name="guild")
    make.team(organization, cast.bob)
    return organization


@pytest.fixture
def alice(registry: BerthServer, cast: Cast) -> Any:
    with PageClient(registry.url, cast.alice) as client:
        yield client


@pytest.fixture
def carol(registry: BerthServer, cast: Cast) -> Any:
    with PageClient(registry.url, cast.carol) as client:
        yield client


def home_of(organization: Organization) -> str:
    return f"/{organization.namespace.name}"


@pytest.mark.parametrize(
    ("person", "statuses"),
    [
        ("alice", [OK] * 8),
        ("bob", [OK, OK, OK, NO, NO, NO, NO, NO]),
        ("carol", [OK, NO, NO, NO, NO, NO, NO, NO]),
        ("dave", [OK, NO, NO, NO, NO, NO, NO, NO]),
        (None, [OK, *[SIGN_IN] * 7]),
    ],
)
def test_who_opens_which_page(
    registry: BerthServer,
    cast: Cast,
    guild: Organization,
    person: str | None,
    statuses: list[int],
) -> None:
    user = getattr(cast, person) if person else None
    with PageClient(registry.url, user) as client:
        found = [client.get(home_of(guild) + page).status_code for page in PAGES]
        assert found == statuses
        for page in PAGES:
            assert client.get(f"/nobody-at-all{page}").status_code == ABSENT


def test_titles_say_where_one_is(alice: PageClient, guild: Organization) -> None:
    name = guild.namespace.name
    assert title_of(alice.get(f"/{name}")) == f"{name} · Berth"
    assert title_of(alice.get(f"/{name}/-/teams")) == f"{name}: teams · Berth"


def test_private_repositories_leak_to_nobody(
    registry: BerthServer, cast: Cast, guild: Organization
) -> None:
    secret = make.repository(guild.namespace, make.unique("secret"))
    shown = make.repository(guild.namespace, make.unique("shown"), visibility="public")
    with PageClient(registry.url, cast.dave) as dave:
        page = dave.get(home_of(guild))
        assert shown.name in page.text
        assert secret.name not in page.text
        assert "Filter repositories" in page.text
    with PageClient(registry.url, cast.alice) as alice:
        page = alice.get(home_of(guild))
        assert secret.name in page.text
        narrowed = alice.get(f"{home_of(guild)}?q={shown.name}&sort=name")
        listed = narrowed.text.partition('id="repository-list"')[2]
        assert shown.name in listed
        assert secret.name not in listed.partition("<aside")[0]


def test_an_official_image_and_a_former_name_are_led_to(
    alice: PageClient, guild: Organization
) -> None:
    library = Organization.objects.get(namespace__name="library").namespace
    image = make.repository(library, make.unique("java"), visibility="public")
    hidden = make.repository(library, make.unique("hidden"))
    assert alice.get(f"/{image.name}").headers["Location"] == f"/library/{image.name}"
    assert alice.get(f"/{hidden.name}").status_code == ABSENT
    old = guild.namespace.name
    new = make.unique("renamed")
    rename_organization(organization=guild, name=new, actor=SYSTEM)
    moved = alice.get(f"/{old}/-/teams?x=1")
    assert (moved.status_code, moved.headers["Location"]) == (
        307,
        f"/{new}/-/teams?x=1",
    )


def test_a_team_is_made_changed_and_deleted(
    alice: PageClient, guild: Organization
) -> None:
    home = home_of(guild)
    fields = {"name": "ops", "description": "<b>x</b>", "standing": "creator"}
    done = alice.post(f"{home}/-/teams", fields)
    assert done.headers["Location"] == f"{home}/-/teams/ops"
    assert alice.post(f"{home}/-/teams", fields).status_code == 422
    assert alice.post(f"{home}/-/teams", {"name": "Bad"}).status_code == 422
    page = alice.get(f"{home}/-/teams/ops")
    assert "<b>x</b>" not in page.text
    changed = alice.post(f"{home}/-/teams/ops", {"name": "op", "standing": "member"})
    assert changed.status_code == 302
    team = Team.objects.get(organization=guild, name="op")
    assert team.standing == "member"
    assert alice.post(f"{home}/-/teams/op/delete").status_code == 302
    assert not Team.objects.filter(pk=team.pk).exists()
    alice.post(f"{home}/-/teams/owners/delete")
    assert Team.objects.filter(organization=guild, name="owners").exists()


def test_people_and_robots_join_are_invited_and_leave(
    alice: PageClient, cast: Cast, guild: Organization
) -> None:
    team = make.team(guild)
    here = f"{home_of(guild)}/-/teams/{team.name}"
    robot, _ = make.robot(guild.namespace)
    page = alice.get(here)
    for who in (cast.carol.username, robot.username):
        alice.post(f"{here}/join", {"who": who, "add": "1"}, page)
    assert Membership.objects.filter(team=team).count() == 2
    alice.post(f"{here}/join", {"who": cast.dave.username}, page)
    address = f"{make.unique('new')}@example.com"
    alice.post(f"{here}/join", {"who": address}, page)
    invitations = Invitation.objects.filter(team=team)
    assert {(i.user, i.email) for i in invitations} == {
        (cast.dave, ""),
        (None, address),
    }
    for wrong in ("nobody-at-all", "a@b", "", cast.dave.username):
        sent = alice.post(f"{here}/join", {"who": wrong}, page)
        assert sent.status_code == 422, wrong
    first = invitations.first()
    assert first is not None
    alice.post(f"{home_of(guild)}/-/invitations/{first.pk}/withdraw", {}, page)
    assert invitations.all().count() == 1
    alice.post(f"{here}/leave", {"member": robot.username}, page)
    assert list(
        Membership.objects.filter(team=team).values_list("user", flat=True)
    ) == [cast.carol.pk]


def test_who_is_removed_has_no_rights_and_an_owner_stays(
    alice: PageClient, cast: Cast, guild: Organization
) -> None:
    repository = make.repository(guild.namespace, "api")
    make.grant(repository, cast.bob, "read")
    page = alice.get(f"{home_of(guild)}/-/people")
    assert "Outside collaborators and direct roles" in page.text
    path = f"{home_of(guild)}/-/people/remove"
    alice.post(path, {"person": cast.bob.username}, page)
    assert not Membership.objects.filter(
        team__organization=guild, user=cast.bob
    ).exists()
    assert not Grant.objects.filter(repository=repository, user=cast.bob).exists()
    alice.post(path, {"person": cast.alice.username}, page)
    assert Membership.objects.filter(team__organization=guild, user=cast.alice).exists()


def test_one_leaves_by_oneself(
    carol: PageClient, cast: Cast, guild: Organization
) -> None:
    first, second = (make.team(guild, cast.carol) for _ in range(2))
    here = f"{home_of(guild)}/-/teams/{first.name}"
    page = carol.get(here)
    assert "Leave" in page.text
    bobs = carol.post(f"{here}/leave", {"member": cast.bob.username}, page)
    assert bobs.status_code == 403
    done = carol.post(f"{here}/leave", {"member": cast.carol.username}, page)
    assert done.headers["Location"] == home_of(guild)
    mine = Membership.objects.filter(team__organization=guild, user=cast.carol)
    assert [row.team for row in mine] == [second]
    path = f"{home_of(guild)}/-/people"
    page = carol.get(path)
    assert carol.post(f"{path}/remove", {"person": "nobody"}, page).status_code == 403
    done = carol.post(f"{path}/remove", {"person": cast.carol.username}, page)
    assert done.headers["Location"] == home_of(guild)
    assert not mine.all().exists()
    again = carol.post(f"{path}/remove", {"person": cast.carol.username}, page)
    assert again.status_code == 403, "as for anybody who is not in a team"


def test_a_robots_token_is_shown_once(alice: PageClient, guild: Organization) -> None:
    path = f"{home_of(guild)}/-/robots"
    made = alice.post(path, {"name": "ci"})
    token = re.search(r"berth_rob_\w+", made.text)
    assert made.status_code == 200
    assert token
    assert "no-store" in made.headers["Cache-Control"]
    assert token[0] not in alice.get(f"{path}/ci").text
    assert alice.post(path, {"name": "ci"}).status_code == 422
    page = alice.get(f"{path}/ci")
    renewed = alice.post(f"{path}/ci/token", {"serial": "first"}, page)
    again = re.search(r"berth_rob_\w+", renewed.text)
    assert again
    assert again[0] != token[0]
    reloaded = alice.post(f"{path}/ci/token", {"serial": "first"}, page)
    assert reloaded.headers["Location"] == f"{path}/ci"
    alice.post(f"{path}/ci/switch", {}, page)
    assert not Robot.objects.get(namespace=guild.namespace, name="ci").is_active
    assert alice.post(f"{path}/ci/delete").status_code == 302
    assert not Robot.objects.filter(namespace=guild.namespace).exists()


def test_a_default_permission_is_added_once_and_removed(
    alice: PageClient, cast: Cast, guild: Organization
) -> None:
    path = f"{home_of(guild)}/-/defaults"
    rule = {"kind": "user", "name": cast.carol.username, "role": "read"}
    assert alice.post(path, rule).status_code == 302
    assert alice.post(path, rule).status_code == 422
    assert alice.post(path, rule | {"name": "nobody-at-all"}).status_code == 422
    row = DefaultPermission.objects.get(namespace=guild.namespace)
    assert cast.carol.username in alice.get(path).text
    alice.post(f"{path}/{row.pk}/remove", {}, alice.get(path))
    assert not DefaultPermission.objects.filter(pk=row.pk).exists()


def test_the_audit_log_is_narrowed_and_exported(
    alice: PageClient, cast: Cast, guild: Organization
) -> None:
    path = f"{home_of(guild)}/-/audit"
    assert "team.created" in alice.get(path).text
    narrowed = alice.get(f"{path}?kind=organization.&since=2020-01-01&actor=&utm=x")
    rows = re.findall(r"<code>([a-z_.]+)</code>", narrowed.text)
    assert "organization.created" in rows
    assert "team.created" not in rows
    assert alice.get(f"{path}?since=never").status_code == 422
    export = re.search(r'href="(/api/v1/[^"]+format=csv[^"]*)"', narrowed.text)
    assert export
    file = alice.http.get(export[1].replace("&amp;", "&"))
    assert file.status_code == 200
    assert "organization.created" in file.text


def test_settings_are_saved_and_what_is_wrong_is_refused(
    alice: PageClient, guild: Organization
) -> None:
    path = f"{home_of(guild)}/-/settings"
    canary = "<script>alert(1)</script>"
    fields = {"display_name": canary, "description": canary, "website": "example.com"}
    assert alice.post(path, fields).status_code == 302
    guild.refresh_from_db()
    assert (guild.display_name, guild.website) == (canary, "https://example.com")
    assert canary not in alice.get(path).text
    assert canary not in alice.get(home_of(guild)).text
    for wrong in ({"website": "javascript:alert(1)"}, {"email": "no"}):
        assert alice.post(path, wrong).status_code == 422
    page = alice.get(path)
    taken = {"name": "library"}
    assert alice.post(f"{path}/name", taken, page).status_code == 422
    name = make.unique("other")
    done = alice.post(f"{path}/name", {"name": name}, page)
    assert done.headers["Location"] == f"/{name}/-/settings"


def test_an_organization_with_repositories_is_not_deleted(
    alice: PageClient, guild: Organization
) -> None:
    path = f"{home_of(guild)}/-/settings/delete"
    repository = make.repository(guild.namespace, "api")
    refused = alice.post(path)
    assert refused.status_code == 422
    assert "still has repositories" in refused.text
    repository.delete()
    assert alice.post(path).status_code == 302
    assert not Organization.objects.filter(pk=guild.pk).exists()


def test_a_question_leads_to_its_answer(
    alice: PageClient, cast: Cast, guild: Organization
) -> None:
    make.repository(guild.namespace, "api")
    path = f"{home_of(guild)}/-/why?who={cast.bob.username}&action=push&repository=api"
    location = alice.get(path).headers["Location"]
    assert "has no role" in alice.get(location).text


def test_pages_ask_as_often_for_twenty_rows_as_for_ten(
    database: None, cast: Cast
) -> None:
    organization = make.organization(owner=cast.alice, name="guild")
    make.team(organization, cast.bob)
    robot, _ = make.robot(organization.namespace)
    owners = Team.objects.get(organization=organization, name="owners")
    paths = [
        home_of(organization) + page
        for page in (*PAGES, "/-/teams/owners", f"/-/robots/{robot.name}")
    ]
    browsers = {"alice": Client(), "bob": Client()}
    for person, browser in browsers.items():
        browser.force_login(getattr(cast, person))

    def count(person: str, path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            answer = browsers[person].get(path, headers={"host": "localhost"})
        assert answer.status_code in {200, 403}, (person, path)
        # One of them only where the bell may have something to count.
        assert len(queries) <= 13, [query["sql"] for query in queries.captured_queries]
        return len(queries)

    counts = []
    for _round in range(2):
        for _row in range(10):
            user = make.user("many")
            repository = make.repository(organization.namespace, make.unique("r"))
            make.grant(repository, user, "read")
            make.grant(repository, robot, "read")
            make.grant(repository, make.team(organization, user), "write")
            make.robot(organization.namespace)
            Membership.objects.create(team=owners, user=user)
            DefaultPermission.objects.create(
                namespace=organization.namespace, user=user, role="read"
            )
        counts.append({(who, at): count(who, at) for who in browsers for at in paths})
    assert counts[0] == counts[1]


def test_a_person_has_a_profile_robots_and_an_audit_log(
    registry: BerthServer, cast: Cast
) -> None:
    person: User = cast.dave
    with PageClient(registry.url, person) as dave:
        for page, status in (
            ("", OK),
            ("/-/robots", OK),
            ("/-/audit", OK),
            ("/-/teams", ABSENT),
            ("/-/settings", ABSENT),
        ):
            assert dave.get(f"/{person.username}{page}").status_code == status, page
