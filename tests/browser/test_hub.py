"""Explore, search and stars in a browser."""

import pytest
from playwright.sync_api import Page, Route, expect

from accounts.models import Namespace, User
from repositories import stars
from repositories.models import Category, Repository, SearchEntry
from search import trends
from tests import make
from tests.browser.checks import check_page
from tests.browser.conftest import WIDTHS, OpenBrowser
from tests.conftest import Cast


@pytest.fixture(scope="module")
def word(cast: Cast) -> str:
    """A word that official, public and private repositories have in their names."""
    word = make.unique("browse").replace("-", "")
    library = Namespace.objects.get(name="library")
    shelf = Category.objects.create(slug=make.unique("shelf"), name="Languages")
    for place in range(8):
        repository = make.repository(library, f"{word}-{place}", visibility="public")
        repository.categories.add(shelf)
        Repository.objects.filter(pk=repository.pk).update(
            description=f"Number {place} of <b>{word}</b> & others", pull_count=2**place
        )
        SearchEntry.objects.filter(pk=repository.pk).update(platforms=2**12 - 1)
        stars.star(repository=repository, user=cast.bob)
    make.repository(cast.dave.namespace, f"{word}-own")
    trends.refresh()
    return word


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_are_in_order(
    open_browser: OpenBrowser, cast: Cast, word: str, width: int
) -> None:
    for user in (None, cast.dave):
        page = open_browser(user, width=width)
        for path in (
            "/",
            f"/search?q={word}",
            f"/search?q={word}&os=linux&arch=amd64",
            f"/search?q={word}&os=windows&type=starred",
            "/search",
        ):
            page.goto(path)
            check_page(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_state_page_is_in_order(open_browser: OpenBrowser, width: int) -> None:
    root: User = make.user("root", is_superuser=True, is_staff=True)
    page = open_browser(root, width=width)
    page.goto("/-/admin/site/")
    check_page(page)


def star_of(page: Page, name: str) -> tuple[str, str]:
    button = page.get_by_role("button", name=f"Star {name}", exact=True)
    return str(button.get_attribute("aria-pressed")), button.inner_text().strip()


def test_a_star_flips_and_tells_the_truth_when_it_fails(
    open_browser: OpenBrowser, cast: Cast, word: str
) -> None:
    page = open_browser(cast.dave)
    page.goto(f"/search?q={word}-3")
    name = f"library/{word}-3"
    button = page.get_by_role("button", name=f"Star {name}", exact=True)
    assert star_of(page, name) == ("false", "1")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(button).to_have_text("2")
    expect(button).to_be_focused()
    page.reload()
    assert star_of(page, name) == ("true", "2")

    def refuse(route: Route) -> None:
        route.fulfill(status=503, body="")

    page.route("**/-/star", refuse)
    button.click()
    expect(page.locator("#toasts .toast")).to_be_visible()
    expect(button).to_have_attribute("aria-pressed", "true")
    page.unroute("**/-/star")
    page.route("**/-/star", lambda route: route.abort())
    button.click()
    expect(page.locator("#toasts .toast")).to_have_count(2)
    expect(button).to_have_attribute("aria-pressed", "true")
    page.unroute("**/-/star")
    page.keyboard.press("s")
    expect(button).to_have_attribute("aria-pressed", "false")


def test_a_star_works_without_scripts(
    open_browser: OpenBrowser, cast: Cast, word: str
) -> None:
    page = open_browser(cast.dave, scripts=False)
    page.goto(f"/search?q={word}-5")
    name = f"library/{word}-5"
    page.get_by_role("button", name=f"Star {name}", exact=True).click()
    page.wait_for_url(f"**/search?q={word}-5")
    assert star_of(page, name) == ("true", "2")


def test_filters_replace_the_results_and_the_address(
    open_browser: OpenBrowser, cast: Cast, word: str
) -> None:
    page = open_browser(cast.dave)
    page.goto(f"/search?q={word}")
    expect(page.locator("#results .row")).to_have_count(9)
    page.get_by_label("Official", exact=False).first.check()
    page.wait_for_url("**type=official**")
    expect(page.locator("#results .row")).to_have_count(8)
    page.get_by_label("Sort by").select_option("pulls")
    page.wait_for_url("**sort=pulls**")
    expect(page.locator("#results .row-title a").first).to_have_text(
        f"{word}-7", use_inner_text=True
    )
    assert "type=official" in page.url
    page.get_by_role("link", name="Remove filter Official").click()
    expect(page.locator("#results .row")).to_have_count(9)
    page.go_back()
    expect(page.locator("#results .row")).to_have_count(8)
    assert page.locator("header.topbar").count() == 1, "a whole page, no fragment"


def test_filters_work_without_scripts(
    open_browser: OpenBrowser, cast: Cast, word: str
) -> None:
    page = open_browser(scripts=False)
    page.goto(f"/search?q={word}")
    page.get_by_label("Linux").check()
    page.get_by_role("button", name="Apply filters").click()
    page.wait_for_url("**os=linux**")
    assert page.locator("#results .row").count() == 8


def test_typing_suggests(open_browser: OpenBrowser, cast: Cast, word: str) -> None:
    page = open_browser(cast.dave)
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type(f"{word}-o")
    expect(page.locator("#search-suggestions option")).to_have_count(1)
    value = page.locator("#search-suggestions option").get_attribute("value")
    assert value == f"{cast.dave.username}/{word}-own"
