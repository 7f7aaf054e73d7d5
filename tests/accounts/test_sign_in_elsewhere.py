"""Sign-in by OpenID Connect and the others that settings may offer."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from accounts.models import Namespace, User
from tests import make
from tests.accounts.identity_provider import IdentityProvider
from tests.pages import PageClient, title_of
from tests.servers import BerthServer

PASSWORD = "a long enough password"
CONFIGURATION = "/.well-known/openid-configuration"


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    person = {
        "sub": make.unique("subject"),
        "email": f"{make.unique('quinn')}@example.com",
        "email_verified": True,
        "preferred_username": "quinn",
    }
    with IdentityProvider(person) as provider:
        yield provider


@pytest.fixture(scope="module")
def berth(django_db_setup: None, provider: IdentityProvider) -> Iterator[BerthServer]:
    """A server that offers everybody."""
    with BerthServer(
        data_folder=Path(os.environ["BERTH_DATA"]),
        database_url=os.environ.get("DATABASE_URL"),
        BERTH_GITHUB_CLIENT_ID="github-id",
        BERTH_GITHUB_CLIENT_SECRET="github-secret",
        BERTH_GITLAB_CLIENT_ID="gitlab-id",
        BERTH_GITLAB_CLIENT_SECRET="gitlab-secret",
        BERTH_GITLAB_URL="https://git.example.com",
        BERTH_BITBUCKET_CLIENT_ID="bitbucket-id",
        BERTH_BITBUCKET_CLIENT_SECRET="bitbucket-secret",
        BERTH_GOOGLE_CLIENT_ID="google-id",
        BERTH_GOOGLE_CLIENT_SECRET="google-secret",
        BERTH_OIDC_URL=provider.url,
        BERTH_OIDC_NAME="Harbour ID",
        BERTH_OIDC_CLIENT_ID="oidc-id",
        BERTH_OIDC_CLIENT_SECRET="oidc-secret",
    ) as server:
        yield server


@pytest.fixture
def visitor(berth: BerthServer) -> Iterator[PageClient]:
    with PageClient(berth.url) as client:
        yield client


def go(visitor: PageClient, button: str) -> httpx.Response:
    """Press a button of the sign-in page; return where it leads."""
    page = visitor.get("/accounts/login/")
    found = re.search(
        rf'action="([^"]+)"[^>]*>(?:(?!</form>).)*Continue with {button}',
        page.text,
        re.DOTALL,
    )
    assert found, page.text
    return visitor.post(found[1].replace("&amp;", "&"), {}, page)


@pytest.mark.parametrize(
    ("button", "leads_to", "client_id"),
    [
        ("GitHub", "https://github.com/login/oauth/authorize", "github-id"),
        ("GitLab", "https://git.example.com/oauth/authorize", "gitlab-id"),
        ("Bitbucket", "https://bitbucket.org/site/oauth2/authorize", "bitbucket-id"),
        ("Google", "https://accounts.google.com/o/oauth2/v2/auth", "google-id"),
    ],
)
def test_a_button_leads_to_whom_it_names(
    visitor: PageClient, berth: BerthServer, button: str, leads_to: str, client_id: str
) -> None:
    """The policy lets the form lead there, and the secret stays here."""
    sent = go(visitor, button)
    assert sent.status_code == 302
    address = httpx.URL(sent.headers["Location"])
    assert str(address.copy_with(query=None)) == leads_to
    assert address.params["client_id"] == client_id
    assert address.params["redirect_uri"].startswith(f"{berth.url}/accounts/")
    assert "secret" not in str(address)
    policy = visitor.get("/accounts/login/").headers["Content-Security-Policy"]
    assert f"https://{address.host}" in policy.split("form-action")[1].split(";")[0]


def test_signing_in_elsewhere_asks_for_the_username_first(
    visitor: PageClient, provider: IdentityProvider
) -> None:
    name = make.unique("quinn")
    to_them = go(visitor, "Harbour ID")
    assert to_them.headers["Location"].startswith(f"{provider.url}/authorize")
    back = httpx.get(to_them.headers["Location"], timeout=60).headers["Location"]
    page = visitor.get(back, follow_redirects=True)
    assert title_of(page).endswith(" · Berth")
    assert 'name="username"' in page.text
    taken = visitor.post(
        str(page.url.path),
        {"username": "library", "email": provider.person["email"]},
        page,
    )
    assert taken.status_code == 200
    done = visitor.post(
        str(page.url.path),
        {"username": name, "email": provider.person["email"]},
        page,
    )
    assert done.status_code == 302, done.text
    assert visitor.get("/settings/profile").status_code == 200
    person = User.objects.get(username=name)
    assert Namespace.objects.get(name=name).user == person
    assert not person.has_usable_password()
    # The second time nothing is asked, and it is the same person.
    with PageClient(visitor.url) as again:
        to_them = go(again, "Harbour ID")
        back = httpx.get(to_them.headers["Location"], timeout=60).headers["Location"]
        assert again.get(back).status_code == 302
        assert f"<b>{name}</b>" in again.get("/settings/profile").text
    assert any(path == "/token" for path, _ in provider.asked)


def test_an_answer_that_nobody_asked_for_is_refused(
    visitor: PageClient, provider: IdentityProvider
) -> None:
    """Somebody else's state would sign a victim in as the attacker."""
    with PageClient(visitor.url) as attacker:
        to_them = go(attacker, "Harbour ID")
        back = httpx.get(to_them.headers["Location"], timeout=60).headers["Location"]
    answer = visitor.get(back)
    assert answer.status_code in {200, 401, 403}
    assert visitor.get("/settings/profile").status_code == 302


def test_nothing_is_offered_that_is_not_set_up(registry: BerthServer) -> None:
    with PageClient(registry.url) as visitor:
        page = visitor.get("/accounts/login/")
        assert "Continue with" not in page.text
        policy = page.headers["Content-Security-Policy"]
        assert "form-action 'self';" in policy + ";"
        assert visitor.get("/accounts/github/login/").status_code == 404


@pytest.mark.parametrize(
    ("path", "failure", "status", "words"),
    [
        (CONFIGURATION, "hang", 503, "does not answer"),
        (CONFIGURATION, "nonsense", 503, "does not answer"),
        ("/token", "hang", 503, "does not answer"),
        ("/token", "error", 401, "did not confirm your identity"),
        ("/userinfo", "error", 503, "does not answer"),
        ("/userinfo", "refusal", 401, "did not confirm your identity"),
        ("/token", "clock is behind", 401, "did not confirm your identity"),
        ("/token", "clock is ahead", 200, ""),
    ],
)
def test_a_provider_that_fails_is_named_and_tried_again(
    visitor: PageClient,
    berth: BerthServer,
    provider: IdentityProvider,
    path: str,
    failure: str,
    status: int,
    words: str,
) -> None:
    """One that hangs, fails or has another time; everything else continues (E9)."""
    log_start = berth.log_size()
    provider.failing = {path: failure}
    try:
        answer = go(visitor, "Harbour ID")
        if answer.status_code == 302:
            there = httpx.get(answer.headers["Location"], timeout=60)
            answer = visitor.get(there.headers["Location"], follow_redirects=True)
        assert visitor.get("/").status_code == 200
    finally:
        provider.failing = {}
    assert answer.status_code == status, answer.text
    assert words in answer.text
    log = berth.log_tail(log_start)
    assert "Traceback" not in log
    if status == 503:
        assert int(answer.headers["Retry-After"]) > 0
    if status == 401:
        assert "Harbour ID did not confirm a sign-in: " in log
    with PageClient(berth.url) as another:
        assert go(another, "Harbour ID").status_code == 302, "it answers again"
