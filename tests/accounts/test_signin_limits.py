"""Limits on guessing, and the memory of a verified password (RATE-5)."""

import itertools
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import OperationalError
from django.test import RequestFactory
from django.utils import timezone

from accounts import passwords, signin_limits
from accounts.actors import SYSTEM
from accounts.addresses import client_address
from accounts.authentication import (
    AuthenticationFailed,
    authenticate_basic,
    authenticate_token,
)
from accounts.models import FailedAttempts, User
from accounts.robots import replace_token
from accounts.signin_limits import ACCOUNT_MAX, ADDRESS_MAX, PAIR_MAX, TooManyAttempts
from accounts.tokens import (
    ACCESS_TOKEN_PREFIX,
    REFRESH_TOKEN_PREFIX,
    ROBOT_TOKEN_PREFIX,
    issue_access_token,
    make_token,
    revoke_access_token,
)
from registry_site.environment import networks
from repositories.models import Event
from tests import make
from tests.registry_client import RegistryClient, error_codes
from tests.servers import BerthServer

PASSWORD = "correct horse battery"
_addresses = (f"203.0.{a}.{b}" for a, b in itertools.product(range(114), range(250)))


@pytest.fixture
def address() -> str:
    return next(_addresses)


def fail(username: str, address: str, times: int) -> None:
    for _ in range(times):
        signin_limits.record_failure(username=username, address=address)


def test_who_fails_too_often_has_to_wait(database: None, address: str) -> None:
    person = make.user("judy", password=PASSWORD)
    fail(person.username, address, PAIR_MAX - 1)
    with pytest.raises(AuthenticationFailed):
        authenticate_basic(person.username, "a guess", address=address)
    with pytest.raises(TooManyAttempts) as refused:
        authenticate_basic(person.username, PASSWORD, address=address)
    assert (
        0
        < refused.value.retry_after_seconds
        <= signin_limits.WINDOW.total_seconds() + 1
    )
    other = next(_addresses)
    assert authenticate_basic(person.username, PASSWORD, address=other)
    FailedAttempts.objects.update(window_ends_at=timezone.now() - timedelta(seconds=1))
    assert authenticate_basic(person.username, PASSWORD, address=address)
    signin_limits.forget_attempts()
    assert not FailedAttempts.objects.exists()


def test_a_blocked_caller_costs_no_hashing(
    database: None, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = make.user("kim", password=PASSWORD)
    fail(person.username, address, PAIR_MAX)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a blocked caller's password was looked at")

    monkeypatch.setattr(passwords, "authenticate", refuse)
    with pytest.raises(TooManyAttempts):
        authenticate_basic(person.username, PASSWORD, address=address)


def test_one_address_cannot_try_everybody(database: None, address: str) -> None:
    for number in range(ADDRESS_MAX):
        fail(f"nobody-{number}", address, 1)
    with pytest.raises(TooManyAttempts):
        authenticate_basic("somebody-else", "x", address=address)


def test_an_ipv6_address_counts_as_its_network(database: None) -> None:
    network = f"2001:db8:{next(_addresses).split('.')[3]}:1"
    for number in range(ADDRESS_MAX):
        fail(f"nobody-{number}", f"{network}::{number:x}", 1)
    with pytest.raises(TooManyAttempts):
        signin_limits.check_attempts(username="x", address=f"{network}:ffff::1")
    signin_limits.check_attempts(username="x", address=f"{network}1::1")


def test_pages_count_with_the_rest(
    database: None, address: str, rf: RequestFactory
) -> None:
    person = make.user("leo", password=PASSWORD)
    request = rf.post("/-/admin/login/", REMOTE_ADDR=address)
    fail(person.username, address, PAIR_MAX - 1)
    assert authenticate(request, username=person.username, password="x") is None
    with pytest.raises(TooManyAttempts):
        authenticate(request, username=person.username, password=PASSWORD)
    with pytest.raises(TooManyAttempts):
        authenticate_basic(person.username, PASSWORD, address=address)


def test_the_token_endpoint_answers_429(
    registry: object, anonymous: RegistryClient
) -> None:
    """RATE-5: 429 TOOMANYREQUESTS with Retry-After, and not 401."""
    username = make.unique("mallory")
    fail(username, "127.0.0.1", PAIR_MAX)
    client = RegistryClient(anonymous.http, anonymous.url, username, "a guess")
    for response in (
        client.token_answer(),
        client.get("/v2/", token="", headers=client.basic),
    ):
        assert response.status_code == 429
        assert error_codes(response) == ["TOOMANYREQUESTS"]
        assert int(response.headers["Retry-After"]) > 0
    FailedAttempts.objects.all().delete()


FORWARDED_FOR = [  # what the trusted proxy 10.0.0.1 sends, and who the client is
    ("198.51.100.7", "198.51.100.7"),
    ("6.6.6.6, 198.51.100.7", "198.51.100.7"),
    ("198.51.100.7, 10.0.0.2", "198.51.100.7"),
    ("198.51.100.7:55123", "198.51.100.7"),
    ("198.51.100.7:55123, 10.0.0.2:80", "198.51.100.7"),
    ("2001:db8::7", "2001:db8::7"),
    ("2001:DB8:0::7", "2001:db8::7"),
    ("[2001:db8::7]", "2001:db8::7"),
    ("[2001:db8::7]:55123", "2001:db8::7"),
    ("fe80::1%eth0", "fe80::1"),
    ("::ffff:198.51.100.7", "198.51.100.7"),
    ("[::ffff:198.51.100.7]:443, ::ffff:10.0.0.2", "198.51.100.7"),
    (" , 198.51.100.7,, ", "198.51.100.7"),
    ("nonsense, 198.51.100.7", "198.51.100.7"),
    ("6.6.6.6, nonsense", ""),
    ("6.6.6.6, unknown, 10.0.0.2", ""),
    ("198.51.100.7:notaport", ""),
    ("198.51.100.7.8", ""),
    ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
    ("6.6.6.6, " * 1000 + "198.51.100.7", "198.51.100.7"),
    ("10.0.0.2, " * 20_000 + "10.0.0.3", "10.0.0.2"),
]
FORWARDED = [
    ("for=198.51.100.7", "198.51.100.7"),
    ("For=198.51.100.7;proto=https;by=10.0.0.1", "198.51.100.7"),
    ('proto=https; for="198.51.100.7:55123"', "198.51.100.7"),
    ('for="[2001:db8::7]:4711"', "2001:db8::7"),
    ('for="[2001:db8::7]", for=10.0.0.2', "2001:db8::7"),
    ("for=6.6.6.6, for=198.51.100.7;host=a", "198.51.100.7"),
    ('for="6.6.6.6, 7.7.7.7", for=198.51.100.7', "198.51.100.7"),
    ("for=unknown", ""),
    ("for=_hidden, for=10.0.0.2", ""),
    ("proto=https", ""),
    ('for="198.51.100.7', ""),
    ("=;,;=" * 1000, ""),
    ("a" * 60_000, ""),
]


@pytest.mark.parametrize(
    ("name", "header", "expected"),
    [
        *(("X-Forwarded-For", *case) for case in FORWARDED_FOR),
        *(("Forwarded", *case) for case in FORWARDED),
    ],
)
def test_a_trusted_proxy_says_where_the_client_is(
    rf: RequestFactory,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    header: str,
    expected: str,
) -> None:
    """Ports, brackets, mapped addresses, several hops, RFC 7239, nonsense (D14)."""
    monkeypatch.setattr(settings, "BERTH_TRUSTED_PROXIES", networks("10.0.0.0/8"))
    request = rf.get("/", REMOTE_ADDR="10.0.0.1", headers={name: header})
    assert client_address(request) == expected


@pytest.mark.parametrize(
    ("peer", "trusted", "expected"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("198.51.100.9", "10.0.0.0/8", "198.51.100.9"),
        ("::ffff:198.51.100.9", "10.0.0.0/8", "198.51.100.9"),
        ("::ffff:10.0.0.1", "10.0.0.0/8", "6.6.6.6"),
        ("", "10.0.0.0/8", ""),
    ],
)
def test_strangers_do_not_choose_their_address(
    rf: RequestFactory,
    monkeypatch: pytest.MonkeyPatch,
    peer: str,
    trusted: str,
    expected: str,
) -> None:
    """Headers count from trusted peers only; X-Forwarded-For before Forwarded (D14)."""
    monkeypatch.setattr(settings, "BERTH_TRUSTED_PROXIES", networks(trusted))
    headers = {"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=7.7.7.7"}
    request = rf.get("/", REMOTE_ADDR=peer, headers=headers)
    assert client_address(request) == expected


def test_lines_of_one_header_are_one_list(
    registry: BerthServer, http: httpx.Client
) -> None:
    """A proxy may add a line instead of an entry; the audit has the address (D14)."""
    person = make.user("behind")
    secret = make.access_token(person)
    with BerthServer(
        data_folder=registry.data_folder,
        database_url=registry.environment.get("DATABASE_URL"),
        BERTH_WORKERS="1",
        BERTH_TRUSTED_PROXIES="127.0.0.1",
    ) as server:
        for number, name in enumerate(("X-Forwarded-For", "Forwarded")):
            words = ("6.6.6.6", f"203.0.113.{number}:55123")
            if name == "Forwarded":
                words = ("for=6.6.6.6", f'for="203.0.113.{number}:55123"')
            created = http.post(
                f"{server.url}/api/v1/user/tokens",
                json={"name": name, "actions": "read"},
                headers=[
                    ("Authorization", f"Bearer {secret}"),
                    *((name, word) for word in words),
                ],
            )
            assert created.status_code == 201, created.text
            event = Event.objects.of_namespace(person.namespace).latest("pk")
            assert event.address == f"203.0.113.{number}"


def test_a_verified_password_is_remembered_until_it_changes(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CI that signs in by password for every layer does not burn a core."""
    person = make.user("nina", password=PASSWORD)
    hashed = []

    def verify(password: str) -> User | None:
        return passwords.verify_password(username=person.username, password=password)

    assert verify(PASSWORD) == person

    def count(**credentials: Any) -> object:
        hashed.append(credentials["username"])
        return authenticate(**credentials)

    monkeypatch.setattr(passwords, "authenticate", count)
    assert verify(PASSWORD) == person
    assert hashed == []
    assert verify(PASSWORD + "x") is None
    assert len(hashed) == 1
    person.set_password("another one")
    person.save()
    assert verify(PASSWORD) is None
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert verify("another one") is None


def test_an_account_that_others_guess_at_stays_open_to_its_tokens(
    database: None, address: str
) -> None:
    """Or whoever knows a name could stop a team's CI."""
    person = make.user("victim")
    secret = make.access_token(person)
    for _ in range(ACCOUNT_MAX // PAIR_MAX):
        fail(person.username, next(_addresses), PAIR_MAX)
    with pytest.raises(TooManyAttempts):
        authenticate_basic(person.username, "a guess", address=address)
    assert authenticate_basic(person.username, secret, address=address)
    assert authenticate_token(secret)


@pytest.fixture
def revoked() -> str:
    """An access token that is correct in form, and revoked."""
    token, secret = issue_access_token(
        user=make.user("leaver"), name="old", actions="read", actor=SYSTEM
    )
    revoke_access_token(token=token, actor=SYSTEM)
    return secret


def test_what_is_no_guess_at_a_password_blocks_no_address(
    database: None, address: str, revoked: str
) -> None:
    """Tokens cannot be guessed, and an empty password is no guess (AUTH-52, A8, C3)."""
    person = make.user("neighbor", password=PASSWORD)
    secret = make.access_token(person)
    acme = make.organization(owner=person)
    robot, old = make.robot(acme.namespace)
    new = replace_token(robot=robot, actor=SYSTEM)
    for username, wrong in (
        (person.username, revoked),
        (robot.username, old),
        ("acme+deleted", make_token(ROBOT_TOKEN_PREFIX)),
        (person.username, make_token(ACCESS_TOKEN_PREFIX)[:-1]),  # cut off
        (person.username, make_token(REFRESH_TOKEN_PREFIX)),
        (person.username, ""),
        ("", "a password"),
    ):
        for _ in range(ADDRESS_MAX + 1):
            with pytest.raises(AuthenticationFailed):
                authenticate_basic(username, wrong, address=address)
        for bearer in (wrong, revoked):
            with pytest.raises(AuthenticationFailed):
                authenticate_token(bearer)
    assert not FailedAttempts.objects.filter(key__in=keys_of(address)).exists()
    assert authenticate_basic(person.username, PASSWORD, address=address)
    assert authenticate_basic(person.username, secret, address=address)
    assert authenticate_basic(robot.username, new, address=address)


def keys_of(address: str) -> list[str]:
    return [counter.key for counter in signin_limits._counters("", address)]


def test_a_blocked_address_keeps_its_tokens(database: None, address: str) -> None:
    """An unguessable credential that is correct is always accepted (AUTH-52, A8)."""
    person = make.user("bearer")
    secret = make.access_token(person)
    robot, of_robot = make.robot(make.organization(owner=person).namespace)
    fail("", address, ADDRESS_MAX)
    with pytest.raises(TooManyAttempts):
        authenticate_basic(person.username, "a guess", address=address)
    assert authenticate_basic(person.username, secret, address=address)
    assert authenticate_basic(robot.username, of_robot, address=address)
    assert authenticate_token(secret) and authenticate_token(of_robot)


def test_a_program_that_repeats_an_old_password_counts_once(
    database: None, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not guess, so it blocks nobody, and costs one hash (A8)."""
    person = make.user("rotated", password=PASSWORD)
    hashes = count_hashes(monkeypatch)
    for username in (person.username, make.unique("nobody")):
        hashes.clear()
        for _ in range(ADDRESS_MAX + 1):
            with pytest.raises(AuthenticationFailed):
                authenticate_basic(username, "the old password", address=address)
        assert len(hashes) == 1
    assert authenticate_basic(person.username, PASSWORD, address=address)
    person.set_password("the old password")
    person.save()
    assert authenticate_basic(person.username, "the old password", address=address)


def count_hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by one for each hash."""
    hashes: list[str] = []
    for name in ("encode", "verify"):
        hash_it = getattr(Argon2PasswordHasher, name)

        def count(self: object, *words: str, hash_it: Any = hash_it) -> object:
            hashes.append(words[0])
            return hash_it(self, *words)

        monkeypatch.setattr(Argon2PasswordHasher, name, count)
    return hashes


def test_the_same_name_works_everywhere(
    database: None, address: str, rf: RequestFactory
) -> None:
    """A username in any case or the email address, by either secret (AUTH-51, C8)."""
    email = f"{make.unique('dave')}+ci@example.com"
    person = make.user("dave", password=PASSWORD, email=email)
    secret = make.access_token(person)
    request = rf.post("/accounts/login/", REMOTE_ADDR=address)
    for name in (person.username, person.username.upper(), email, email.upper()):
        assert authenticate(request, username=name, password=PASSWORD) == person
        for credential in (PASSWORD, secret):
            actor = authenticate_basic(name, credential, address=address)
            assert (actor.user_id, actor.name) == (person.pk, person.username)


def test_sign_in_and_token_endpoint_share_one_limit(
    registry: object, anonymous: RegistryClient, revoked: str
) -> None:
    """The API takes tokens only, so it blocks nobody (A8)."""
    for number in range(ADDRESS_MAX):  # as a page's sign-in counts them
        fail(f"nobody-{number}", "127.0.0.1", 1)
    secret = make.access_token(make.user("bearer"))
    for bearer, status in ((secret, 200), (revoked, 401)):
        response = anonymous.http.get(
            f"{anonymous.url}/api/v1/user",
            headers={"Authorization": f"Bearer {bearer}"},
        )
        assert response.status_code == status
    assert anonymous.token_answer().status_code == 200  # no name, no guess
    someone = RegistryClient(anonymous.http, anonymous.url, "somebody", "x")
    assert someone.token_answer().status_code == 429
    FailedAttempts.objects.all().delete()


def test_nobody_is_blocked_when_the_counts_cannot_be_read(
    database: None, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = make.user("open", password=PASSWORD)
    fail(person.username, address, PAIR_MAX)

    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("the table is away")

    monkeypatch.setattr(FailedAttempts.objects, "filter", refuse)
    assert authenticate_basic(person.username, PASSWORD, address=address)
    with pytest.raises(AuthenticationFailed):
        authenticate_basic(person.username, "wrong", address=address)
