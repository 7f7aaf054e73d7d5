"""What docker keeps instead of a password is listed and taken back (AUTH-31)."""

from collections.abc import Iterator

import pytest

from accounts.actors import SYSTEM
from accounts.models import AccessToken, User
from accounts.tokens import revoke_access_token
from distribution import pages
from distribution.models import RefreshToken
from repositories.models import Event
from tests import make
from tests.conftest import Cast
from tests.distribution.test_tokens_by_post import login, refresh
from tests.pages import PageClient, count_queries, title_of
from tests.registry_client import RegistryClient
from tests.servers import BerthServer

PATH = "/settings/logins"


@pytest.fixture
def registry(identity_server: BerthServer) -> BerthServer:
    """Where everybody of this module signs in."""
    return identity_server


@pytest.fixture
def person() -> User:
    return make.user("lena")


@pytest.fixture
def lena(registry: BerthServer, person: User) -> Iterator[PageClient]:
    with PageClient(registry.url, person) as client:
        yield client


@pytest.fixture
def docker(anonymous: RegistryClient, person: User) -> RegistryClient:
    secret = make.access_token(person)
    return RegistryClient(anonymous.http, anonymous.url, person.username, secret)


def newest(person: User) -> int:
    return RefreshToken.objects.filter(user=person).latest("pk").pk


def test_one_is_ended_and_the_other_goes_on(
    lena: PageClient, person: User, docker: RegistryClient
) -> None:
    first, second = login(docker), login(docker)
    page = lena.get(PATH)
    assert title_of(page) == "Docker logins · Berth"
    assert page.text.count("containerd-client</th>") == 2
    assert 'the token <span class="wrap">token-' in page.text
    done = lena.post(PATH, {"login": str(newest(person))}, page)
    assert done.headers["Location"] == PATH
    assert refresh(docker, second).status_code == 401
    assert refresh(docker, first).status_code == 200
    page = lena.get(PATH)
    assert page.text.count("containerd-client</th>") == 1
    event = Event.objects.of_namespace(person.namespace).latest("pk")
    assert (event.kind, event.actor_name) == ("user.login_ended", person.username)
    assert event.detail["clients"] == ["containerd-client"]


def test_all_are_ended_at_once(
    lena: PageClient, docker: RegistryClient, alice: RegistryClient
) -> None:
    of_others = login(alice)
    secrets = [login(docker) for _ in range(3)]
    lena.post(PATH, {"login": "all"}, lena.get(PATH))
    assert [refresh(docker, secret).status_code for secret in secrets] == [401] * 3
    assert refresh(alice, of_others).status_code == 200
    assert "No logins" in lena.get(PATH).text


def test_what_ended_by_itself_is_not_listed(
    lena: PageClient, person: User, docker: RegistryClient, anonymous: RegistryClient
) -> None:
    """By a revoked token, and by a changed password."""
    login(docker)
    assert "No logins" not in lena.get(PATH).text
    revoke_access_token(token=AccessToken.objects.get(user=person), actor=SYSTEM)
    assert "No logins" in lena.get(PATH).text
    person.set_password("a long enough password")
    person.save()
    with PageClient(lena.url, person) as browser:
        client = RegistryClient(
            anonymous.http, lena.url, person.username, "a long enough password"
        )
        login(client)
        assert "your password" in browser.get(PATH).text
    person.set_password("another long password")
    person.save()
    with PageClient(lena.url, person) as browser:
        assert "No logins" in browser.get(PATH).text


@pytest.mark.parametrize("chosen", ["", "x", "-1", "9" * 30, "9" * 19])
def test_what_is_no_login_is_refused(lena: PageClient, chosen: str) -> None:
    assert lena.post(PATH, {"login": chosen}, lena.get(PATH)).status_code == 400


def test_nobody_ends_what_is_somebody_elses(
    lena: PageClient, cast: Cast, alice: RegistryClient
) -> None:
    secret = login(alice)
    of_alice = {"login": str(newest(cast.alice))}
    done = lena.post(PATH, of_alice, lena.get(PATH))
    assert done.headers["Location"] == PATH  # as for one that has ended
    assert "Already revoked" in lena.get(PATH).text
    assert refresh(alice, secret).status_code == 200


def test_a_ci_that_signs_in_each_time_has_no_endless_page(
    lena: PageClient, person: User
) -> None:
    def sign_in_often(times: int) -> None:
        mark = person.get_session_auth_hash()
        RefreshToken.objects.bulk_create(
            RefreshToken(
                user=person,
                token_hash=make.unique("hash"),
                password_mark=mark,
                client="docker",
            )
            for _ in range(times)
        )

    sign_in_often(10)
    few = count_queries(PATH, person)
    sign_in_often(pages.LISTED_MAX)
    assert count_queries(PATH, person) == few <= 12
    page = lena.get(PATH).text
    assert page.count("docker</th>") == pages.LISTED_MAX
    assert "Only the logins used last" in page
