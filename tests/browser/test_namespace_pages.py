"""Pages of namespaces in a browser: every one in order, and the question asked."""

import pytest
from playwright.sync_api import expect

from accounts.models import Organization
from tests import make
from tests.browser.checks import check_page
from tests.browser.conftest import WIDTHS, OpenBrowser
from tests.conftest import Cast

PAGES = {
    "profile": "",
    "teams": "/-/teams",
    "team": "/-/teams/{team}",
    "people": "/-/people",
    "robots": "/-/robots",
    "robot": "/-/robots/{robot}",
    "defaults": "/-/defaults",
    "audit": "/-/audit",
    "settings": "/-/settings",
    "delete": "/-/settings/delete",
}


@pytest.fixture(scope="module")
def guild(cast: Cast) -> tuple[Organization, dict[str, str]]:
    """An organization with something on every page."""
    organization = make.organization(owner=cast.alice, name="guild")
    robot, _ = make.robot(organization.namespace, "deploy")
    team = make.team(organization, cast.bob, robot)
    for name in ("api", "web", "a-rather-long-name/of-several-parts"):
        repository = make.repository(organization.namespace, name)
        make.grant(repository, team, "write", tags="release-*" if name == "web" else "")
        make.grant(repository, cast.carol, "read")
        make.grant(repository, robot, "write")
    return organization, {"team": team.name, "robot": robot.name}


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_of_an_organization_are_in_order(
    open_browser: OpenBrowser,
    cast: Cast,
    guild: tuple[Organization, dict[str, str]],
    width: int,
) -> None:
    organization, names = guild
    page = open_browser(cast.alice, width=width)
    for path in PAGES.values():
        page.goto(f"/{organization.namespace.name}{path.format(**names)}")
        check_page(page)


def test_why_is_answered_where_it_is_asked(
    open_browser: OpenBrowser,
    cast: Cast,
    guild: tuple[Organization, dict[str, str]],
) -> None:
    organization, _names = guild
    page = open_browser(cast.alice)
    page.goto(f"/{organization.namespace.name}/-/teams")
    page.get_by_label("User or robot").fill(cast.bob.username)
    page.get_by_label("Repository", exact=True).fill("api")
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.locator("#why-answer")).to_contain_text("Yes")
    check_page(page)


def test_a_cell_tells_who_can_and_why(
    open_browser: OpenBrowser,
    cast: Cast,
    guild: tuple[Organization, dict[str, str]],
) -> None:
    organization, names = guild
    page = open_browser(cast.alice)
    page.goto(f"/{organization.namespace.name}/-/teams")
    page.get_by_role("link", name=f"write: {names['team']} on api").click()
    answer = page.locator("#why-answer")
    expect(answer).to_contain_text(f"Who can push in {organization.namespace.name}/api")
    expect(answer).to_contain_text(cast.bob.username)


def test_a_role_stands_beside_its_team_on_a_phone(
    open_browser: OpenBrowser, cast: Cast
) -> None:
    organization = make.organization(owner=cast.alice, name="guild")
    names = ("backend", "release-engineering-support")
    teams = [make.team(organization, name=name) for name in names]
    for tags in ("", "release-*"):
        repository = make.repository(organization.namespace, make.unique("api"))
        for team in teams:
            make.grant(repository, team, "write", tags=tags)
    page = open_browser(cast.alice, width=360)
    page.goto(f"/{organization.namespace.name}/-/teams")
    check_page(page)
    drops = page.locator(".matrix tbody td:not(.is-none)").evaluate_all(
        """cells => cells.map(cell =>
          cell.querySelector(".role").getBoundingClientRect().top
            - cell.getBoundingClientRect().top)"""
    )
    assert len(drops) == 4
    assert max(drops) < 6, "a role is below the first line of its team's name"
    ends = page.locator(".matrix tbody tr").evaluate_all(
        """rows => rows.map(row => row.scrollWidth - row.clientWidth)"""
    )
    assert max(ends) <= 0, "a card is cut off"
