"""Sign up, sign in and out, passwords, second factors: as a browser without scripts."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import httpx
import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from accounts.authentication import actor_of
from accounts.factor_codes import Code, use_app_code
from accounts.invitations import invite
from accounts.mail import StoredMessage
from accounts.models import Invitation, Namespace, QueuedMail, User
from accounts.names import RESERVED_NAMES
from accounts.signin_limits import (
    CODES_MAX,
    PAIR_MAX,
    record_failure,
    record_wrong_code,
)
from tests import make
from tests.conftest import Cast
from tests.pages import PageClient, code_of, session_cookie, title_of
from tests.registry_client import RegistryClient
from tests.servers import BerthServer

PASSWORD = "a long enough password"
LOGIN, SIGNUP = "/accounts/login/", "/accounts/signup/"


@pytest.fixture
def visitor(registry: BerthServer) -> Iterator[PageClient]:
    with PageClient(registry.url) as client:
        yield client


def is_signed_in(visitor: PageClient) -> bool:
    return visitor.get("/settings/profile").status_code == 200


def sign_up_fields(name: str, **more: str) -> dict[str, str]:
    return {
        "username": name,
        "email": f"{make.unique('someone')}@example.com",
        "password1": PASSWORD,
        **more,
    }


# --- sign up


def test_who_signs_up_has_a_namespace_and_is_signed_in(visitor: PageClient) -> None:
    name = make.unique("nina")
    done = visitor.post(SIGNUP, sign_up_fields(name))
    assert done.status_code == 302, done.text
    assert Namespace.objects.get(name=name).user == User.objects.get(username=name)
    assert is_signed_in(visitor)


@pytest.mark.parametrize("password", ["password", "Password", "iloveyou", "short"])
def test_what_would_be_guessed_signs_nobody_up(
    visitor: PageClient, password: str
) -> None:
    name = make.unique("nina")
    refused = visitor.post(SIGNUP, sign_up_fields(name, password1=password))
    assert refused.status_code != 302
    assert not User.objects.filter(username=name).exists()


@pytest.mark.parametrize(
    "name", ["x", "has space", "-dash", "a" * 40, "søren", "a--.b"]
)
def test_a_name_that_the_grammar_refuses_is_refused(
    visitor: PageClient, name: str
) -> None:
    done = visitor.post(SIGNUP, sign_up_fields(name))
    assert done.status_code == 200
    assert "Error:" in title_of(done)
    assert not User.objects.filter(username=name).exists()


def test_a_reserved_name_is_refused(visitor: PageClient) -> None:
    for name in sorted(name for name in RESERVED_NAMES if len(name) > 1)[:5]:
        assert visitor.post(SIGNUP, sign_up_fields(name)).status_code == 200
        assert not User.objects.filter(username=name).exists()


def test_capitals_are_taken_in_lower_case(visitor: PageClient) -> None:
    name = make.unique("Olga")
    assert visitor.post(SIGNUP, sign_up_fields(name)).status_code == 302
    assert User.objects.filter(username=name.lower()).exists()


@pytest.mark.parametrize("of", ["organization", "user"])
def test_a_name_that_somebody_has_is_refused(
    visitor: PageClient, cast: Cast, of: str
) -> None:
    taken = cast.acme.namespace.name if of == "organization" else cast.dave.username
    before = User.objects.count()
    done = visitor.post(SIGNUP, sign_up_fields(taken))
    assert done.status_code == 200
    assert "taken" in done.text
    assert User.objects.count() == before


def test_signing_up_leads_to_this_site_only(visitor: PageClient) -> None:
    path = f"{SIGNUP}?next=https://evil.example/"
    done = visitor.post(
        path, sign_up_fields(make.unique("eve"), next="https://evil.example/")
    )
    assert done.headers["Location"] == "/"


@pytest.fixture(scope="module")
def invite_only(
    registry: BerthServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BerthServer]:
    """The same database, behind a server that wants invitations."""
    import os

    with BerthServer(
        data_folder=Path(os.environ["BERTH_DATA"]),
        database_url=os.environ.get("DATABASE_URL"),
        BERTH_SIGNUP="invite",
    ) as server:
        yield server


def test_without_an_invitation_nobody_signs_up(
    invite_only: BerthServer, cast: Cast
) -> None:
    name = make.unique("ulla")
    with PageClient(invite_only.url) as visitor:
        page = visitor.get(SIGNUP)
        assert "invitation" in page.text
        login = visitor.get(LOGIN)
        done = visitor.post(SIGNUP, sign_up_fields(name), login)
        assert not User.objects.filter(username=name).exists()
        assert done.status_code == 200


@pytest.mark.parametrize("ending", ["", "its time is over", "the sender was removed"])
def test_an_invitation_that_stands_opens_the_sign_up(
    invite_only: BerthServer, ending: str
) -> None:
    """An expired one does not, nor one whose sender no longer administers (E8)."""
    sender = make.user("sender")
    acme = make.organization(owner=make.user("owner"))
    admins = make.team(acme, sender, standing="admin")
    invitation, secret = invite(
        team=admins,
        email=f"{make.unique('viv')}@example.com",
        actor=actor_of(sender),
    )
    if ending == "its time is over":
        Invitation.objects.filter(pk=invitation.pk).update(expires_at=timezone.now())
    elif ending:  # in the database alone, as if it had been committed a moment before
        admins.memberships.all().delete()
    name = make.unique("viv")
    with PageClient(invite_only.url) as visitor:
        followed = visitor.get(f"/invitations/{secret}")
        assert (SIGNUP in followed.text) == (not ending)
        page = visitor.get(SIGNUP if not ending else LOGIN)
        done = visitor.post(SIGNUP, sign_up_fields(name), page)
    assert User.objects.filter(username=name).exists() == (not ending)
    if not ending:
        assert done.headers["Location"] == f"/invitations/{secret}"


def test_an_invitation_makes_one_account_which_alone_answers_it(
    invite_only: BerthServer, cast: Cast
) -> None:
    """One mailed link makes one account, and that one joins by it (D12)."""
    team = make.team(cast.acme)
    invitation, secret = invite(
        team=team,
        email=f"{make.unique('viv')}@example.com",
        actor=actor_of(cast.alice),
    )
    names = [make.unique("viv") for _ in range(3)]
    visitors = [PageClient(invite_only.url) for _ in names]
    pages = []
    for visitor in visitors:  # all of them follow the link before anyone signs up
        visitor.get(f"/invitations/{secret}")
        pages.append(visitor.get(SIGNUP))
    forms = [sign_up_fields(name) for name in names]
    with ThreadPoolExecutor(len(names)) as at_once:
        posts = at_once.map(PageClient.post, visitors, [SIGNUP] * 3, forms, pages)
        assert len(list(posts)) == len(names)
    made = User.objects.filter(username__in=names)
    [invited] = made
    invitation.refresh_from_db()
    assert invitation.user == invited
    visitor = visitors[names.index(invited.username)]
    answered = visitor.post(f"/invitations/{secret}", {"answer": "accept"})
    assert answered.status_code == 302
    assert team.memberships.filter(user=invited).exists()
    for visitor in visitors:
        visitor.http.close()


def test_an_invitation_of_an_account_makes_no_other(
    invite_only: BerthServer, cast: Cast
) -> None:
    """The link of an invitation by username opens no sign-up (D12)."""
    _, secret = invite(team=cast.backend, user=cast.dave, actor=actor_of(cast.alice))
    name = make.unique("viv")
    with PageClient(invite_only.url) as visitor:
        visitor.get(f"/invitations/{secret}")
        visitor.post(SIGNUP, sign_up_fields(name), visitor.get(LOGIN))
    assert not User.objects.filter(username=name).exists()
    Invitation.objects.filter(team=cast.backend, user=cast.dave).delete()


# --- sign in and out


@pytest.fixture(scope="module")
def judy(django_db_setup: None) -> User:
    """Somebody with a password and an email address."""
    return make.user(
        "judy", password=PASSWORD, email=f"{make.unique('judy')}@example.com"
    )


@pytest.mark.parametrize("by", ["username", "capitals", "email"])
def test_one_signs_in_by_name_or_address(
    visitor: PageClient, judy: User, by: str
) -> None:
    typed = {
        "username": judy.username,
        "capitals": judy.username.upper(),
        "email": judy.email.upper(),
    }[by]
    done = visitor.post(LOGIN, {"login": typed, "password": PASSWORD})
    assert done.status_code == 302
    assert is_signed_in(visitor)


def test_a_wrong_password_says_no_more_than_a_wrong_name(
    visitor: PageClient, judy: User
) -> None:
    def refusal(name: str) -> str:
        done = visitor.post(LOGIN, {"login": name, "password": "wrong"})
        assert done.status_code == 200
        without_token = re.sub(r'value="\w{64}"', "", done.text)
        return without_token.replace(name, "")

    assert refusal(judy.username) == refusal(make.unique("nobody"))
    assert not is_signed_in(visitor)


# What is no address of any form, and urlsplit refuses some.
UNREADABLE = (
    "http://[::1",
    "//[",
    "http://[evil]/",
    "http://a]b/",
    "//a[b]c",
    "http:\u2100",
)


def test_every_page_takes_a_way_back_that_is_no_address(
    visitor: PageClient, judy: User
) -> None:
    """It leads home instead (B8)."""

    def visit(*paths: str) -> None:
        for path, target in product(paths, UNREADABLE):
            page = visitor.get(path, params={"next": target})
            assert page.status_code in {200, 302}, (path, target)
            assert target not in page.headers.get("Location", "")

    def sign_in() -> None:
        visitor.post(LOGIN, {"login": judy.username, "password": PASSWORD})
        assert is_signed_in(visitor)

    visit(LOGIN, SIGNUP, "/accounts/password/reset/", "/accounts/logout/")
    for target in UNREADABLE:
        sign_in()
        done = visitor.post("/accounts/logout/", {"next": target})
        assert done.status_code == 302, target
    sign_in()
    visit("/accounts/reauthenticate/", "/accounts/logout/", "/settings/tokens")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "https:evil.example",
        "/ok\r\nX-Header: injected",
        "http://localhost@evil.example",
        *UNREADABLE,
    ],
)
def test_signing_in_leads_to_this_site_only(
    visitor: PageClient, judy: User, target: str
) -> None:
    page = visitor.get(LOGIN, params={"next": target})
    done = visitor.post(
        LOGIN, {"login": judy.username, "password": PASSWORD, "next": target}, page
    )
    assert done.status_code == 302
    assert "X-Header" not in done.headers
    assert "evil" not in httpx.URL(done.headers["Location"]).host
    assert done.headers["Location"].startswith("/")
    assert not done.headers["Location"].startswith(("//", "/\\"))


def test_a_page_for_people_leads_to_the_sign_in_and_back(
    visitor: PageClient, judy: User
) -> None:
    asked = visitor.get("/settings/tokens?x=1")
    assert asked.status_code == 302
    assert asked.headers["Location"] == f"{LOGIN}?next=/settings/tokens%3Fx%3D1"
    page = visitor.get(asked.headers["Location"])
    done = visitor.post(
        LOGIN,
        {"login": judy.username, "password": PASSWORD, "next": "/settings/tokens?x=1"},
        page,
    )
    assert done.headers["Location"] == "/settings/tokens?x=1"


def test_signing_out_is_a_post(visitor: PageClient, judy: User) -> None:
    visitor.post(LOGIN, {"login": judy.username, "password": PASSWORD})
    asked = visitor.get("/accounts/logout/")
    assert asked.status_code == 200
    assert is_signed_in(visitor)
    visitor.post("/accounts/logout/", {}, asked)
    assert not is_signed_in(visitor)


def test_a_form_without_its_token_is_refused(visitor: PageClient, judy: User) -> None:
    visitor.get(LOGIN)
    done = visitor.http.post(LOGIN, data={"login": judy.username, "password": PASSWORD})
    assert done.status_code == 403
    assert "token" in done.text
    assert not is_signed_in(visitor)


def test_who_guesses_too_often_waits(visitor: PageClient) -> None:
    person = make.user("kim", password=PASSWORD)
    page = visitor.get(LOGIN)
    for _ in range(PAIR_MAX):
        record_failure(username=person.username, address="127.0.0.1")
    done = visitor.post(LOGIN, {"login": person.username, "password": PASSWORD}, page)
    assert done.status_code == 429
    assert int(done.headers["Retry-After"]) > 0
    assert "<h1>" in done.text
    assert not is_signed_in(visitor)


def test_the_administration_has_the_same_sign_in(visitor: PageClient) -> None:
    asked = visitor.get("/-/admin/login/?next=/-/admin/")
    assert asked.status_code == 302
    assert asked.headers["Location"].startswith(LOGIN)


# --- passwords


def test_a_lost_password_is_answered_alike_for_everybody(
    visitor: PageClient, judy: User
) -> None:
    for address in (judy.email, "nobody@example.com"):
        done = visitor.post("/accounts/password/reset/", {"email": address})
        assert done.status_code == 302
        assert done.headers["Location"] == "/accounts/password/reset/done/"


def test_the_link_of_the_mail_sets_a_new_password(
    visitor: PageClient, registry: BerthServer
) -> None:
    address = f"{make.unique('lost')}@example.com"
    person = make.user("lost", password=PASSWORD, email=address)
    done = visitor.post(
        "/accounts/password/reset/",
        {"email": address},
        headers={"X-Forwarded-Host": "evil.example"},
    )
    assert done.status_code == 302
    mail = StoredMessage(QueuedMail.objects.get(address=address)).message()
    text = mail.get_payload(decode=True).decode()
    link = re.search(r"(\S+)(/accounts/password/reset/key/\S+)", text)
    assert link, text
    assert link[1] == registry.url
    first = visitor.http.get(link[2])
    page = visitor.get(first.headers["Location"])
    fields = {
        "password1": "another long password",
        "password2": "another long password",
    }
    done = visitor.post(first.headers["Location"], fields, page)
    assert done.status_code == 302, done.text
    person.refresh_from_db()
    assert person.check_password("another long password")
    assert visitor.get(link[2], follow_redirects=True).status_code == 200  # "used"
    assert not visitor.http.cookies.get("evil")


def test_a_changed_password_ends_the_other_sessions(registry: BerthServer) -> None:
    person = make.user("mary", password=PASSWORD)
    with (
        PageClient(registry.url, person) as here,
        PageClient(registry.url, person) as there,
    ):
        done = here.post(
            "/accounts/password/change/",
            {
                "oldpassword": PASSWORD,
                "password1": "another long password",
                "password2": "another long password",
            },
        )
        assert done.status_code == 302, done.text
        assert is_signed_in(here)
        assert not is_signed_in(there)


# --- second factors


def give_authenticator_app(person: User) -> str:
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(person, secret)
    return secret


def test_an_app_is_set_up_and_then_asked_for(registry: BerthServer) -> None:
    person = make.user("rita", password=PASSWORD)
    with PageClient(registry.url) as visitor:
        visitor.post(LOGIN, {"login": person.username, "password": PASSWORD})
        path = "/accounts/2fa/totp/activate/"
        page = visitor.get(path)
        secret = re.search(r'data-copy="([A-Z2-7]{32})"', page.text)
        assert secret, page.text
        done = visitor.post(path, {"code": code_of(secret[1])}, page)
        assert done.status_code == 302, done.text
        assert (
            "Two-factor authentication is on" in visitor.get("/settings/security").text
        )
    assert Authenticator.objects.filter(user=person, type="totp").exists()


@pytest.mark.parametrize(
    ("method", "minutes", "is_asked"),
    [
        ("password", 1, False),
        ("mfa", 4, False),
        ("socialaccount", 4, False),
        ("password", 6, True),
        ("password_reset", 1, True),  # the mailbox is no proof of the password
        (None, 0, True),
    ],
)
def test_a_sign_in_of_the_last_minutes_needs_no_second_password(
    registry: BerthServer, method: str | None, minutes: int, is_asked: bool
) -> None:
    """Sensitive pages ask for the password only if the sign-in is old (F8)."""
    person = make.user("ruth", password=PASSWORD)
    session = SessionStore(session_cookie(person))
    if method is not None:
        record = {"method": method, "at": time.time() - 60 * minutes}
        session["account_authentication_methods"] = [record]
        session["account_authentication_methods_user"] = str(person.pk)
        session.save()
    with PageClient(registry.url) as visitor:
        visitor.http.cookies.set(settings.SESSION_COOKIE_NAME, str(session.session_key))
        for path in ("/accounts/2fa/totp/activate/", "/accounts/2fa/webauthn/add/"):
            page = visitor.get(path)
            assert (page.status_code == 302) == is_asked, page.headers
            if is_asked:
                assert "/reauthenticate/" in page.headers["Location"]


def test_a_password_alone_does_not_sign_in_with_a_second_factor(
    registry: BerthServer,
) -> None:
    person = make.user("sara", password=PASSWORD)
    secret = give_authenticator_app(person)
    with PageClient(registry.url) as visitor:
        done = visitor.post(LOGIN, {"login": person.username, "password": PASSWORD})
        assert done.headers["Location"].startswith("/accounts/2fa/authenticate/")
        assert not is_signed_in(visitor)
        page = visitor.get("/accounts/2fa/authenticate/")
        wrong = visitor.post("/accounts/2fa/authenticate/", {"code": "000000"}, page)
        assert wrong.status_code == 200
        assert not is_signed_in(visitor)
        visitor.post("/accounts/2fa/authenticate/", {"code": code_of(secret)}, page)
        assert is_signed_in(visitor)


def test_docker_login_wants_a_token_with_a_second_factor(
    registry: BerthServer, anonymous: RegistryClient
) -> None:
    """A program cannot be asked for a code, so the password alone opens nothing."""
    person = make.user("tina", password=PASSWORD)
    client = RegistryClient(anonymous.http, registry.url, person.username, PASSWORD)
    assert client.token_answer().status_code == 200
    give_authenticator_app(person)
    refused = client.token_answer()
    assert refused.status_code == 401
    assert "use an access token" in refused.text
    direct = client.get("/v2/", token="", headers=client.basic)
    assert direct.status_code == 401
    token = make.access_token(person)
    by_token = RegistryClient(anonymous.http, registry.url, person.username, token)
    assert by_token.token_answer().status_code == 200
    # Who does not have the password does not learn of the second factor.
    guess = RegistryClient(anonymous.http, registry.url, person.username, "wrong")
    assert "token" not in guess.token_answer().json()["errors"][0]["message"]


def test_sessions_are_listed_and_ended(registry: BerthServer) -> None:
    person = make.user("vera", password=PASSWORD)
    with (
        PageClient(registry.url) as here,
        PageClient(registry.url) as there,
    ):
        for visitor in (here, there):
            visitor.post(LOGIN, {"login": person.username, "password": PASSWORD})
            assert is_signed_in(visitor)
        page = here.get("/accounts/sessions/")
        assert page.text.count("127.0.0.1") == 2
        here.post("/accounts/sessions/", {}, page)
        assert is_signed_in(here)
        assert not is_signed_in(there)


def test_a_session_ends_with_its_user(registry: BerthServer) -> None:
    person = make.user("wanda")
    cookie = session_cookie(person)
    User.objects.filter(pk=person.pk).update(is_active=False)
    with PageClient(registry.url) as visitor:
        visitor.http.cookies.set(settings.SESSION_COOKIE_NAME, cookie)
        assert not is_signed_in(visitor)


def codes_around(secret: str) -> list[str]:
    """Return the codes of the step before, of this one, and of the one after."""
    code_of(secret)  # waits where the step is nearly over
    step = int(time.time()) // 30
    values = (totp.hotp_value(secret, step + n) for n in (-2, -1, 0, 1, 2))
    return [totp.format_hotp_value(value) for value in values]


def test_codes_beside_the_current_one_are_accepted_once(registry: BerthServer) -> None:
    """One step either way, and a sentence of its own for a used code (D4).

    By two servers in turn, since the used codes are in the database.
    """
    person = make.user("tess", password=PASSWORD)
    secret = give_authenticator_app(person)
    path = "/accounts/2fa/authenticate/"

    def answer(code: str) -> str:
        with PageClient(registry.url) as visitor:
            visitor.post(LOGIN, {"login": person.username, "password": PASSWORD})
            done = visitor.post(path, {"code": code}, visitor.get(path))
            assert is_signed_in(visitor) == (done.status_code == 302)
            return done.text

    earlier, before, now, after, later = codes_around(secret)
    for code in (earlier, later):
        assert "Incorrect code" in answer(code)
    for code in (now, before, after):
        assert answer(code) == ""
        assert "used already" in answer(f" {code[:3]} {code[3:]} ")
    row = Authenticator.objects.get(user=person)
    assert use_app_code(row, now) is Code.USED, "in every process"


def test_wrong_codes_are_limited_for_all_processes(registry: BerthServer) -> None:
    """The limit is the account's, whatever the address, and used codes do not count."""
    person = make.user("gwen", password=PASSWORD)
    secret = give_authenticator_app(person)
    path = "/accounts/2fa/authenticate/"
    for _ in range(CODES_MAX - 1):
        record_wrong_code(username=person.username)
    with PageClient(registry.url) as visitor:
        visitor.post(LOGIN, {"login": person.username, "password": PASSWORD})
        page = visitor.get(path)
        assert "Incorrect code" in visitor.post(path, {"code": "0000000"}, page).text
        done = visitor.post(path, {"code": code_of(secret)}, page)
        assert done.status_code == 429
        assert int(done.headers["Retry-After"]) > 0
        assert not is_signed_in(visitor)


# --- pages that say how something ended


@pytest.mark.parametrize(
    ("path", "heading"),
    [
        ("inactive/", "This account is suspended"),
        ("confirm-email/", "Confirm your address"),
        ("confirm-email/nothing/", "Confirm your email address"),
        ("password/reset/done/", "Check your email"),
        ("password/reset/key/1-nothing/", "This link no longer works"),
        ("password/reset/key/done/", "Password changed"),
        ("3rdparty/login/cancelled/", "Sign-in canceled"),
        ("3rdparty/login/error/", "Sign-in failed"),
    ],
)
def test_an_end_is_told_in_our_words(
    visitor: PageClient, path: str, heading: str
) -> None:
    page = visitor.get(f"/accounts/{path}")
    assert f"<h1>{heading}</h1>" in page.text


@pytest.mark.parametrize(
    ("path", "heading"),
    [("3rdparty/", "Linked accounts"), ("email/", "Email addresses")],
)
def test_settings_of_the_account_are_in_our_words(
    registry: BerthServer, path: str, heading: str
) -> None:
    with PageClient(registry.url, make.user("worded")) as client:
        assert f"<h1>{heading}</h1>" in client.get(f"/accounts/{path}").text
