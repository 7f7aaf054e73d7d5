"""Mail is queued with the change and sent by the worker; no page depends on it.

It holds X5 of reliability.md, too.
"""

import ast
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.utils import timezone

from accounts.invitations import invite
from accounts.mail import GIVE_UP_AFTER, send_queued_mail
from accounts.models import QueuedMail, RefusedAddress, User
from tests import make
from tests.conftest import Cast
from tests.mail_server import MailServer
from tests.pages import PageClient, code_of
from tests.servers import PROJECT_FOLDER, BerthServer, free_port
from tests.site.test_floor_plan import FLOOR_PLAN

PASSWORD = "a long enough password"


@pytest.fixture
def mail_server(database: None, settings: Any) -> Iterator[MailServer]:
    """A mail server that the worker's verb uses, and an empty queue."""
    settings.EMAIL_BACKEND = "accounts.mail.QueueBackend"
    settings.BERTH_MAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    QueuedMail.objects.all().delete()
    RefusedAddress.objects.all().delete()
    with MailServer() as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        yield server
    QueuedMail.objects.all().delete()
    RefusedAddress.objects.all().delete()


def queue(*addresses: str, body: str = "Grüße") -> None:
    for address in addresses:
        EmailMessage("A subject", body, to=[address]).send()


def wait_is_over() -> None:
    QueuedMail.objects.update(due_at=timezone.now())


def test_mail_is_queued_with_the_change_or_not_at_all(
    mail_server: MailServer, cast: Cast
) -> None:
    """One transaction holds the change and its mail (D2)."""
    team = make.team(cast.acme)
    try:
        with transaction.atomic():
            invite(team=team, email="a@example.com", actor=make.SYSTEM)
            assert QueuedMail.objects.count() == 1
            raise InterruptedError
    except InterruptedError:
        assert not QueuedMail.objects.exists()
    secret = invite(team=team, email="a@example.com", actor=make.SYSTEM)[1]
    [row] = QueuedMail.objects.all()
    assert secret not in row.sealed_message
    assert send_queued_mail() == 1
    [envelope] = mail_server.accepted
    assert envelope.rcpt_tos == ["a@example.com"]
    assert secret in mail_server.text()
    assert not QueuedMail.objects.exists(), "no secret outlives the sending"
    assert send_queued_mail() == 0


def test_a_mail_server_that_is_away_delays_mail_and_loses_none(
    mail_server: MailServer, settings: Any
) -> None:
    """All mail waits, the attempts become rarer, and the cause is stored (D2)."""
    settings.EMAIL_PORT = free_port()
    queue("a@example.com", "b@example.com")
    delays = []
    for _ in range(3):
        started = timezone.now()
        assert send_queued_mail() == 0
        rows = list(QueuedMail.objects.all())
        assert len(rows) == 2
        assert all("Refused" in row.problem for row in rows)
        delays.append(rows[0].due_at - started)
        assert send_queued_mail() == 0, "it is not tried again before its time"
        wait_is_over()
    assert delays == sorted(delays)
    assert delays[2] > 10 * delays[0]
    settings.EMAIL_PORT = mail_server.port
    assert send_queued_mail() == 2
    assert len(mail_server.accepted) == 2


def test_a_mail_server_that_hangs_is_left_in_time(
    mail_server: MailServer, settings: Any
) -> None:
    """It takes the connection and says nothing; the batch waits for it once."""
    settings.EMAIL_TIMEOUT = 0.5
    queue("a@example.com", "b@example.com")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EMAIL_PORT = silent.getsockname()[1]
        assert send_queued_mail() == 0
    assert all("timed out" in row.problem for row in QueuedMail.objects.all())
    wait_is_over()
    settings.EMAIL_PORT = mail_server.port
    assert send_queued_mail() == 2


def test_mail_that_is_too_old_is_dropped(
    mail_server: MailServer, settings: Any
) -> None:
    """A link is not kept for a server that never answers (D2)."""
    settings.EMAIL_PORT = free_port()
    queue("a@example.com")
    QueuedMail.objects.update(created_at=timezone.now() - GIVE_UP_AFTER * 2)
    assert send_queued_mail() == 0
    assert not QueuedMail.objects.exists()


@pytest.mark.parametrize(
    ("reply", "is_final"),
    [
        ("550 5.1.1 no such user", True),
        ("553 5.1.3 not a mailbox", True),
        ("451 4.7.1 greylisted, try again", False),
        ("452 4.2.2 mailbox full", False),
    ],
)
def test_only_a_final_answer_marks_an_address_as_refused(
    mail_server: MailServer, reply: str, is_final: bool
) -> None:
    """5yz is final for this address, 4yz is not, and neither stops other mail (D2)."""
    mail_server.replies["Gone@example.com"] = reply
    queue("Gone@example.com", "b@example.com", "c@example.com")
    assert send_queued_mail() == 2
    assert RefusedAddress.objects.exists() == is_final
    assert QueuedMail.objects.exists() != is_final
    if is_final:
        assert RefusedAddress.objects.get(address="gone@example.com").reason == reply
    mail_server.replies.clear()
    queue("gone@example.com")
    wait_is_over()
    send_queued_mail()
    assert not RefusedAddress.objects.exists(), "a mail that is accepted clears it"
    assert not QueuedMail.objects.exists()


def test_a_message_that_is_refused_for_good_is_not_repeated(
    mail_server: MailServer,
) -> None:
    mail_server.data_reply = "554 5.7.1 looks like spam"
    queue("a@example.com")
    assert send_queued_mail() == 0
    assert not QueuedMail.objects.exists()
    assert "spam" in RefusedAddress.objects.get().reason


def test_workers_that_run_at_once_send_each_mail_once(mail_server: MailServer) -> None:
    queue(*(f"p{number}@example.com" for number in range(30)))
    start = threading.Barrier(4)

    def work(number: int) -> int:
        start.wait(60)
        try:
            return send_queued_mail()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as workers:
        assert sum(workers.map(work, range(4))) == 30
    assert len({tuple(mail.rcpt_tos) for mail in mail_server.accepted}) == 30
    assert len(mail_server.accepted) == 30


def test_mail_sealed_under_another_key_stops_nothing(
    mail_server: MailServer, settings: Any
) -> None:
    queue("a@example.com")
    settings.SECRET_KEY = "another" * 10
    queue("b@example.com")
    send_queued_mail()
    assert [mail.rcpt_tos for mail in mail_server.accepted] == [["b@example.com"]]
    assert not QueuedMail.objects.exists()


# --- pages


@pytest.fixture
def person(registry: BerthServer) -> Iterator[tuple[PageClient, User]]:
    user = make.user("mara", password=PASSWORD)
    user.email = f"{user.username}@example.com"
    user.save()
    EmailAddress.objects.create(user=user, email=user.email, primary=True)
    with PageClient(registry.url) as browser:
        signed_in = browser.post(
            "/accounts/login/", {"login": user.username, "password": PASSWORD}
        )
        assert signed_in.status_code == 302
        yield browser, user


def queued_for(address: str) -> int:
    return QueuedMail.objects.filter(address=address).count()


def test_every_page_that_sends_mail_queues_it(
    person: tuple[PageClient, User], registry: BerthServer
) -> None:
    """Each change is answered with success, whatever the mail server does (D2).

    The live server has no worker beside it: what it queues stays to be counted.
    """
    browser, user = person
    name = make.unique("nina")
    with PageClient(registry.url) as visitor:
        fields = {
            "username": name,
            "email": f"{name}@example.com",
            "password1": PASSWORD,
        }
        assert visitor.post("/accounts/signup/", fields).status_code == 302
        assert queued_for(f"{name}@example.com") == 1
        done = visitor.post("/accounts/password/reset/", {"email": user.email})
        assert done.status_code == 302
        assert queued_for(user.email) == 1
    other = f"other-{user.email}"
    done = browser.post("/accounts/email/", {"email": other, "action_add": "1"})
    assert done.status_code == 302
    assert EmailAddress.objects.filter(user=user, email=other).exists()
    assert queued_for(other) == 1
    before = queued_for(user.email)
    path = "/accounts/2fa/totp/activate/"
    page = browser.get(path)  # right after the sign-in, no password is asked for
    secret = re.search(r'data-copy="([A-Z2-7]{32})"', page.text)
    assert secret
    done = browser.post(path, {"code": code_of(secret[1])}, page)
    assert done.status_code == 302, done.text
    assert Authenticator.objects.filter(user=user).exists()
    assert browser.get("/accounts/2fa/recovery-codes/").status_code == 200
    new = "another long enough password"
    done = browser.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": new, "password2": new},
    )
    assert done.status_code == 302, done.text
    assert queued_for(user.email) > before


def test_a_refused_address_is_shown_to_its_owner(
    person: tuple[PageClient, User], cast: Cast, registry: BerthServer
) -> None:
    """Every page says so, and the settings quote the server (D2)."""
    browser, user = person
    assert "refused mail" not in browser.get("/settings/profile").text
    RefusedAddress.objects.create(
        address=user.email.lower(),
        reason="550 <b>no</b> such user",
        refused_at=timezone.now(),
    )
    assert "refused mail to your address" in browser.get("/settings/profile").text
    page = browser.get("/accounts/email/").text
    assert "550 &lt;b&gt;no&lt;/b&gt; such user" in page
    with PageClient(registry.url, cast.dave) as dave:
        assert "refused mail" not in dave.get("/settings/profile").text


def test_mail_names_the_registry_by_its_public_url(
    registry: BerthServer, person: tuple[PageClient, User], mail_server: MailServer
) -> None:
    """No link and no name of a mail comes from the Host header (D6)."""
    _, user = person
    with PageClient(registry.url.replace("localhost", "127.0.0.1")) as visitor:
        done = visitor.post("/accounts/password/reset/", {"email": user.email})
        assert done.status_code == 302
    # The live server has another secret key than these tests only if told so.
    assert send_queued_mail() == 1
    text = mail_server.text().replace("=\r\n", "")
    assert registry.url in text
    assert "127.0.0.1" not in text.partition("\r\n\r\n")[2]


def test_pages_say_that_no_mail_can_be_sent(
    registry: BerthServer, person: tuple[PageClient, User]
) -> None:
    """The tests' registry has no mail server, and no page promises mail (E10)."""
    browser, _ = person
    with PageClient(registry.url) as visitor:
        for path in (
            "/accounts/password/reset/",
            "/accounts/password/reset/done/",
            "/accounts/confirm-email/",
        ):
            page = visitor.get(path).text
            assert "cannot send mail" in page, path
            assert "on its way" not in page, path
    page = browser.get("/accounts/email/").text
    assert "cannot send mail" in page
    assert "Resend verification" not in page
    done = browser.post(
        "/accounts/email/",
        {"email": f"{make.unique('x')}@example.com", "action_add": "1"},
    )
    page = browser.get(done.headers["Location"]).text
    assert "has no mail server" in page
    assert "on its way" not in page


# --- other work after a commit


def _calls_of_on_commit(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "on_commit"
        ):
            yield node


def test_work_after_a_commit_cannot_fail_the_response() -> None:
    """Every on_commit is robust: Django logs its failure and goes on (kind 7)."""
    calls = [
        (path, call)
        for app in FLOOR_PLAN
        for path in (PROJECT_FOLDER / app).rglob("*.py")
        for call in _calls_of_on_commit(path)
    ]
    assert calls
    fragile = [
        f"{path.relative_to(PROJECT_FOLDER)}:{call.lineno}"
        for path, call in calls
        if not any(
            keyword.arg == "robust"
            and isinstance(keyword.value, ast.Constant)
            and keyword.value.value is True
            for keyword in call.keywords
        )
    ]
    assert not fragile
