"""People end up where they were, with what they typed (D5)."""

import re
from html import escape
from secrets import token_hex

import httpx
import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore

from accounts.models import User
from repositories.models import Repository
from tests import make
from tests.pages import PageClient
from tests.servers import BerthServer

PASSWORD = "a long enough password"
LOGIN = "/accounts/login/"
HTMX = {"HX-Request": "true"}


@pytest.fixture(scope="module")
def person() -> User:
    return make.user("lena", password=PASSWORD)


def field(page: httpx.Response, name: str) -> str:
    match = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    return match[1].replace("&amp;", "&") if match else ""


def sign_in_links(page: httpx.Response) -> set[str]:
    return set(re.findall(rf'href="({LOGIN}[^"]*)"', page.text))


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/search?q=a&sort=pulls", "?next=%2Fsearch%3Fq%3Da%26sort%3Dpulls"),
        ("/no-such-name", "?next=%2Fno-such-name"),
        ("/", ""),
        (f"{LOGIN}?next=/search", "?next=%2Fsearch"),
        (f"{LOGIN}?next=//evil.example", ""),
        (f"{LOGIN}?next=https://evil.example/", ""),
        (f"{LOGIN}?next=javascript:alert(1)", ""),
        (f"{LOGIN}?next=/%5C%5Cevil.example", ""),
    ],
)
def test_sign_in_leads_back_to_the_page(
    registry: BerthServer, path: str, target: str
) -> None:
    """The link of every page brings back to it, and to no other site."""
    with PageClient(registry.url) as visitor:
        assert f"{LOGIN}{target}" in sign_in_links(visitor.get(path))


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example/", "/\\evil.example", "\t//x.y"]
)
def test_a_sign_in_leads_to_no_other_site(
    registry: BerthServer, person: User, target: str
) -> None:
    with PageClient(registry.url) as visitor:
        fields = {"login": person.username, "password": PASSWORD, "next": target}
        done = visitor.post(LOGIN, fields)
        assert done.headers["Location"] == "/"


def test_what_was_typed_comes_back_after_the_sign_in(
    registry: BerthServer, person: User
) -> None:
    """On the same page, once, also where a private repository looks nonexistent."""
    repository: Repository = make.repository(person.namespace, make.unique("api"))
    readme = f"{repository.get_absolute_url()}/-/settings/readme"
    table = [
        (
            "/organizations/new",
            {"name": "x y", "display_name": "<b>&", "password": "s3-typed-secret"},
        ),
        ("/settings/profile", {"display_name": "Lena"}),
        ("/settings/tokens", {"name": "ci", "actions": "write"}),
        (readme, {"readme": "# Typed\n" * 3000, "token": "s3-typed-secret"}),
    ]
    for path, typed in table:
        with PageClient(registry.url, person) as browser:
            page = browser.get(path)
            SessionStore(browser.http.cookies[settings.SESSION_COOKIE_NAME]).delete()
            late = browser.post(path, typed, page)
            assert late.status_code in {401, 404}, path
            assert "You are signed out." in late.text
            kept = {"kept": field(late, "kept"), "next": field(late, "next")}
            assert kept["next"] == path
            wrong = browser.post(
                LOGIN, {"login": person.username, "password": "wrong", **kept}, late
            )
            assert field(wrong, "kept") == kept["kept"]
            right = {"login": person.username, "password": PASSWORD}
            done = browser.post(LOGIN, {**right, **kept}, wrong)
            assert done.headers["Location"] == path
            back = browser.get(path)
            assert "Your form was not sent" in back.text
            assert f'action="{path}" data-kept-form' in back.text
            for name, value in typed.items():
                is_shown = f'name="{name}" value="{escape(value[:20])}'
                is_secret = name in {"password", "token"}
                assert (is_shown in back.text) is not is_secret, name
            assert "s3-typed" not in back.text.partition("data-kept-form")[2][:2000]
            assert "data-kept-form" not in browser.get(path).text


def test_a_kept_form_is_ours_and_short(registry: BerthServer, person: User) -> None:
    """Forged, old and huge ones are not taken; what is too long is said."""
    right = {"login": person.username, "password": PASSWORD, "next": "/new"}
    with PageClient(registry.url) as visitor:
        visitor.post(LOGIN, {**right, "kept": "eyJhIjoxfQ:1abc:forged"})
        assert "data-kept-form" not in visitor.get("/new").text
    with PageClient(registry.url) as visitor:
        page = visitor.get(LOGIN)
        noise = token_hex(300_000)  # of random digits, which do not shrink
        late = visitor.post("/organizations/new", {"name": noise}, page)
        assert field(late, "kept") == ""
        assert "too long to keep" in late.text
    for referer in ("https://evil.example/x", f"{registry.url}//evil.example", ""):
        with PageClient(registry.url) as visitor:
            page = visitor.get(LOGIN)
            late = visitor.post(
                "/organizations/new", {"name": "a"}, page, headers={"Referer": referer}
            )
            assert field(late, "next") == "/"


def test_htmx_is_led_to_the_sign_in(registry: BerthServer, person: User) -> None:
    """A form goes again as a browser sends it; a part of a page leads back to it."""
    repository = make.repository(person.namespace, make.unique("api"))
    here = f"{repository.get_absolute_url()}/-/tags"
    with PageClient(registry.url, person) as browser:
        page = browser.get(here)
        SessionStore(browser.http.cookies[settings.SESSION_COOKIE_NAME]).delete()
        late = {**HTMX, "HX-Current-URL": f"{registry.url}{here}?q=v"}
        polled = browser.http.get(here, headers=late)
        target = "%2F".join(["", *here.split("/")[1:]]) + "%3Fq%3Dv"
        assert polled.headers["HX-Redirect"] == f"{LOGIN}?next={target}"
    with PageClient(registry.url) as visitor:
        page = visitor.get(LOGIN)
        sent = visitor.post("/organizations/new", {"name": "a"}, page, headers=HTMX)
        assert sent.status_code == 401
