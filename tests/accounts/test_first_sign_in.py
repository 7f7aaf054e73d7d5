"""The first administrator: a one-time password, an address, and a way in always."""

import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import QueuedMail, RefusedAddress, User
from tests import make
from tests.mail_server import MailServer
from tests.pages import PageClient
from tests.servers import BerthServer, free_port

ONE_TIME, OWN = "a one-time password", "a password of my own"
PAGE = "/settings/first-sign-in"
LOGIN = "/accounts/login/"


@pytest.fixture
def administrator(database: None) -> User:
    """An administrator as `manage.py prepare` makes the first one."""
    return make.user(
        "root",
        password=ONE_TIME,
        is_superuser=True,
        is_staff=True,
        must_change_password=True,
    )


@pytest.fixture
def browser(registry: BerthServer) -> Iterator[PageClient]:
    with PageClient(registry.url) as client:
        yield client


def sign_in(browser: PageClient, user: User, password: str) -> int:
    fields = {"login": user.username, "password": password}
    return browser.post(LOGIN, fields).status_code


def test_a_one_time_password_opens_one_page_only(
    browser: PageClient, administrator: User, registry: BerthServer
) -> None:
    """It is replaced at the first sign-in, and stops working then (E10)."""
    assert sign_in(browser, administrator, ONE_TIME) == 302
    for path in ("/", "/settings/tokens", "/-/admin/", "/accounts/2fa/totp/activate/"):
        led = browser.get(path)
        assert led.status_code == 302, path
        assert led.headers["Location"].startswith(PAGE), path
    refused = browser.get("/api/v1/user")
    assert refused.status_code == 403
    assert refused.json()["errors"][0]["code"] == "password_change_required"
    assert browser.get("/healthz").status_code == 200
    page = browser.get(f"{PAGE}?next=/settings/tokens")
    assert "one-time" in page.text
    fields = {"password1": ONE_TIME, "password2": ONE_TIME}
    assert browser.post(PAGE, fields, page).status_code == 422
    fields = {"password1": "short", "password2": "short"}
    assert browser.post(PAGE, fields, page).status_code == 422
    taken = make.user("taken", email=f"{make.unique('taken')}@example.com")
    fields = {"password1": OWN, "password2": OWN, "email": taken.email.upper()}
    assert browser.post(PAGE, fields, page).status_code == 422
    address = f"{administrator.username}@example.com"
    fields |= {"email": address, "next": "/settings/tokens"}
    done = browser.post(PAGE, fields, page)
    assert done.status_code == 302, done.text
    assert done.headers["Location"] == "/settings/tokens"
    assert browser.get("/settings/tokens").status_code == 200, "the session goes on"
    administrator.refresh_from_db()
    assert administrator.email == address
    assert EmailAddress.objects.get(user=administrator).primary
    assert QueuedMail.objects.filter(address=address).count() == 1
    assert browser.get(PAGE).status_code == 302
    with PageClient(registry.url) as other:
        assert sign_in(other, administrator, ONE_TIME) == 200
        assert sign_in(other, administrator, OWN) == 302


@pytest.mark.parametrize("way", ["reset", "command"])
def test_every_change_of_the_password_ends_the_one_time_password(
    administrator: User, browser: PageClient, way: str
) -> None:
    if way == "reset":
        from accounts.actors import SYSTEM
        from accounts.users import change_password

        change_password(user=administrator, password=OWN, actor=SYSTEM)
    else:
        from unittest.mock import patch

        with patch("getpass.getpass", return_value=OWN):
            call_command("changepassword", administrator.username, stdout=StringIO())
    administrator.refresh_from_db()
    assert not administrator.must_change_password
    assert sign_in(browser, administrator, OWN) == 302
    assert browser.get("/settings/tokens").status_code == 200


def test_mandatory_verification_lets_in_who_cannot_be_mailed(
    registry: BerthServer,
) -> None:
    """The first administrator gets in; who signed up confirms the address (D3)."""
    with BerthServer(
        data_folder=Path(os.environ["BERTH_DATA"]),
        database_url=os.environ.get("DATABASE_URL"),
        BERTH_EMAIL_VERIFICATION="mandatory",
        BERTH_WORKERS="1",
    ) as server:
        for kind in ("administrator", "no address", "address"):
            person = make.user(
                "first", password=OWN, is_superuser=kind == "administrator"
            )
            if kind == "address":
                User.objects.filter(pk=person.pk).update(email=f"{person}@example.com")
            with PageClient(server.url) as browser:
                assert sign_in(browser, person, OWN) == 302
                is_in = browser.get("/settings/profile").status_code == 200
                assert is_in == (kind != "address"), kind
                if kind == "address":
                    is_refused_with_a_reason(browser, person)


def is_refused_with_a_reason(browser: PageClient, person: User) -> None:
    RefusedAddress.objects.create(
        address=f"{person}@example.com",
        reason="550 no such user",
        refused_at=timezone.now(),
    )
    done = browser.post(LOGIN, {"login": person.username, "password": OWN})
    assert "550 no such user" in browser.get(done.headers["Location"]).text


# --- a test mail


def test_a_test_mail_shows_what_the_server_answers(settings: Any) -> None:
    """manage.py send_test_mail: success, refusal, and a server that is away (E10)."""
    shown = StringIO()
    with pytest.raises(CommandError, match="no mail server"):
        call_command("send_test_mail", "a@example.com")
    settings.BERTH_SENDS_MAIL = True
    settings.BERTH_MAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with MailServer() as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        call_command("send_test_mail", "a@example.com", stdout=shown)
        assert "has taken the mail" in shown.getvalue()
        assert settings.BERTH_URL in server.text()
        server.replies["a@example.com"] = "550 5.1.1 no such user"
        with pytest.raises(CommandError, match=r"550 5\.1\.1 no such user"):
            call_command("send_test_mail", "a@example.com")
        with pytest.raises(CommandError, match="not an email address"):
            call_command("send_test_mail", "nobody")
    settings.EMAIL_PORT = free_port()
    with pytest.raises(CommandError, match=r"EMAIL_URL: .*refused"):
        call_command("send_test_mail", "a@example.com")


def test_the_state_of_the_site_has_a_test_mail(registry: BerthServer) -> None:
    """Without a mail server the page says so; only administrators may ask (E10)."""
    root = make.user("root", is_superuser=True, is_staff=True)
    with PageClient(registry.url, root) as browser:
        page = browser.get("/-/admin/site/")
        assert "Queued mail" in page.text
        done = browser.post("/-/admin/site/test-mail", {}, page)
        assert done.status_code == 302
        assert "set EMAIL_URL" in browser.get("/-/admin/site/").text
        dave = make.user("dave")
    with PageClient(registry.url, dave) as browser:
        page = browser.get("/settings/profile")
        assert browser.post("/-/admin/site/test-mail", {}, page).status_code == 403
