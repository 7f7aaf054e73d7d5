"""Refresh tokens: what docker stores with BERTH_IDENTITY_TOKENS (D-12)."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from accounts.actors import SYSTEM
from accounts.models import AccessToken, Robot, User
from accounts.robots import replace_token
from accounts.tokens import issue_access_token, revoke_access_token
from distribution.models import RefreshToken
from tests import make
from tests.conftest import Cast
from tests.distribution.test_tokens import access_of
from tests.distribution.test_tokens_by_post import login, post_token, refresh
from tests.registry_client import RegistryClient, basic_header
from tests.servers import BerthServer


@pytest.fixture
def registry(identity_server: BerthServer) -> BerthServer:
    """Where everybody of this module signs in."""
    return identity_server


def test_it_only_comes_when_asked_for(
    alice: RegistryClient, anonymous: RegistryClient
) -> None:
    """AUTH-13, AUTH-31: and never to nobody."""
    asked = alice.token_answer(offline_token="true").json()
    assert asked["refresh_token"].startswith("berth_ref_")
    assert "refresh_token" not in alice.token_answer(offline_token="false").json()
    assert "refresh_token" not in anonymous.token_answer(offline_token="true").json()


def test_a_refresh_token_gives_tokens_for_long(alice: RegistryClient, api: str) -> None:
    """AUTH-31, D-12: docker throws the password away and keeps this one."""
    secret = alice.token_answer(offline_token="true", client_id="docker").json()
    for _ in range(2):
        answer = refresh(
            alice, secret["refresh_token"], scope=f"repository:{api}:pull,push"
        )
        assert access_of(answer) == {f"repository:{api}": ["pull", "push"]}
        assert answer.json()["refresh_token"] == secret["refresh_token"]


def test_a_refresh_token_is_kept_as_a_hash(alice: RegistryClient) -> None:
    """D-12, AUTH-31."""
    secret = login(alice)
    for row in RefreshToken.objects.all().values():
        assert secret not in map(str, row.values())


def test_a_refresh_token_is_no_password_and_no_bearer_token(
    alice: RegistryClient,
) -> None:
    """AUTH-31: it is good for one thing."""
    secret = login(alice)
    assert alice.get("/v2/", token=secret).status_code == 401
    basic = basic_header(alice.username, secret)
    assert alice.get("/v2/", token="", headers=basic).status_code == 401
    assert post_token(alice, password=secret).status_code == 401


def test_a_refresh_token_keeps_the_ceiling_it_was_made_under(
    alice: RegistryClient, cast: Cast, api: str
) -> None:
    """AUTH-31, AUTH-12."""
    secret = make.access_token(cast.alice, "read")
    narrow = RegistryClient(alice.http, alice.url, alice.username, secret)
    answer = refresh(narrow, login(narrow), scope=f"repository:{api}:pull,push")
    assert access_of(answer) == {f"repository:{api}": ["pull"]}


def change_password(person: User) -> None:
    person.set_password("another one")
    person.save()


def deactivate(person: User) -> None:
    User.objects.filter(pk=person.pk).update(is_active=False)


@pytest.mark.parametrize("end", [change_password, deactivate])
def test_it_dies_with_the_password(
    anonymous: RegistryClient, end: Callable[[User], None]
) -> None:
    """AUTH-31, AUTH-22."""
    person = make.user("leaver", password="the first one")
    client = RegistryClient(
        anonymous.http, anonymous.url, person.username, "the first one"
    )
    secret = login(client)
    assert refresh(client, secret).status_code == 200
    end(person)
    assert refresh(client, secret).status_code == 401


def expire(token: AccessToken) -> None:
    AccessToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())


def delete(row: AccessToken | Robot) -> None:
    row.delete()


def revoke(token: AccessToken) -> None:
    revoke_access_token(token=token, actor=SYSTEM)


@pytest.mark.parametrize("end", [revoke, expire, delete])
def test_it_dies_with_the_access_token(
    anonymous: RegistryClient, end: Callable[[AccessToken], None]
) -> None:
    """AUTH-31, AUTH-22."""
    person = make.user("leaver")
    token, secret = issue_access_token(
        user=person, name="laptop", actions="admin", actor=SYSTEM
    )
    client = RegistryClient(anonymous.http, anonymous.url, person.username, secret)
    refresh_token = login(client)
    assert refresh(client, refresh_token).status_code == 200
    end(token)
    assert refresh(client, refresh_token).status_code == 401


def disable(robot: Robot) -> None:
    Robot.objects.filter(pk=robot.pk).update(is_active=False)


def replace(robot: Robot) -> None:
    replace_token(robot=robot, actor=SYSTEM)


@pytest.mark.parametrize("end", [replace, disable, delete])
def test_it_dies_with_the_robots_token(
    anonymous: RegistryClient, cast: Cast, end: Callable[[Robot], None]
) -> None:
    """AUTH-31, AUTH-22."""
    robot, secret = make.robot(cast.acme.namespace, "leaver")
    client = RegistryClient(anonymous.http, anonymous.url, robot.username, secret)
    refresh_token = login(client)
    assert refresh(client, refresh_token).status_code == 200
    end(robot)
    assert refresh(client, refresh_token).status_code == 401


def test_it_can_be_revoked_alone(alice: RegistryClient) -> None:
    """AUTH-31, AUTH-22."""
    first, second = login(alice), login(alice)
    latest = RefreshToken.objects.order_by("-pk")[0]
    RefreshToken.objects.filter(pk=latest.pk).update(revoked_at=timezone.now())
    assert refresh(alice, second).status_code == 401
    assert refresh(alice, first).status_code == 200
