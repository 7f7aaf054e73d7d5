"""The frame of every page, in a browser: themes, keys, errors, the pages of others."""

import pytest
from playwright.sync_api import expect

from accounts.models import User
from tests import make
from tests.browser.checks import check_page, settle
from tests.browser.conftest import WIDTHS, OpenBrowser
from tests.conftest import Cast


@pytest.fixture(scope="module")
def administrator(django_db_setup: None) -> User:
    return make.user("root", is_superuser=True, is_staff=True)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_first_page_is_in_order(
    open_browser: OpenBrowser, cast: Cast, width: int
) -> None:
    """With an account; test_hub.py has it without one, and with images to show."""
    page = open_browser(cast.alice, width=width)
    page.goto("/")
    check_page(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_that_is_not_there_is_in_order(
    open_browser: OpenBrowser, width: int
) -> None:
    page = open_browser(width=width)
    page.goto("/nobody/nothing")
    check_page(page)


@pytest.mark.parametrize("path", ["", "accounts/user/", "accounts/user/add/"])
def test_the_administration_works_under_the_policy(
    open_browser: OpenBrowser, administrator: User, path: str
) -> None:
    page = open_browser(administrator)
    page.goto(f"/-/admin/{path}")
    check_page(page, is_ours=False)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_api_reference_is_in_order(open_browser: OpenBrowser, width: int) -> None:
    """Also where an operation and an object are open (F15)."""
    page = open_browser(width=width)
    page.goto("/api/docs/")
    check_page(page, asks_axe=False)  # all that is shown now is shown below, too
    page.get_by_text("Issue a token; this answer").click()
    page.get_by_role("link", name="IssuedToken", exact=True).first.click()
    expect(page.locator("#object-IssuedToken")).to_be_visible()
    page.evaluate("window.layoutShift = 0")  # what the reader opened may move
    check_page(page)


def test_a_chosen_theme_stays(open_browser: OpenBrowser) -> None:
    page = open_browser(scheme="light")
    page.goto("/")
    page.locator("footer").get_by_role("button", name="Dark").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.goto("/nobody/nothing")
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_the_slash_key_searches_and_enter_goes(open_browser: OpenBrowser) -> None:
    page = open_browser()
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("java")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=java")


def test_a_command_is_copied(open_browser: OpenBrowser) -> None:
    page = open_browser(permissions=["clipboard-read", "clipboard-write"])
    page.goto("/")
    button = page.locator("[data-copy]").first
    button.click()
    assert page.evaluate("navigator.clipboard.readText()") == button.get_attribute(
        "data-copy"
    )
    page.get_by_text("Copied", exact=True).wait_for()


def test_what_wants_scripts_is_hidden_without_them(open_browser: OpenBrowser) -> None:
    page = open_browser(scripts=False)
    page.goto("/")
    assert page.locator("[data-copy]").first.is_hidden()
    assert page.locator("[data-set-theme]").first.is_hidden()


def test_the_question_mark_lists_the_keys(open_browser: OpenBrowser) -> None:
    page = open_browser()
    page.goto("/")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()
    check_page(page)


FIRST_LOAD_MAX_BYTES = 150_000


@pytest.mark.parametrize("path", ["/", "/accounts/login/"])
def test_a_first_load_is_small(open_browser: OpenBrowser, path: str) -> None:
    page = open_browser()
    page.goto(path)
    settle(page)
    transferred = page.evaluate(
        """[...performance.getEntriesByType("resource"),
            ...performance.getEntriesByType("navigation")]
           .reduce((sum, entry) => sum + entry.transferSize, 0)"""
    )
    assert 10_000 < transferred < FIRST_LOAD_MAX_BYTES
