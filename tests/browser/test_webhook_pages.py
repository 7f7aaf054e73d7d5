"""The pages of webhooks in a browser: in order, and the self-check in words."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests import images, make
from tests.browser.checks import check_page
from tests.browser.conftest import WIDTHS, OpenBrowser
from tests.conftest import Cast
from tests.registry_client import RegistryClient
from tests.webhooks.test_pages import URL, delivery_of, path_of
from webhooks.models import Delivery
from webhooks.reports import record_report


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_of_webhooks_are_in_order(
    open_browser: OpenBrowser, cast: Cast, width: int
) -> None:
    api = make.repository(cast.acme.namespace, make.unique("api"))
    page = open_browser(cast.alice, width=width)
    page.goto(f"/{api.full_name}/-/webhooks")
    check_page(page)
    webhook, _secret = make.webhook(URL, repository=api, name="Deploy staging")
    failed = delivery_of(
        webhook,
        request_headers={"Content-Type": "application/json"},
        response_headers={"Content-Type": "text/plain"},
        response_body="no healthy upstream " * 20,
    )
    delivery_of(webhook, "delivered")
    path = path_of(webhook)
    for shown in (
        f"/{api.full_name}/-/webhooks",
        path,
        f"{path}?delivery={failed.uuid}",
        f"{path}/delete",
        f"/{cast.acme.namespace.name}/-/webhooks",
    ):
        page.goto(shown)
        check_page(page)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_preview_comes_with_and_without_scripts(
    open_browser: OpenBrowser, cast: Cast, scripts: bool
) -> None:
    api = make.repository(cast.acme.namespace, make.unique("api"))
    page = open_browser(cast.alice, scripts=scripts)
    page.goto(f"/{api.full_name}/-/webhooks")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text(f'"{api.full_name}"')


@pytest.mark.parametrize("width", WIDTHS)
def test_what_was_reported_and_what_is_delayed_are_in_order(
    open_browser: OpenBrowser,
    cast: Cast,
    alice: RegistryClient,
    width: int,
) -> None:
    api = make.repository(cast.acme.namespace, make.unique("api"))
    image = images.image()
    alice.push(f"{api.full_name}:v1", image)
    webhook, _secret = make.webhook(URL, repository=api, format="dockerhub")
    long_ago = timezone.now() - timedelta(minutes=4)
    waiting = delivery_of(webhook, "waiting")
    Delivery.objects.filter(pk=waiting.pk).update(due_at=long_ago)
    waiting.digest = image.digest
    waiting.save(update_fields=["digest"])
    link = "https://ci.example.com/42"
    for state, context in (("success", "staging"), ("failure", "live")):
        record_report(
            delivery=waiting,
            state=state,
            description="deployed by Jenkins #42",
            context=context,
            target_url=link,
        )
    page = open_browser(cast.alice, width=width)
    for shown in (f"/{api.full_name}/-/tags", f"/{api.full_name}:v1"):
        page.goto(shown)
        expect(page.get_by_role("link", name="deployed by Jenkins #42")).to_have_count(
            2
        )
        check_page(page)
    page.goto(path_of(webhook))
    expect(page.get_by_text("1 delivery is delayed")).to_be_visible()
    check_page(page)
