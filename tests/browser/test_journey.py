"""A newcomer's first hour, from the sign-up to a token, in a browser and with docker.

Against what `make run` starts, by a person's means only: what pages show is read, what
they offer is clicked, and the commands that they give to copy are what docker is told.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests import make
from tests.browser.checks import check_page
from tests.browser.conftest import WIDTHS, open_window
from tests.clients.command import Command
from tests.clients.docker_engine import DockerEngine, build_image, docker_for
from tests.servers import MakeRun

pytestmark = [
    pytest.mark.xdist_group("docker"),  # one engine is enough for all of them
    pytest.mark.own_database,
]

PASSWORD = "a long enough password"
PUSH_IS_SEEN_WITHIN_MS = 15_000  # pages ask every few seconds


@pytest.fixture(scope="module")
def berth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeRun]:
    with MakeRun(tmp_path_factory.mktemp("berth")) as running:
        yield running


@dataclass(frozen=True)
class Newcomer:
    """Somebody with a browser and a terminal, and the names that they will choose."""

    page: Page
    docker: Command
    host: str
    has_scripts: bool
    is_on_a_phone: bool
    name: str
    organization: str
    repository: str

    @property
    def full_name(self) -> str:
        return f"{self.organization}/{self.repository}"

    def run(self, command: str, *more: str, stdin: str = "") -> str:
        """Run a command that a page shows, and return what docker printed."""
        program, *arguments = shlex.split(command)
        assert program == "docker"
        return self.docker(*arguments, *more, stdin=stdin)


@pytest.fixture(
    params=[*((width, True) for width in WIDTHS), (1280, False)],
    ids=lambda param: f"{param[0]}-{'scripts' if param[1] else 'plain'}",
)
def me(
    request: pytest.FixtureRequest,
    chromium: Browser,
    engine: DockerEngine,
    berth: MakeRun,
    tmp_path: Path,
) -> Iterator[Newcomer]:
    width, has_scripts = request.param
    page = open_window(chromium, berth.url, width=width, scripts=has_scripts)
    yield Newcomer(
        page=page,
        docker=docker_for(engine, tmp_path / "home"),
        host=urlsplit(berth.url).netloc,
        has_scripts=has_scripts,
        is_on_a_phone=width == WIDTHS[1],
        name=make.unique("nina"),
        organization=make.unique("harbour"),
        repository=make.unique("crane"),
    )
    page.context.close()


def test_from_the_sign_up_to_a_token(me: Newcomer) -> None:
    sign_up(me)
    create_an_organization(me)
    create_a_repository(me)
    push_and_see_the_page_go_on(me)
    push_again_and_see_the_tag_appear(me)
    find_it_and_star_it(me)
    add_a_team(me)
    grant_the_team_a_role(me)
    delete_a_tag_and_undo(me)
    create_a_token_that_is_shown_once(me)


def sign_up(me: Newcomer) -> None:
    page = me.page
    page.goto("/")
    look(me)
    top = page.get_by_role("banner")
    if not top.get_by_role("link", name="Sign up").is_visible():  # on a phone
        top.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("Username").fill(me.name)
    page.get_by_label("Email").fill(f"{me.name}@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    look(me)
    page.get_by_role("main").get_by_role("button", name="Sign up").click()
    expect(account_menu(me)).to_be_visible()
    look(me)


def create_an_organization(me: Newcomer) -> None:
    page = me.page
    new = page.get_by_role("button", name="New", exact=True)
    if new.is_visible():
        new.click()
        page.get_by_role("link", name="Organization", exact=True).click()
    else:
        account_menu(me).click()
        page.get_by_role("link", name="New organization").click()
    page.get_by_label("Name", exact=True).fill(me.organization)
    page.get_by_label("Display name").fill("Harbour Incorporated")
    page.get_by_role("button", name="Create organization").click()
    expect(heading(me)).to_contain_text("Harbour Incorporated")
    look(me)


def create_a_repository(me: Newcomer) -> None:
    page = me.page
    page.get_by_role("main").get_by_role("link", name="New repository").click()
    expect(page.get_by_label("Owner")).to_have_value(me.organization)
    page.get_by_label("Name", exact=True).press_sequentially(me.repository)
    if me.has_scripts:
        expect(page.get_by_text("This name is available.")).to_be_visible()
    page.get_by_label("Description").fill("Lifts what is heavy")
    page.get_by_label("Public").check()
    if me.has_scripts:
        preview = page.get_by_role("complementary", name="Preview")
        expect(preview).to_contain_text("Public, 0 tags")
    look(me)
    page.get_by_role("button", name="Create repository").click()
    expect(heading(me)).to_contain_text(me.full_name)


def push_and_see_the_page_go_on(me: Newcomer) -> None:
    page = me.page
    expect(page.get_by_text("Waiting for your first push")).to_be_visible()
    look(me)
    build_image(me.docker, f"{me.repository}:latest")
    login, tag, push = (
        shown_command(page.get_by_role("listitem"), f"docker {verb} ")
        for verb in ("login", "tag", "push")
    )
    assert "Login Succeeded" in me.run(login, "--password-stdin", stdin=PASSWORD)
    me.run(tag)
    me.run(push)
    if me.has_scripts:
        page.wait_for_url(f"**/{me.full_name}/-/tags", timeout=PUSH_IS_SEEN_WITHIN_MS)
    else:
        page.get_by_role("link", name="Reload this page").click()
        open_tab(me, "Tags")
    expect(tag_in_list(me, "0.1.0")).to_be_visible()
    look(me)


def push_again_and_see_the_tag_appear(me: Newcomer) -> None:
    page = me.page
    page.evaluate("window.isStillTheSame = true")
    me.docker("tag", f"{me.repository}:latest", f"{me.host}/{me.full_name}:0.2.0")
    me.docker("push", f"{me.host}/{me.full_name}:0.2.0")
    if not me.has_scripts:
        open_tab(me, "Tags")
    expect(tag_in_list(me, "0.2.0")).to_be_visible(timeout=PUSH_IS_SEEN_WITHIN_MS)
    if me.has_scripts:
        assert page.evaluate("window.isStillTheSame"), "the page was loaded again"


def find_it_and_star_it(me: Newcomer) -> None:
    page = me.page
    if me.has_scripts:
        page.keyboard.press("/")
        page.keyboard.type(me.repository)
    else:
        page.get_by_label("Search images").fill(me.repository)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/search?q={me.repository}")
    expect(page.get_by_role("link", name=me.full_name)).to_be_visible()
    star = page.get_by_role("button", name=f"Star {me.full_name}")
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    expect(star).to_contain_text("1")
    look(me)


def add_a_team(me: Newcomer) -> None:
    page = me.page
    account_menu(me).click()
    page.get_by_role("link", name=me.organization, exact=True).locator(
        "visible=true"
    ).last.click()
    open_tab(me, "Teams")
    look(me)
    page.get_by_label("Name", exact=True).fill("backend")
    page.get_by_role("button", name="Create team").click()
    expect(page.get_by_role("heading", name="Team backend")).to_be_visible()
    look(me)


def grant_the_team_a_role(me: Newcomer) -> None:
    page = me.page
    open_tab(me, "Repositories")
    page.get_by_role("main").get_by_role("link", name=me.repository).first.click()
    open_tab(me, "Access")
    look(me)
    give = page.locator("form").filter(has_text="Add access")
    give.get_by_label("Who").select_option("team")
    give.get_by_label("Name").fill("backend")
    give.get_by_label("Role").select_option("write")
    give.get_by_role("button", name="Add access").click()
    expect(page.get_by_label("Role of backend")).to_have_value("write")
    look(me)


def delete_a_tag_and_undo(me: Newcomer) -> None:
    page = me.page
    open_tab(me, "Tags")
    page.get_by_role("button", name="Actions for 0.1.0").click()
    page.get_by_role("button", name="Delete tag").locator("visible=true").click()
    expect(page.get_by_text("0.1.0 deleted.")).to_be_visible()
    expect(tag_in_list(me, "0.1.0")).to_have_count(0)
    reference = f"{me.host}/{me.full_name}:0.1.0"
    assert "not found" in me.docker.refused("pull", reference)
    look(me)
    page.get_by_role("button", name="Undo 0.1.0").click()
    expect(page.get_by_text("0.1.0 restored.")).to_be_visible()
    expect(tag_in_list(me, "0.1.0")).to_be_visible()
    me.docker("pull", reference)
    look(me)


def create_a_token_that_is_shown_once(me: Newcomer) -> None:
    page = me.page
    account_menu(me).click()
    page.get_by_role("link", name="Access tokens").locator("visible=true").click()
    page.get_by_label("Name", exact=True).fill("build-vm-3")
    page.get_by_label("Pull and push").check()
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_text("build-vm-3 is ready")).to_be_visible()
    token = shown_command(page.get_by_role("main"), "berth_pat_")
    login = shown_command(page.get_by_role("main"), "docker login ")
    look(me)
    page.reload()
    expect(page.get_by_role("link", name="Revoke build-vm-3")).to_be_visible()
    assert token not in page.content()
    look(me)
    me.docker("logout", me.host)
    me.run(login, "--password-stdin", stdin=token)
    me.docker("push", f"{me.host}/{me.full_name}:0.2.0")


def look(me: Newcomer) -> None:
    """See that the page is in order, as every page is that is looked at.

    Each page's own test asks axe in both widths, and the journey does on the phone.
    """
    check_page(me.page, has_scripts=me.has_scripts, asks_axe=me.is_on_a_phone)


def account_menu(me: Newcomer) -> Locator:
    return me.page.get_by_role("button", name=f"{me.name}, account menu")


def open_tab(me: Newcomer, name: str) -> None:
    tabs = me.page.get_by_role("main").get_by_role("navigation").first
    tabs.get_by_role("link", name=name).click()


def heading(me: Newcomer) -> Locator:
    return me.page.get_by_role("heading", level=1)


def tag_in_list(me: Newcomer, tag: str) -> Locator:
    return me.page.get_by_role("article", name=tag)


def shown_command(place: Locator, beginning: str) -> str:
    """Return the one command that is shown in this place and begins so."""
    shown = place.locator("code").filter(has_text=beginning).first.text_content()
    assert shown is not None
    return shown
