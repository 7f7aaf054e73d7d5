"""Nobody takes a name that the site, a browser, a crawler or docker asks for (B10)."""

import re

import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.actors import SYSTEM
from accounts.models import Namespace
from accounts.names import (
    OFFICIAL_NAMES,
    PATH_NAMES,
    InvalidName,
    is_namespace_name,
    validate_claimed_name,
    validate_component,
    validate_namespace_name,
)
from accounts.users import create_user
from tests import make
from tests.pages import session_cookie


def first_segments() -> set[str]:
    """Return the first literal segment of the path of every URL of the site."""
    segments: set[str] = set()

    def walk(patterns: list[URLPattern | URLResolver], prefix: str) -> None:
        for pattern in patterns:
            route = prefix + re.sub(r"^\\^|[\\\\$]", "", str(pattern.pattern))
            if isinstance(pattern, URLResolver):
                walk(pattern.url_patterns, route)
            else:
                segments.add(route.partition("/")[0])

    walk(get_resolver().url_patterns, "")
    return segments


def test_every_first_segment_of_a_url_is_reserved() -> None:
    """Or somebody's pages would be hidden by it, or hide it."""
    literal = {s for s in first_segments() if re.fullmatch(r"[-.a-z0-9_]+", s)}
    assert {"accounts", "api", "healthz", "metrics", "search", "settings"} <= literal
    for segment in literal:
        try:
            validate_component(segment)
        except InvalidName:
            continue  # no name at all
        assert segment in PATH_NAMES, segment


@pytest.mark.parametrize(
    "name",
    [
        *("robots.txt", "favicon.ico", "favicon-32x32.png", "apple-touch-icon.png"),
        *("apple-touch-icon-precomposed.png", "apple-touch-icon", "sitemap.xml"),
        *("sitemap-index.xml", "security.txt", "ads.txt", "browserconfig.xml"),
        *("site.webmanifest", "manifest.json", "crossdomain.xml", "wp-login.php"),
        *("docker.io", "index.docker.io", "ghcr.io", "quay.io", "localhost"),
        *("v1", "v2", "api", "static", "assets", "healthz", "readyz", "metrics"),
        *("login", "token", ".well-known", "index.html"),
    ],
)
def test_what_programs_ask_for_is_reserved(name: str) -> None:
    with pytest.raises(InvalidName):
        validate_namespace_name(name)


@pytest.mark.parametrize("name", ["node.js", "map.box", "robots", "icons", "adminer"])
def test_names_that_only_resemble_them_are_free(name: str) -> None:
    validate_claimed_name(name)


def test_only_administrators_give_names_that_speak_for_the_site(database: None) -> None:
    """By sign-up, by a new organization on page and API, and by a rename."""
    person = make.user("ordinary")
    acme = make.organization(owner=person)
    browser = Client(HTTP_HOST=settings.BERTH_SERVICE)
    fields = {"email": "a@example.com", "password1": "a long enough password"}
    fields |= {"username": "support"}
    answers = [browser.post("/accounts/signup/", fields)]
    browser.cookies[settings.SESSION_COOKIE_NAME] = session_cookie(person)
    answers += [
        browser.post("/organizations/new", {"name": "support"}),
        browser.post(
            "/api/v1/organizations",
            {"name": "support"},
            content_type="application/json",
        ),
        browser.patch(
            f"/api/v1/organizations/{acme.namespace.name}",
            {"name": "support"},
            content_type="application/json",
        ),
    ]
    for answer in answers:
        assert answer.status_code in {200, 400, 422}
        assert "reserved for the administrators" in answer.content.decode()
    assert not Namespace.objects.filter(name="support").exists()
    assert "admin" in OFFICIAL_NAMES, "and the first administrator has it"
    validate_namespace_name("admin")
    create_user(username="webmaster", password=None, actor=SYSTEM)


def test_a_namespace_of_before_keeps_its_pages(database: None) -> None:
    person = make.user("early")
    Namespace.objects.filter(user=person).update(name="quay.io")
    assert is_namespace_name("quay.io")
    page = Client(HTTP_HOST=settings.BERTH_SERVICE).get("/quay.io")
    assert page.status_code == 200
    Namespace.objects.filter(user=person).update(name=person.username)


def test_crawlers_and_browsers_get_what_they_ask_for() -> None:
    browser = Client(HTTP_HOST=settings.BERTH_SERVICE)
    robots = browser.get("/robots.txt")
    assert robots.status_code == 200
    assert robots.headers["Content-Type"].startswith("text/plain")
    assert b"Disallow: /v2/" in robots.content
    assert browser.get("/favicon.ico").status_code == 302
    changed = browser.get("/.well-known/change-password")
    assert changed.headers["Location"] == "/accounts/password/change/"
    assert browser.get("/.well-known/security.txt").status_code == 404
