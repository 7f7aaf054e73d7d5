"""A real browser, Debian's Chromium, against the live server.

    @pytest.mark.parametrize("width", WIDTHS)
    def test_something(open_browser: OpenBrowser, cast: Cast, width: int) -> None:
        page = open_browser(cast.alice, width=width)
        page.goto("/settings/tokens")
        check_page(page)

Without Chromium the tests are left out and listed; with CI=true they fail.
"""

import os
from collections.abc import Iterator
from typing import Any, Literal, Protocol

import pytest
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    expect,
    sync_playwright,
)

from accounts.models import User
from tests.browser.checks import watch
from tests.pages import session_cookie
from tests.programs import require_program
from tests.servers import BerthServer

Scheme = Literal["light", "dark"]
WIDTHS = (1280, 390)  # every page is checked in these, and in light and dark in each

expect.set_options(timeout=30_000)  # as long as all else in Playwright waits


class OpenBrowser(Protocol):
    """Open a window of one's own, signed in as somebody or as nobody."""

    def __call__(
        self,
        user: User | None = None,
        *,
        width: int = 1280,
        scheme: Scheme = "light",
        scripts: bool = True,
        **options: Any,
    ) -> Page: ...


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One Chromium for the run."""
    program = require_program("chromium-headless-shell")
    # Playwright's loop runs in this thread, where the tests also ask the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    of_this_thread = connections[DEFAULT_DB_ALIAS]
    with sync_playwright() as playwright:
        # Beside a loop Django looks for connections elsewhere; they are the same ones.
        connections[DEFAULT_DB_ALIAS] = of_this_thread
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox"],  # root has none, and only our own pages are opened
        )
        yield browser
        browser.close()


def open_window(
    chromium: Browser,
    url: str,
    *,
    width: int = 1280,
    scheme: Scheme = "light",
    scripts: bool = True,
    **options: Any,
) -> Page:
    """Open a window on a Berth; closing its context is the caller's."""
    context = chromium.new_context(
        base_url=url,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        java_script_enabled=scripts,
        reduced_motion="reduce",
        locale="en-GB",
        **options,
    )
    return watch(context, url)


@pytest.fixture
def open_browser(chromium: Browser, registry: BerthServer) -> Iterator[OpenBrowser]:
    contexts: list[BrowserContext] = []

    def open_for(user: User | None = None, **options: Any) -> Page:
        page = open_window(chromium, registry.url, **options)
        contexts.append(page.context)
        if user is not None:
            page.context.add_cookies(
                [
                    {
                        "name": settings.SESSION_COOKIE_NAME,
                        "value": session_cookie(user),
                        "url": registry.url,
                        "httpOnly": True,
                    }
                ]
            )
        return page

    yield open_for
    for context in contexts:
        context.close()
