"""Pages are reachable by clicking (F4, E15)."""

import re
from html import unescape

import pytest

from accounts.authentication import actor_of
from repositories.lifecycle import create_repository
from tests import make
from tests.pages import PageClient
from tests.servers import PROJECT_FOLDER, BerthServer

# Every page is asked for on every database in test_who_sees_pages.py; here are links.
pytestmark = pytest.mark.once

LINK = re.compile(r'<a\b[^>]*\bhref="(/[^"#]*)')


def links_of(text: str) -> dict[str, str]:
    """Return one address, with its query, for each path that a page links to."""
    links = [unescape(link) for link in LINK.findall(text)]
    return {link.partition("?")[0]: link for link in links}


def test_an_administrator_gets_everywhere_by_links(registry: BerthServer) -> None:
    """From home to the status page, the docs and all pages of an organization."""
    root = make.user("root", is_superuser=True, is_staff=True)
    acme = make.organization(owner=root, name="reach")
    create_repository(
        namespace=acme.namespace, name="api", actor=actor_of(root), visibility="private"
    )
    home = f"/{acme.namespace.name}"
    own = (home, "/settings", "/-/", "/webhooks", "/new", "/organizations", "/api/docs")
    seen: set[str] = set()
    ahead = {"/": "/"}
    with PageClient(registry.url, root) as browser:
        while ahead:
            path, address = ahead.popitem()
            seen.add(path)
            is_of_others = path.startswith(("/-/admin/", "/-/assets", "/api/"))
            if is_of_others and path != "/-/admin/site/":
                continue
            page = browser.http.get(address, follow_redirects=True)
            assert page.status_code == 200, address
            for other, link in links_of(page.text).items():
                if other.startswith(own) and other not in seen:
                    ahead[other] = link
    wanted = {
        *("/-/admin/site/", "/-/webhooks", "/-/docs/", "/api/docs/", "/new"),
        *("/settings/profile", "/settings/security", "/settings/tokens"),
        *("/settings/notifications", "/organizations/new"),
        *(f"{home}/-/{rest}" for rest in ("teams", "people", "people/invite")),
        *(f"{home}/-/{rest}" for rest in ("robots", "defaults", "audit", "settings")),
        *(f"{home}/-/webhooks", f"{home}/api", f"{home}/api/-/settings"),
        *(f"{home}/api/-/{rest}" for rest in ("access", "activity", "webhooks")),
        f"{home}/api/-/settings/readme",
        *(f"/-/docs/{path.stem}" for path in (PROJECT_FOLDER / "docs").glob("*.md")),
    }
    assert wanted <= seen, sorted(wanted - seen)
