"""Sign-ups and other forms do not reveal which email addresses have accounts (D13)."""

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.cache import cache
from django.test import Client

from accounts.actors import SYSTEM
from accounts.emails import AddressTaken
from accounts.mail import PURPOSE
from accounts.models import QueuedMail, User
from accounts.passwords import find_login
from accounts.sealing import unseal
from accounts.users import change_user, create_user
from tests import make
from tests.accounts.test_signin_limits import count_hashes
from tests.pages import session_cookie

PASSWORD = "a long enough password"
SIGNUP = "/accounts/signup/"


@pytest.fixture(autouse=True)
def _queue_mail_without_limits(database: None, settings: Any) -> None:
    settings.EMAIL_BACKEND = "accounts.mail.QueueBackend"
    cache.clear()  # allauth's limits, such as one mail to an address in three minutes


def browser_of(person: User | None = None) -> Client:
    browser = Client(HTTP_HOST=settings.BERTH_SERVICE)
    if person is not None:
        browser.cookies[settings.SESSION_COOKIE_NAME] = session_cookie(person)
    return browser


def taken_address(*, is_confirmed: bool) -> str:
    owner = make.user("owner", email=f"{make.unique('owner')}@example.com")
    EmailAddress.objects.create(
        user=owner, email=owner.email, primary=True, verified=is_confirmed
    )
    return owner.email


def mails_to(address: str) -> list[str]:
    rows = QueuedMail.objects.filter(address__iexact=address).order_by("pk")
    return [unseal(row.sealed_message, purpose=PURPOSE).decode() for row in rows]


def seen_by_visitor(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, tuple[Any, ...]]:
    """Sign up; return the name, and all that the visitor can see and time."""
    browser, name = browser_of(), make.unique("pat")
    with monkeypatch.context() as patch:
        hashes = count_hashes(patch)
        done = browser.post(
            SIGNUP, {"username": name, "email": address, "password1": PASSWORD}
        )
    pages = []
    for path in ("/", f"/{name}", "/accounts/email/", "/api/v1/user"):
        page = browser.get(path)
        text = page.content.decode().replace(address, "ADDRESS").replace(name, "NAME")
        is_listed = "ADDRESS" in text
        shown = path.replace(name, "NAME")
        pages.append((shown, page.status_code, is_listed, "taken" in text.lower()))
    browser.logout()
    again = browser.post("/accounts/login/", {"login": name, "password": PASSWORD})
    assert again.status_code == 302, again.context["form"].errors
    seen = (
        done.status_code,
        done.headers["Location"],
        sorted(done.cookies),
        len(hashes),
        len(mails_to(address)) > 0,
        pages,
        (again.status_code, again.headers["Location"]),
    )
    return name, seen


@pytest.mark.parametrize("verification", ["none", "optional", "mandatory"])
def test_a_sign_up_answers_the_same_for_every_address(
    settings: Any, monkeypatch: pytest.MonkeyPatch, verification: str
) -> None:
    """Status, redirect, pages, hashes; and the owner of the address gets mail (D13)."""
    settings.BERTH_EMAIL_VERIFICATION = verification
    settings.ACCOUNT_EMAIL_VERIFICATION = verification
    fresh = f"{make.unique('fresh')}@example.com"
    confirmed = taken_address(is_confirmed=True)
    unconfirmed = taken_address(is_confirmed=False)
    seen = {}
    for address in (fresh, confirmed, unconfirmed):
        name, seen[address] = seen_by_visitor(address, monkeypatch)
        assert User.objects.get(username=name).email == address
        mails = mails_to(address)
        if address == fresh:
            assert not any("another account" in mail for mail in mails)
            continue
        [mail] = mails
        assert f'The account "{name}" was given your email address' in mail
        assert f"{settings.BERTH_URL}/accounts/password/reset/" in mail
        can_confirm = address == unconfirmed and verification != "none"
        assert ("/accounts/confirm-email/" in mail) == can_confirm
    if verification == "none":  # no mail at all is sent to a new address
        seen[fresh] = (*seen[fresh][:4], True, *seen[fresh][5:])
    assert seen[fresh] == seen[confirmed] == seen[unconfirmed]


def test_adding_an_address_and_a_lost_password_answer_the_same() -> None:
    """The page says the same, and one mail goes to the address (D13)."""
    answers = []
    for address in (
        f"{make.unique('fresh')}@example.com",
        taken_address(is_confirmed=True),
    ):
        person = make.user("kim")
        done = browser_of(person).post(
            "/accounts/email/", {"email": address, "action_add": ""}
        )
        reset = browser_of().post("/accounts/password/reset/", {"email": address})
        answers.append(
            (
                done.status_code,
                done.headers["Location"],
                reset.status_code,
                reset.headers["Location"],
                len(mails_to(address)),
            )
        )
        assert EmailAddress.objects.filter(user=person, email=address).exists()
    assert answers[0] == answers[1]
    assert answers[0][0] == answers[0][2] == 302
    assert answers[0][4] == 2


def test_an_address_means_the_account_that_confirmed_it() -> None:
    """Else the oldest that can sign in: a later sign-up takes nothing away (D13)."""
    address = f"{make.unique('shared')}@example.com"
    first, second, third = (make.user(n, email=address) for n in ("a", "b", "c"))
    assert find_login(address.upper()) == first.username
    EmailAddress.objects.create(user=third, email=address, verified=True)
    assert find_login(address) == third.username
    User.objects.filter(pk__in=[first.pk, third.pk]).update(is_active=False)
    assert find_login(address) == second.username


def test_administrators_learn_that_an_address_is_taken() -> None:
    address = taken_address(is_confirmed=True)
    with pytest.raises(AddressTaken):
        create_user(
            username=make.unique("new"),
            password=None,
            email=address.upper(),
            actor=SYSTEM,
        )
    person = make.user("other")
    with pytest.raises(AddressTaken):
        change_user(user=person, actor=SYSTEM, email=address)
    admin = make.user("root", is_superuser=True, is_staff=True)
    done = browser_of(admin).post(
        f"/-/admin/accounts/user/{person.pk}/change/",
        {"username": person.username, "email": address, "is_active": "on"},
    )
    assert done.status_code == 200
    assert "another account has this email address" in done.content.decode()
