"""The pages of webhooks in a browser: in order, and the self-check in words."""

import pytest
from playwright.sync_api import expect

from tests import make
from tests.browser.checks import check_page
from tests.browser.conftest import VIEWS, OpenBrowser, Scheme
from tests.conftest import Cast
from tests.webhooks.test_pages import URL, delivery_of, path_of


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_the_pages_of_webhooks_are_in_order(
    open_browser: OpenBrowser, cast: Cast, width: int, scheme: Scheme
) -> None:
    api = make.repository(cast.acme.namespace, make.unique("api"))
    page = open_browser(cast.alice, width=width, scheme=scheme)
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
