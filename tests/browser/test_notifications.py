"""Notifications in a browser: in order with everything on the page; the bell rings."""

import pytest
from playwright.sync_api import expect

from accounts.authentication import actor_of
from accounts.invitations import invite
from accounts.models import User
from repositories.events.outbox import relay_events
from repositories.models import Event, Repository
from repositories.watches import watch
from tests import make
from tests.browser.checks import check_page
from tests.browser.conftest import WIDTHS, OpenBrowser
from tests.conftest import Cast
from tests.images import image
from tests.registry_client import RegistryClient
from webhooks.disabling import disable_webhook

CANARY = "<img src=x onerror=\"document.title='broken'\">"


def relay(repository: Repository) -> None:
    waiting = Event.objects.filter(repository=repository, is_relayed=False)
    relay_events(event_ids=list(waiting.values_list("pk", flat=True)))


@pytest.fixture
def reader(cast: Cast, alice: RegistryClient, public_api: Repository) -> User:
    """A user with a push, a disabled webhook and an invitation."""
    person = make.user("reader")
    watch(repository=public_api, user=person)
    make.grant(public_api, person, "admin")
    alice.push(f"{public_api.full_name}:{'long-' * 20}tag", image())
    hook, _ = make.webhook(
        "https://example.com/", repository=public_api, name=CANARY[:60]
    )
    disable_webhook(webhook_id=hook.pk, reason=f"the receiver answered {CANARY}")
    invite(team=make.team(cast.acme), actor=actor_of(cast.alice), user=person)
    relay(public_api)
    return person


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_in_order(
    open_browser: OpenBrowser, reader: User, width: int
) -> None:
    page = open_browser(reader, width=width)
    page.goto("/settings/notifications")
    bell = page.get_by_role("link", name="Notifications, 3 new")
    expect(bell).to_be_visible()
    check_page(page)
    page.get_by_role("button", name="Mark as read").click()
    expect(page.get_by_role("link", name="Notifications, 1 new")).to_be_visible()
    expect(page).to_have_title("Notifications · Berth")
    check_page(page)


def test_a_watch_begins_and_ends_without_a_new_page(
    open_browser: OpenBrowser, cast: Cast, public_api: Repository, alice: RegistryClient
) -> None:
    alice.push(f"{public_api.full_name}:v1", image())
    page = open_browser(cast.dave)
    page.goto(f"/{public_api.full_name}")
    page.evaluate("window.isTheSame = true")
    button = page.get_by_role("button", name=f"Watch {public_api.full_name}")
    for pressed, label in (("true", "Watching"), ("false", "Watch")):
        button.focus()
        page.keyboard.press("Enter")
        expect(button).to_have_attribute("aria-pressed", pressed)
        expect(button).to_have_text(label)
        expect(button).to_be_focused()
    assert page.evaluate("window.isTheSame")
    check_page(page)
    assert not public_api.watches.exists()
