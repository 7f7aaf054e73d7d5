"""One's own account in a browser: every page in order, passkeys, tokens, phones."""

import itertools
import re

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from accounts.authentication import actor_of
from accounts.invitations import invite
from accounts.models import User
from tests import make
from tests.browser.checks import check_page
from tests.browser.conftest import WIDTHS, OpenBrowser
from tests.conftest import Cast
from tests.pages import code_of

PASSWORD = "a long enough password"
FOR_NOBODY = ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"]
FOR_PEOPLE = [
    "/settings/profile",
    "/settings/security",
    "/settings/tokens",
    "/settings/logins",
    "/settings/notifications",
    "/accounts/email/",
    "/accounts/sessions/",
    "/accounts/password/change/",
    "/accounts/reauthenticate/",
    "/accounts/logout/",
    "/accounts/2fa/webauthn/",
    "/organizations/new",
    "/new",
]


@pytest.fixture(scope="module")
def ines(django_db_setup: None) -> User:
    return make.user(
        "ines", password=PASSWORD, email=f"{make.unique('ines')}@example.com"
    )


def sign_in(page: Page, person: User, target: str = "/settings/security") -> None:
    page.goto(f"/accounts/login/?next={target}")
    page.get_by_label("Username or email").fill(person.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"**{target}")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_before_the_sign_in_are_in_order(
    open_browser: OpenBrowser, width: int
) -> None:
    page = open_browser(width=width)
    for path in FOR_NOBODY:
        page.goto(path)
        check_page(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_of_the_account_are_in_order(
    open_browser: OpenBrowser, ines: User, width: int
) -> None:
    page = open_browser(ines, width=width)
    for path in FOR_PEOPLE:
        page.goto(path)
        assert "/accounts/login/" not in page.url, path
        check_page(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_forms_with_errors_are_in_order_and_say_so_first(
    open_browser: OpenBrowser, ines: User, width: int
) -> None:
    page = open_browser(ines, width=width)
    for path, button in (
        ("/settings/tokens", "Create token"),
        ("/new", "Create repository"),
        ("/organizations/new", "Create organization"),
    ):
        page.goto(path)
        page.get_by_role("button", name=button).click()
        page.wait_for_load_state()
        expect(page).to_have_title(re.compile("^Error: "))
        expect(page.get_by_role("alert")).to_be_focused()
        check_page(page)


def test_bullets_of_errors_are_beside_their_first_line(
    open_browser: OpenBrowser, ines: User
) -> None:
    """Also where an error takes several lines (F10)."""
    page = open_browser(ines, width=320)
    page.goto("/organizations/new")
    page.get_by_label("Name", exact=True).fill("Not A Name!")
    page.get_by_role("button", name="Create organization").click()
    page.get_by_role("alert").wait_for()
    links = page.locator(".fixes a")
    heights = links.evaluate_all("all => all.map(a => a.parentElement.offsetHeight)")
    lines = links.evaluate_all("all => all.map(a => a.getClientRects().length)")
    assert max(heights) > 40, "one of them takes several lines"
    assert all(
        count > 1 for count, height in zip(lines, heights, strict=True) if height > 40
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_an_invitation_is_in_order(open_browser: OpenBrowser, width: int) -> None:
    """The first page that a colleague sees: in the middle, with space around (F5)."""
    owner, guest = make.user("olga"), make.user("gus")
    organization = make.organization(owner=owner, name="haven")
    team = make.team(organization)
    _, secret = invite(team=team, actor=actor_of(owner), email="gus@example.com")
    for user in (None, guest):
        page = open_browser(user, width=width)
        page.goto(f"/invitations/{secret}")
        check_page(page)
        bar, heading = page.get_by_role("banner"), page.get_by_role("heading", level=1)
        above, box = bar.bounding_box(), heading.bounding_box()
        assert above is not None and box is not None
        assert box["y"] - (above["y"] + above["height"]) >= 32
        assert abs(box["x"] + box["width"] / 2 - width / 2) < 10
        tops = [
            place["y"]
            for part in page.locator("main h1, main p, main .btn").all()
            if (place := part.bounding_box())
        ]
        gaps = [below - top for top, below in itertools.pairwise(tops)]
        assert len(tops) >= 4 and min(gaps) > 20, tops


@pytest.mark.parametrize("width", WIDTHS)
def test_a_fresh_token_is_in_order(open_browser: OpenBrowser, width: int) -> None:
    person = make.user("nora")
    page = open_browser(person, width=width)
    page.goto("/settings/tokens")
    page.get_by_label("Name", exact=True).fill("build-vm-3")
    page.get_by_role("button", name="Create token").click()
    page.get_by_text("build-vm-3 is ready").wait_for()
    secret = page.get_by_role("button", name="Copy token").get_attribute("data-copy")
    assert secret is not None
    assert secret.startswith("berth_pat_")
    check_page(page)
    page.goto("/settings/tokens")
    assert secret not in page.content()
    page.get_by_role("link", name="Revoke build-vm-3").click()
    check_page(page)
    page.get_by_role("button", name="Revoke token").click()
    page.get_by_text("Token build-vm-3 revoked.").wait_for()
    check_page(page)


def test_everything_is_done_without_scripts(open_browser: OpenBrowser) -> None:
    name = make.unique("otto")
    page = open_browser(scripts=False)
    page.goto("/accounts/signup/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Email").fill(f"{name}@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign up").click()
    page.goto("/settings/tokens")
    page.get_by_label("Name", exact=True).fill("laptop")
    page.get_by_label("Pull and push").check()
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_text("Copy the token now.")).to_be_visible()
    expect(page.locator(".cmd code").first).to_have_text(re.compile("^berth_pat_"))
    page.goto("/organizations/new")
    page.get_by_label("Name", exact=True).fill(make.unique("guild"))
    page.get_by_role("button", name="Create organization").click()
    page.goto("/")
    page.get_by_role("button", name=f"{name}, account menu").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/")
    expect(
        page.get_by_role("banner").get_by_role("link", name="Sign in")
    ).to_be_visible()


def test_a_passkey_is_added_and_signs_in(open_browser: OpenBrowser) -> None:
    person = make.user("pia", password=PASSWORD)
    page = open_browser()
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    devices.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    sign_in(page, person)
    page.get_by_role("link", name="Add a passkey").click()
    page.wait_for_url("**/2fa/webauthn/add/")
    check_page(page)
    page.get_by_label("Name").fill("This machine")
    page.get_by_label("Passwordless").check()
    page.get_by_role("main").get_by_role("button").first.click()
    page.wait_for_url(re.compile("/accounts/2fa/(?!webauthn/add)"))
    page.goto("/settings/security")
    expect(page.get_by_text("This machine")).to_be_visible()
    check_page(page)
    page.goto("/accounts/2fa/webauthn/")
    check_page(page)
    page.get_by_role("link", name="Rename This machine").click()
    check_page(page)
    page.get_by_label("Name").fill("That machine")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Remove That machine").click()
    check_page(page)
    page.get_by_role("link", name="Cancel").click()
    page.goto("/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    page.goto("/accounts/login/?next=/settings/tokens")
    page.get_by_label("Username or email").fill(person.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/2fa/authenticate/**")
    expect(page.get_by_role("button", name="Use a security key")).to_be_visible()
    page.context.clear_cookies()  # a sign-in that has begun goes on at its second step
    page.goto("/accounts/login/?next=/settings/tokens")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/settings/tokens")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_second_factor_pages_are_in_order(
    open_browser: OpenBrowser, width: int
) -> None:
    person = make.user("rosa", password=PASSWORD)
    page = open_browser(width=width)
    sign_in(page, person)
    page.get_by_role("link", name="Set up an authenticator app").click()
    page.wait_for_url("**/2fa/totp/activate/")
    check_page(page)
    secret = page.get_by_role("button", name="Copy secret").get_attribute("data-copy")
    assert secret is not None
    page.get_by_role("textbox", name="Authenticator code").fill(code_of(secret))
    page.get_by_role("button", name="Turn on").click()
    page.wait_for_url("**/accounts/2fa/recovery-codes/**")
    check_page(page)
    for path in (
        "/settings/security",
        "/accounts/2fa/recovery-codes/generate/",
        "/accounts/2fa/totp/deactivate/",
    ):
        page.goto(path)
        check_page(page)
    page.goto("/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    page.goto("/accounts/login/")
    page.get_by_label("Username or email").fill(person.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/2fa/authenticate/**")
    # A key is offered to those who have one (F16; the passkey's test has one).
    expect(page.get_by_role("button", name="Use a security key")).to_have_count(0)
    check_page(page)


def test_a_name_is_checked_while_it_is_typed(
    open_browser: OpenBrowser, cast: Cast
) -> None:
    taken = make.repository(cast.acme.namespace, make.unique("api")).name
    page = open_browser(cast.alice)
    page.goto(f"/new?namespace={cast.acme.namespace.name}")
    page.get_by_label("Name", exact=True).press_sequentially(taken)
    expect(page.get_by_text("There is a repository of this name.")).to_be_visible()
    page.get_by_label("Name", exact=True).press_sequentially("-2")
    expect(page.get_by_text("This name is available.")).to_be_visible()
    preview = page.get_by_role("complementary", name="Preview")
    expect(preview).to_contain_text(f"{cast.acme.namespace.name}/{taken}-2")
    check_page(page)


def test_a_display_name_runs_no_script(open_browser: OpenBrowser) -> None:
    person = make.user("zoe")
    canary = '<img src="https://evil.example/x.png" onerror="document.title=\'x\'">'
    User.objects.filter(pk=person.pk).update(display_name=canary)
    page = open_browser(person)
    page.goto("/settings/profile")
    page.locator(".topbar-me").click()
    expect(page.locator(".menu-head")).to_contain_text("<img")
    expect(page).to_have_title("Profile · Berth")
    check_page(page)


@pytest.mark.parametrize("by", ["Save README", "Preview"])
def test_a_form_is_filled_again_after_the_session_ended(
    open_browser: OpenBrowser, by: str
) -> None:
    """Sent by the browser or by htmx, what was typed is in the form again (D5)."""
    person = make.user("fay", password=PASSWORD)
    repository = make.repository(person.namespace, make.unique("api"))
    page = open_browser(person)
    path = f"{repository.get_absolute_url()}/-/settings/readme"
    page.goto(path)
    page.get_by_role("textbox", name="README").fill("# Typed\n\nfor an hour")
    page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
    page.get_by_role("button", name=by).click()
    page.get_by_text("You are signed out.").wait_for()
    page.locator("main [name=login]").fill(person.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"**{path}")
    typed = page.get_by_role("textbox", name="README")
    expect(typed).to_have_value("# Typed\n\nfor an hour")
    expect(typed).to_be_focused()
    page.get_by_role("button", name="Save README").click()
    page.wait_for_url(f"**{repository.get_absolute_url()}")
    repository.refresh_from_db()
    assert "for an hour" in repository.readme
