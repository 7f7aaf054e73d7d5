"""BERTH_URL is the only source of absolute URLs, cookie names and HSTS."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from registry_site.environment import cookie_name, default_url, is_for_this_machine
from tests import make
from tests.conftest import Cast
from tests.pages import PageClient, session_cookie
from tests.servers import BerthServer

# Addresses, names of cookies, and headers follow the settings, on every database.
pytestmark = pytest.mark.once

PUBLIC = "https://registry.example.com"
ELSEWHERE = {"Host": "elsewhere.example:8443", "X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def behind_proxy(registry: BerthServer) -> Iterator[BerthServer]:
    """The tests' data, served behind a proxy that ends TLS and speaks plain HTTP."""
    with BerthServer(
        data_folder=Path(os.environ["BERTH_DATA"]),
        database_url=os.environ.get("DATABASE_URL"),
        BERTH_URL=PUBLIC,
    ) as server:
        yield server


def test_absolute_urls_are_made_of_the_public_address(
    behind_proxy: BerthServer, cast: Cast
) -> None:
    """Lists link to https, though the last hop speaks http (D6)."""
    for number in range(3):
        make.repository(cast.dave.namespace, f"urls{number}", visibility="public")
    token = cast.secrets[cast.dave.username]
    for path in (
        "/api/v1/repositories?page_size=1",
        f"/api/v1/search?q={cast.dave.username}&page_size=1",
    ):
        answer = httpx.get(
            f"{behind_proxy.url}{path}",
            headers={"Authorization": f"Bearer {token}", "X-Forwarded-Proto": "http"},
            timeout=60,
        )
        assert answer.status_code == 200, (path, answer.text)
        following = answer.json()["next"]
        assert following.startswith(f"{PUBLIC}/api/v1/"), path
        assert "page_size=1" in following
    challenge = httpx.get(f"{behind_proxy.url}/v2/", headers=ELSEWHERE, timeout=60)
    assert f'realm="{PUBLIC}/v2/token"' in challenge.headers["WWW-Authenticate"]


def test_an_unknown_host_reads_the_name_of_the_registry(registry: BerthServer) -> None:
    """Page, API and log name BERTH_URL, and no setting that Berth lacks (E6)."""
    start = registry.log_size()
    page = httpx.get(registry.url, headers=ELSEWHERE, timeout=60)
    assert page.status_code == 400
    api = httpx.get(f"{registry.url}/api/v1/user", headers=ELSEWHERE, timeout=60)
    assert api.status_code == 400
    assert api.json()["errors"][0]["code"] == "unknown_host"
    log = registry.log_tail(start)
    for text in (page.text, api.text, log):
        assert registry.url in text
        assert "BERTH_URL" in text
        assert "ALLOWED_HOSTS" not in text
    assert log.count("unknown host") <= 2, "once a minute for each process"


@pytest.mark.parametrize("host", ["10.0.0.7:8000", "a_b c", "elsewhere.example"])
def test_probes_are_answered_whatever_they_call_the_host(
    registry: BerthServer, host: str
) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        answer = httpx.get(f"{registry.url}{path}", headers={"Host": host}, timeout=60)
        assert answer.status_code == (401 if path == "/metrics" else 200), path


def test_cookies_belong_to_one_installation(
    registry: BerthServer, behind_proxy: BerthServer
) -> None:
    """Two registries on one host do not share cookies; TLS adds __Host- (D16)."""
    plain = httpx.get(f"{registry.url}/accounts/login/", timeout=60)
    [name] = plain.cookies.keys()
    assert name == cookie_name("csrf", registry.url)
    assert name != cookie_name("csrf", "http://localhost:8121")
    secure = httpx.get(f"{behind_proxy.url}/accounts/login/", timeout=60)
    header = secure.headers["Set-Cookie"]
    assert header.startswith(f"__Host-{cookie_name('csrf', PUBLIC)[7:]}=")
    assert "Secure" in header
    assert "Path=/;" in f"{header};"
    assert "Domain" not in header
    script = re.search(r'data-csrf-cookie="([^"]+)"', plain.text)
    assert script
    assert script[1] == name, "htmx reads the token from this cookie"


def test_a_session_of_another_installation_is_no_session(
    registry: BerthServer, cast: Cast
) -> None:
    """Signing in on port 8121 leaves the session on port 8120 alone (D16)."""
    with PageClient(registry.url, cast.dave) as dave:
        other = cookie_name("session", "http://localhost:8121")
        dave.http.cookies.set(other, session_cookie(cast.carol))
        assert cast.dave.username in dave.get("/settings/profile").text


def test_private_answers_are_not_stored(registry: BerthServer, cast: Cast) -> None:
    with PageClient(registry.url, cast.dave) as dave:
        for path in ("/", "/settings/profile", "/api/v1/user", "/no-such-page"):
            assert "no-store" in dave.get(path).headers["Cache-Control"], path
        style = re.search(r'href="(/-/assets/berth[^"]+)"', dave.get("/").text)
        assert style
        assert "immutable" in dave.get(style[1]).headers["Cache-Control"]
    with PageClient(registry.url) as nobody:
        for path in ("/accounts/login/", "/invitations/berth_inv_x"):
            assert "no-store" in nobody.get(path).headers["Cache-Control"], path
        assert "no-store" not in nobody.get("/").headers.get("Cache-Control", "")
    token = cast.secrets[cast.dave.username]
    answer = httpx.get(
        f"{registry.url}/api/v1/user",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    assert answer.headers["Cache-Control"] == "no-store"


def test_browsers_stay_on_tls(registry: BerthServer, behind_proxy: BerthServer) -> None:
    answer = httpx.get(behind_proxy.url, timeout=60)
    assert answer.headers["Strict-Transport-Security"] == "max-age=15552000"
    assert (
        "Strict-Transport-Security" not in httpx.get(registry.url, timeout=60).headers
    )


@pytest.mark.parametrize(
    ("host", "port", "is_tls", "url"),
    [
        ("127.0.0.1", 8123, False, "http://localhost:8123"),
        ("0.0.0.0", 8000, False, "http://localhost:8000"),
        ("::", 80, False, "http://localhost"),
        ("::1", 8443, True, "https://localhost:8443"),
        ("10.1.2.3", 443, True, "https://10.1.2.3"),
        ("fd00::7", 5000, False, "http://[fd00::7]:5000"),
        ("registry.lan", 5000, False, "http://registry.lan:5000"),
    ],
)
def test_the_default_url_follows_the_listening_address(
    host: str, port: int, is_tls: bool, url: str
) -> None:
    """BERTH_LISTEN alone is enough (E7)."""
    assert default_url(host, port, is_tls=is_tls) == url


@pytest.mark.parametrize(
    ("host", "url", "is_open"),
    [
        ("127.0.0.1", "http://localhost:8000", True),
        ("127.8.8.8", "http://127.0.0.1:8000", True),
        ("::1", "http://[::1]:8000", True),
        ("localhost", "http://berth.localhost", True),
        ("0.0.0.0", "http://localhost:8000", False),
        ("::", "http://localhost:8000", False),
        ("10.0.0.7", "http://10.0.0.7:8000", False),
        ("registry.lan", "http://localhost:8000", False),
        ("127.0.0.1", "https://registry.example.com", False),
        ("::ffff:10.0.0.7", "http://localhost:8000", False),
    ],
)
def test_loopback_is_open_to_webhooks_only_while_no_other_machine_is_served(
    host: str, url: str, is_open: bool
) -> None:
    """Neither a wildcard address nor a proxy opens the host's loopback (D10)."""
    assert is_for_this_machine(host, url) is is_open
