"""Sign people in without a password, and read pages as a browser without scripts does.

browser = PageClient(registry.url, user=cast.alice)
page = browser.get("/settings/tokens")
browser.post("/settings/tokens", {"name": "ci"}, page)  with its CSRF token
"""

import re
import time
from html.parser import HTMLParser
from importlib import import_module
from typing import Any

import httpx
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from registry_site.environment import cookie_name


def session_cookie(user: User) -> str:
    """Make a session of this person and return what its cookie holds.

    Hashing a password takes its time, so only tests of the sign-in go through its page.
    """
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


def code_of(secret: str) -> str:
    """Return what an authenticator app shows, and will show for five more seconds."""
    seconds_left = 30 - time.time() % 30
    if seconds_left < 5:
        time.sleep(seconds_left)
    counter = int(time.time()) // 30
    return str(totp.format_hotp_value(totp.hotp_value(secret, counter)))


def count_queries(path: str, user: User) -> int:
    """Return how often a page asks the database, rendered in this process."""
    browser = Client(HTTP_HOST=settings.BERTH_SERVICE)
    browser.cookies[settings.SESSION_COOKIE_NAME] = session_cookie(user)
    with CaptureQueriesContext(connection) as queries:
        page = browser.get(path)
    assert page.status_code == 200, page.content
    return len(queries)


class PageClient:
    """A browser without scripts: cookies, forms, no redirect followed by itself."""

    def __init__(self, url: str, user: User | None = None) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=60)
        if user is not None:
            name = cookie_name("session", url)  # the server's, which may be another
            self.http.cookies.set(name, session_cookie(user))

    def __enter__(self) -> "PageClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Get a page; a whole one that is there has to be in order (check_html)."""
        page = self.http.get(path, **options)
        if page.headers.get("Content-Type", "").startswith("text/html"):
            check_html(page)
        return page

    def post(
        self,
        path: str,
        fields: dict[str, Any] | None = None,
        page: httpx.Response | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Send a form, with the CSRF token of the page that it stands in."""
        data = dict(fields or {})
        if page is None:
            page = self.get(path)
        data["csrfmiddlewaretoken"] = csrf_token(page)
        headers = {"Referer": str(page.url), **options.pop("headers", {})}
        return self.http.post(path, data=data, headers=headers, **options)


def csrf_token(page: httpx.Response) -> str:
    match = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert match, f"no form in {page.url} ({page.status_code}): {page.text[:2000]}"
    return match[1]


class _Outline(HTMLParser):
    """The headings, the title and what a strict CSP would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.title = ""
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "title" and not self.title:  # pictures have titles, too
            self._in_title = True
        if tag == "style" or "style" in names or any(n.startswith("on") for n in names):
            self.inline.append(str(self.get_starttag_text()))
        is_data = names.get("type") in {"application/json"}
        if tag == "script" and not names.get("src") and not is_data:
            self.inline.append(str(self.get_starttag_text()))
        if names.get("id"):
            self.ids.append(str(names["id"]))

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data


def flat(page: httpx.Response) -> str:
    """Return the HTML on one line, with no white space at the edges of elements."""
    line = re.sub(r"\s+", " ", page.text)
    line = line.replace(" >", ">")
    return re.sub(r"(<[a-z][^<>]*>) | (?=</)", r"\1", line)


def title_of(page: httpx.Response) -> str:
    outline = _Outline()
    outline.feed(page.text)
    return " ".join(outline.title.split())


def check_html(page: httpx.Response) -> None:
    """One h1, headings in order, a title, unique ids, nothing inline."""
    where = f"{page.url}: {page.status_code}"
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe" not in policy, where
    assert "frame-ancestors 'none'" in policy, where
    assert page.headers["X-Content-Type-Options"] == "nosniff", where
    if "/-/admin/" in str(page.url):
        return  # made by others
    if not page.text.lstrip().lower().startswith("<!doctype"):
        return  # a fragment
    outline = _Outline()
    outline.feed(page.text)
    assert outline.headings.count(1) == 1, f"{where}: h1 {outline.headings}"
    steps = zip(outline.headings, outline.headings[1:], strict=False)
    assert all(after <= before + 1 for before, after in steps), (
        f"{where}: headings skip a level: {outline.headings}"
    )
    assert title_of(page).endswith(" · Berth"), f"{where}: {outline.title!r}"
    assert not outline.inline, f"{where}: {outline.inline}"
    doubled = {name for name in outline.ids if outline.ids.count(name) > 1}
    assert not doubled, f"{where}: ids used twice: {doubled}"
