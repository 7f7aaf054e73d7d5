"""Access tokens on their page: issued once, listed, narrowed, revoked."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from accounts.actors import ANONYMOUS
from accounts.models import AccessToken, User
from repositories.lifecycle import rename_repository
from repositories.models import Repository
from tests import make
from tests.conftest import Cast
from tests.pages import PageClient, title_of
from tests.registry_client import RegistryClient
from tests.servers import BerthServer

PATH = "/settings/tokens"


@pytest.fixture
def person(database: None) -> User:
    return make.user("yara")


@pytest.fixture
def yara(registry: BerthServer, person: User) -> Iterator[PageClient]:
    with PageClient(registry.url, person) as client:
        yield client


def fields(**more: str) -> dict[str, str]:
    return {"name": "laptop", "actions": "write", "days": "90", **more}


def secret_of(page: httpx.Response) -> str:
    secrets = re.findall(r'data-copy="(berth_pat_\w+)"', page.text)
    assert len(secrets) == 1, page.text
    return secrets[0]


def test_a_token_is_shown_once_and_works(
    yara: PageClient, person: User, anonymous: RegistryClient
) -> None:
    done = yara.post(PATH, fields())
    assert done.status_code == 200
    assert "no-store" in done.headers["Cache-Control"]
    secret = secret_of(done)
    assert "docker login" in done.text
    assert f"-u {person.username}" in done.text
    again = yara.get(PATH)
    assert "laptop" in again.text
    assert f"…{secret[-4:]}</code>" in again.text, "to find it by when it has leaked"
    assert secret not in again.text
    token = AccessToken.objects.get(user=person)
    assert token.actions == "write"
    assert token.expires_at is not None
    assert timedelta(89) < token.expires_at - timezone.now() <= timedelta(90)
    client = RegistryClient(anonymous.http, anonymous.url, person.username, secret)
    assert client.token_answer().status_code == 200


def test_a_form_that_comes_again_makes_no_second_token(
    yara: PageClient, person: User
) -> None:
    """As a browser sends it when the page with the token is reloaded."""
    shown = re.findall(r'name="serial" value="(\w+)"', yara.get(PATH).text)
    first = yara.post(PATH, fields(serial=shown[0]))
    again = yara.post(PATH, fields(serial=shown[0]))
    assert secret_of(first)
    assert again.status_code == 302
    assert again.headers["Location"] == PATH
    assert AccessToken.objects.filter(user=person).count() == 1


def test_a_token_may_never_expire(yara: PageClient, person: User) -> None:
    yara.post(PATH, fields(days="0"))
    assert AccessToken.objects.get(user=person).expires_at is None


def test_a_token_is_limited_to_what_is_named(
    yara: PageClient, person: User, cast: Cast
) -> None:
    mine = make.repository(person.namespace, "app")
    page = yara.post(PATH, fields(only=f"{mine.full_name}, {cast.acme.namespace.name}"))
    token = AccessToken.objects.get(user=person)
    assert token.is_limited
    limits = set(token.limits.values_list("repository_id", "namespace_id"))
    assert limits == {(mine.pk, None), (None, cast.acme.namespace.pk)}
    assert f">{mine.full_name}</code>" in page.text


def test_a_token_does_not_name_what_its_owner_sees_no_more(
    yara: PageClient, person: User, private_api: Repository
) -> None:
    grant = make.grant(private_api, person, "read")
    yara.post(PATH, fields(only=private_api.full_name))
    assert private_api.name in yara.get(PATH).text
    grant.delete()
    name = make.unique("takeover")
    rename_repository(repository=private_api, name=name, actor=ANONYMOUS)
    page = yara.get(PATH).text
    assert name not in page
    assert "no remaining repositories" in page


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"actions": "everything"},
        {"days": "-5"},
        {"only": "nobody-there"},
        {"only": "Bad Name/x"},
        {"only": "private"},
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_issued(
    yara: PageClient,
    person: User,
    private_api: Repository,
    wrong: dict[str, str],
) -> None:
    """A repository that one may not see is refused like one that is not there."""
    if wrong.get("only") == "private":
        wrong = {"only": private_api.full_name}
    done = yara.post(PATH, fields(**wrong))
    assert done.status_code == 422
    assert title_of(done) == "Error: Access tokens · Berth"
    assert "berth_pat_" not in done.text
    assert not AccessToken.objects.filter(user=person).exists()


def test_revoking_asks_first_and_then_ends_the_token(
    yara: PageClient, person: User, anonymous: RegistryClient
) -> None:
    secret = secret_of(yara.post(PATH, fields()))
    token = AccessToken.objects.get(user=person)
    path = f"{PATH}/{token.pk}/revoke"
    asked = yara.get(path)
    assert title_of(asked) == "Revoke laptop? · Berth"
    client = RegistryClient(anonymous.http, anonymous.url, person.username, secret)
    assert client.token_answer().status_code == 200
    done = yara.post(path, {}, asked)
    assert done.headers["Location"] == PATH
    assert client.token_answer().status_code == 401
    assert yara.get(path).status_code == 404
    assert "laptop" not in yara.get(PATH).text.split("<main")[1].split("toasts")[0]


def test_nobody_revokes_what_is_somebody_elses(
    registry: BerthServer, yara: PageClient, cast: Cast
) -> None:
    yara.post(PATH, fields())
    token = AccessToken.objects.order_by("-pk")[0]
    with PageClient(registry.url, cast.dave) as dave:
        page = dave.get(PATH)
        path = f"{PATH}/{token.pk}/revoke"
        assert dave.get(path).status_code == 404
        assert dave.post(path, {}, page).status_code == 404
    assert AccessToken.objects.get(pk=token.pk).revoked_at is None


def test_an_expired_token_is_listed_as_such(yara: PageClient, person: User) -> None:
    make.access_token(person, expires_at=timezone.now() - timedelta(days=1))
    make.access_token(person, expires_at=timezone.now() + timedelta(days=3))
    page = yara.get(PATH)
    assert "Expired" in page.text
    assert "in 3 days" in page.text
    assert "badge-warn" in page.text


@pytest.mark.parametrize("count", [10, 20])
def test_the_number_of_questions_does_not_grow(
    client: Any, person: User, django_assert_max_num_queries: Any, count: int
) -> None:
    for number in range(count):
        repository = make.repository(person.namespace, f"app-{number}")
        make.access_token(person, repository_ids=[repository.pk])
    client.force_login(person)
    with django_assert_max_num_queries(8):
        page = client.get(PATH)
    assert page.content.count(b'<code class="wrap">yara') == count


def test_a_token_s_name_is_shown_as_text(yara: PageClient) -> None:
    canary = "<img src=//evil.example/x onerror=alert(1)>"
    page = yara.post(PATH, fields(name=canary))
    assert page.status_code == 200
    assert canary not in page.text
    assert canary not in yara.get(PATH).text
