"""Password hashing has one limit for every way in (A5)."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher, check_password
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.http import HttpResponseBase
from django.test import Client

from accounts import hashing
from accounts.hashing import HASHES_MAX, WAITING_MAX, HashingBusy
from accounts.models import User
from distribution.views import token as token_views
from tests import make
from tests.pages import session_cookie

PASSWORD = "a long enough password"
JSON = "application/json"


@pytest.fixture(scope="module")
def judy(django_db_setup: None) -> User:
    return make.user(
        "judy", password=PASSWORD, email=f"{make.unique('judy')}@example.com"
    )


@pytest.fixture(scope="module")
def admin(django_db_setup: None) -> User:
    return make.user("root", is_superuser=True, is_staff=True)


@contextmanager
def all_slots_taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(hashing, "WAIT_SECONDS", 0.01)
    with ExitStack() as stack:
        for _ in range(HASHES_MAX):
            stack.enter_context(hashing.hashing_slot())
        yield


def signed_in(person: User) -> Client:
    browser = Client(HTTP_HOST=settings.BERTH_SERVICE)
    browser.cookies[settings.SESSION_COOKIE_NAME] = session_cookie(person)
    return browser


def sign_in(judy: User, admin: User) -> Any:
    fields = {"login": judy.username, "password": PASSWORD}
    return Client(HTTP_HOST=settings.BERTH_SERVICE).post("/accounts/login/", fields)


def sign_in_as_nobody(judy: User, admin: User) -> Any:
    fields = {"login": make.unique("nobody"), "password": PASSWORD}
    return Client(HTTP_HOST=settings.BERTH_SERVICE).post("/accounts/login/", fields)


def sign_up(judy: User, admin: User) -> Any:
    name = make.unique("nina")
    fields = {"username": name, "email": f"{name}@example.com", "password1": PASSWORD}
    return Client(HTTP_HOST=settings.BERTH_SERVICE).post("/accounts/signup/", fields)


def change_password(judy: User, admin: User) -> Any:
    fields = {"oldpassword": PASSWORD, "password1": PASSWORD * 2}
    fields["password2"] = fields["password1"]
    return signed_in(judy).post("/accounts/password/change/", fields)


def reauthenticate(judy: User, admin: User) -> Any:
    return signed_in(judy).post("/accounts/reauthenticate/", {"password": PASSWORD})


def reset_password(judy: User, admin: User) -> Any:
    from allauth.account.forms import default_token_generator
    from allauth.account.utils import user_pk_to_url_str

    assert isinstance(default_token_generator, PasswordResetTokenGenerator)
    key = default_token_generator.make_token(judy)
    browser = Client(HTTP_HOST=settings.BERTH_SERVICE)
    path = f"/accounts/password/reset/key/{user_pk_to_url_str(judy)}-{key}/"
    path = browser.get(path).headers["Location"]
    fields = {"password1": PASSWORD * 2, "password2": PASSWORD * 2}
    return browser.post(path, fields)


def add_by_administrator(judy: User, admin: User) -> Any:
    fields = {"username": make.unique("new"), "usable_password": "true"}
    fields |= {"password1": PASSWORD, "password2": PASSWORD}
    return signed_in(admin).post("/-/admin/accounts/user/add/", fields)


def change_by_administrator(judy: User, admin: User) -> Any:
    fields = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    path = f"/-/admin/accounts/user/{judy.pk}/password/"
    return signed_in(admin).post(path, fields)


def add_by_api(judy: User, admin: User) -> Any:
    body = {"username": make.unique("new"), "password": PASSWORD}
    secret = make.access_token(admin)
    return Client(HTTP_HOST=settings.BERTH_SERVICE).post(
        "/api/v1/users",
        body,
        content_type=JSON,
        headers={"Authorization": f"Bearer {secret}"},
    )


def get_token(judy: User, admin: User) -> Any:
    words = base64.b64encode(f"{judy.username}:{PASSWORD}x".encode()).decode()
    return Client(HTTP_HOST=settings.BERTH_SERVICE).get(
        "/v2/token", headers={"Authorization": f"Basic {words}"}
    )


def post_token(judy: User, admin: User) -> Any:
    fields = f"grant_type=password&username=nobody&password={make.unique('x')}"
    return Client(HTTP_HOST=settings.BERTH_SERVICE).post(
        "/v2/token", fields, content_type=token_views.FORM_TYPE
    )


@pytest.mark.parametrize(
    "way_in",
    [
        sign_in,
        sign_in_as_nobody,
        sign_up,
        change_password,
        reauthenticate,
        reset_password,
        add_by_administrator,
        change_by_administrator,
        add_by_api,
        get_token,
        post_token,
    ],
)
def test_every_way_in_says_that_it_is_busy(
    judy: User,
    admin: User,
    monkeypatch: pytest.MonkeyPatch,
    way_in: Callable[[User, User], HttpResponseBase],
) -> None:
    """503 with Retry-After, in the shape of its place, and nothing is changed (A5)."""
    before = User.objects.count(), User.objects.get(pk=judy.pk).password
    with all_slots_taken(monkeypatch):
        answer: Any = way_in(judy, admin)
    assert answer.status_code == 503, answer.content
    assert int(answer.headers["Retry-After"]) > 0
    if answer.headers["Content-Type"] == JSON:
        [error] = answer.json()["errors"]
        assert error["code"].lower() in {"busy", "unavailable"}
        assert "try again" in error["message"]
    else:
        assert b"<h1>Too many people are signing in</h1>" in answer.content
    assert before == (User.objects.count(), User.objects.get(pk=judy.pk).password)


def test_a_crowd_hashes_two_at_a_time_and_leaves_other_threads_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The memory of a process is bounded, and so are the threads that wait (A5)."""
    at_once: list[int] = []
    running = 0
    lock = threading.Lock()
    go_on = threading.Event()

    def hash_slowly(self: object, password: str, encoded: str) -> bool:
        nonlocal running
        with lock:
            running += 1
            at_once.append(running)
        go_on.wait(30)
        with lock:
            running -= 1
        return True

    encoded = Argon2PasswordHasher().encode("x", "saltsaltsalt")
    monkeypatch.setattr(Argon2PasswordHasher, "verify", hash_slowly)
    outcomes: list[str] = []

    def enter() -> None:
        try:
            check_password("x", encoded)
            outcomes.append("verified")
        except HashingBusy:
            outcomes.append("busy")

    monkeypatch.setattr(hashing, "WAIT_SECONDS", 30)
    crowd = [threading.Thread(target=enter) for _ in range(4 * settings.BERTH_THREADS)]
    for thread in crowd:
        thread.start()
    admitted = HASHES_MAX + WAITING_MAX
    deadline = time.monotonic() + 30
    while len(outcomes) < len(crowd) - admitted and time.monotonic() < deadline:
        time.sleep(0.01)
    assert outcomes == ["busy"] * (len(crowd) - admitted), "at once, without waiting"
    go_on.set()
    for thread in crowd:
        thread.join(30)
    assert outcomes.count("verified") == admitted
    assert max(at_once) == HASHES_MAX
    assert admitted < settings.BERTH_THREADS
