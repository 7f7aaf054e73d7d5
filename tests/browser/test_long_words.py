"""Words as long as they may be, without a space: no page is wider than its window.

A tag of a commit's forty digits is what most builds push, and a search is for whatever
somebody pastes.
"""

import httpx
import pytest

from accounts.actors import SYSTEM
from accounts.authentication import actor_of_access_token
from accounts.models import User
from accounts.names import (
    ROBOT_NAME_MAX_LENGTH,
    TEAM_NAME_MAX_LENGTH,
)
from accounts.organizations import change_organization
from accounts.robots import create_robot
from accounts.tokens import issue_access_token
from distribution.refresh_tokens import CLIENT_MAX_LENGTH, issue_refresh_token
from repositories import stars
from repositories.lifecycle import delete_repository, describe_repository
from repositories.models import Repository
from repositories.models.tags import TAG_MAX_LENGTH
from tests import make
from tests.browser.conftest import OpenBrowser
from tests.images import image
from tests.registry_client import RegistryClient
from tests.servers import BerthServer
from tests.webhooks.test_pages import URL, path_of

COMMIT = "0123456789abcdef" * 2 + "01234567"
SIGNATURE = f"sha256-{'0123456789abcdef' * 4}.sig"
SEARCHES = (
    f"sha256:{'0123456789abcdef' * 4}",
    "enterpriseresourceplanningservice",
    "x" * 500,
)
WIDTHS = (360, 1280)

# How much wider the page is, and what of it is beyond the edge for good.
_MEASURE = """() => {
  const width = document.documentElement.clientWidth;
  const isHeld = (element) => {
    for (let box = element; box !== document.body; box = box.parentElement) {
      const style = getComputedStyle(box);
      const mayScroll = ["auto", "scroll"].includes(style.overflowX);
      const cuts = style.textOverflow === "ellipsis";
      if (mayScroll || cuts || style.clipPath !== "none") return true;
    }
    return false;
  };
  const isLost = (element) =>
    element.getBoundingClientRect().right > width + .5 && !isHeld(element);
  return [
    document.documentElement.scrollWidth - width,
    [...document.querySelectorAll("main *, footer *")].filter(isLost)
      .map((element) => `${element.localName}.${element.className}`).slice(0, 8),
  ];
}"""


def long(word: str, length: int) -> str:
    """Return so many characters without a space."""
    return (word * length)[:length]


@pytest.fixture(scope="module")
def owner(django_db_setup: None) -> User:
    """Somebody with the longest names."""
    return make.user(long("enterprise", 28), display_name=long("person", 100))


@pytest.fixture
def repository(owner: User, registry: BerthServer, http: httpx.Client) -> Repository:
    """A repository of the longest names, in an organization of them."""
    organization = make.organization(owner=owner, name=long("resourceplanning", 28))
    change_organization(
        organization=organization,
        actor=SYSTEM,
        display_name=long("organization", 100),
        description=long("description", 200),
        website=f"https://{long('website', 60)}.example/{long('path', 100)}",
    )
    namespace = organization.namespace
    repository = make.repository(
        namespace, long("enterpriseresourceplanningservice", 150), visibility="public"
    )
    describe_repository(
        repository=repository, actor=SYSTEM, description=long("description", 200)
    )
    robot, _token = create_robot(
        namespace=namespace,
        name=long("robot", ROBOT_NAME_MAX_LENGTH),
        description=long("description", 100),
        actor=SYSTEM,
    )
    team = make.team(organization, owner, robot, name=long("team", 28))
    assert len(team.name) <= TEAM_NAME_MAX_LENGTH
    make.grant(repository, team, "write", tags=long("glob", 128))
    make.grant(repository, robot, "write")
    stars.star(repository=repository, user=owner)
    client = RegistryClient(
        http, registry.url, owner.username, make.access_token(owner)
    )
    pushed = image()
    for tag in (COMMIT, SIGNATURE, long("tag", TAG_MAX_LENGTH), "gone" * 32):
        client.push(f"{repository.full_name}:{tag}", pushed)
    client.push(f"{repository.full_name}:{COMMIT}", image())
    client.delete(f"/v2/{repository.full_name}/manifests/{'gone' * 32}")
    return repository


@pytest.mark.parametrize("width", WIDTHS)
def test_no_word_makes_a_page_wider_than_its_window(
    open_browser: OpenBrowser, owner: User, repository: Repository, width: int
) -> None:
    space, here = f"/{repository.namespace.name}", f"/{repository.full_name}"
    webhook, _secret = make.webhook(
        URL, repository=repository, name=long("webhook", 60)
    )
    organization = repository.namespace.organization
    assert organization is not None
    deleted = make.repository(organization.namespace, repository.name[::-1])
    delete_repository(repository=deleted, actor=SYSTEM)
    token, _secret = issue_access_token(
        user=owner,
        name=long("token", 100),
        actions="read",
        repository_ids=[repository.pk],
        actor=SYSTEM,
    )
    issue_refresh_token(
        actor=actor_of_access_token(token), client=long("client", CLIENT_MAX_LENGTH)
    )
    robot = repository.namespace.robots.get()
    team = organization.teams.get(standing="member")
    paths = [
        *(f"{here}:{tag}" for tag in (COMMIT, SIGNATURE, long("tag", TAG_MAX_LENGTH))),
        f"{here}/-/tags?attached=on&deleted={'gone' * 32}",
        f"{here}/-/tags?q={'x' * 128}",
        *(here + rest for rest in ("", "/-/activity", "/-/access", "/-/settings")),
        f"{here}/-/access?who={owner.username}&action=push",
        f"{here}/-/settings/readme",
        f"{here}/-/webhooks",
        *(path_of(webhook), f"{path_of(webhook)}/delete"),
        *(space, f"{space}?q={'x' * 128}", f"{space}/-/webhooks", f"{space}/-/audit"),
        *(f"{space}/-/{tab}" for tab in ("people", "defaults", "settings")),
        *(f"{space}/-/deleted", f"{space}/-/deleted/{deleted.pk}"),
        f"{space}/-/deleted/{deleted.pk}/purge",
        *(f"{space}/-/teams", f"{space}/-/teams/{team.name}"),
        *(f"{space}/-/robots", f"{space}/-/robots/{robot.name}"),
        f"{space}/-/robots/{robot.name}/delete",
        f"{space}/-/settings/delete",
        *(f"/{owner.username}", "/settings/profile", "/notifications", "/"),
        *("/settings/tokens", "/settings/logins", "/accounts/sessions/"),
        f"/settings/tokens/{token.pk}/revoke",
        *(f"/search?q={text}" for text in (*SEARCHES, repository.name)),
        f"/search?q={'nothing' * 70}",
    ]
    page = open_browser(owner, width=width, user_agent=long("browser", 200))
    too_wide = {}
    for path in paths:
        page.goto(path)
        overflow, places = page.evaluate(_MEASURE)
        if overflow > 0 or places:
            too_wide[path] = f"{overflow} px, {places}"
    assert not too_wide, "\n".join(map(": ".join, too_wide.items()))
