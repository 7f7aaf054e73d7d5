"""POST /v2/token: OAuth2 for containerd, helm, oras and identity tokens (§2.3)."""

from collections.abc import Callable
from typing import Any

import httpx
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
from tests.registry_client import (
    RegistryClient,
    basic_header,
    check_answer,
    error_codes,
)

FORM = "application/x-www-form-urlencoded"


def post_token(client: RegistryClient, **form: Any) -> httpx.Response:
    """Post the form as this client does; a field that is None is left out."""
    fields = {
        "grant_type": "password",
        "service": client.url.removeprefix("http://"),
        "client_id": "containerd-client",
        "username": client.username,
        "password": client.secret,
        **form,
    }
    answer = client.http.post(
        f"{client.url}/v2/token",
        data={name: value for name, value in fields.items() if value is not None},
    )
    check_answer(answer)
    return answer


def refresh(client: RegistryClient, refresh_token: str, **form: Any) -> httpx.Response:
    return post_token(
        client,
        grant_type="refresh_token",
        refresh_token=refresh_token,
        client_id="docker",
        username=None,
        password=None,
        **form,
    )


def login(client: RegistryClient) -> str:
    """Sign in for long and return the refresh token."""
    answer = post_token(client, access_type="offline")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["refresh_token"])


def test_the_answer_has_all_that_clients_read(alice: RegistryClient, api: str) -> None:
    """AUTH-20, AUTH-21, AUTH-23, R-52: containerd tries POST first."""
    answer = post_token(alice, scope=f"repository:{api}:pull,push")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert body["access_token"] == body["token"]
    assert body["scope"] == f"repository:{api}:pull,push"
    assert body["expires_in"] >= 300 and body["issued_at"]
    assert "refresh_token" not in body
    token = body["access_token"]
    assert alice.get(f"/v2/{api}/tags/list", token=token).status_code == 200


def test_get_works_beside_it(alice: RegistryClient, api: str) -> None:
    """R-52."""
    by_get = access_of(alice.token_answer(f"repository:{api}:pull"))
    by_post = access_of(post_token(alice, scope=f"repository:{api}:pull"))
    assert by_get == by_post == {f"repository:{api}": ["pull"]}


@pytest.mark.parametrize("joined", [True, False])
def test_several_scopes_all_count(
    alice: RegistryClient, api: str, other: str, joined: bool
) -> None:
    """AUTH-20, R-17: containers/image repeats the field, the others join."""
    scopes = [f"repository:{api}:pull,push", f"repository:{other}:pull"]
    answer = post_token(alice, scope=" ".join(scopes) if joined else scopes)
    assert access_of(answer) == {
        f"repository:{api}": ["pull", "push"],
        f"repository:{other}": ["pull"],
    }


@pytest.mark.parametrize("absent", ["client_id", "service", "scope", "access_type"])
def test_fields_may_be_absent(alice: RegistryClient, absent: str) -> None:
    """AUTH-20."""
    assert post_token(alice, **{absent: None}).status_code == 200


@pytest.mark.parametrize("content_type", [f"{FORM}; charset=utf-8", FORM.upper()])
def test_the_content_type_may_have_parameters(
    alice: RegistryClient, content_type: str
) -> None:
    """AUTH-20."""
    form = httpx.QueryParams(
        grant_type="password", username=alice.username, password=alice.secret
    )
    body = str(form).encode()
    for content in (body, [body]):  # with a length, and chunked
        answer = alice.post(
            "/v2/token",
            token="",
            content=content,
            headers={"Content-Type": content_type},
        )
        assert answer.status_code == 200


def test_a_robot_name_with_a_plus_survives_the_form(robby: RegistryClient) -> None:
    """AUTH-32."""
    assert post_token(robby).status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        {"password": "wrong"},
        {"password": ""},
        {"password": None},
        {"username": None},
        {"username": "nobody-of-that-name"},
        {"grant_type": "refresh_token"},
        {"grant_type": "refresh_token", "refresh_token": "wrong"},
        {"grant_type": "refresh_token", "refresh_token": "berth_ref_" + "x" * 42},
        {"password": "nul\0nul", "username": "nul\0"},
    ],
)
def test_wrong_credentials_are_refused(
    alice: RegistryClient, form: dict[str, str | None]
) -> None:
    """AUTH-22, AUTH-11: 401, so that nobody falls back to less."""
    answer = post_token(alice, **form)
    assert answer.status_code == 401
    assert error_codes(answer) == ["UNAUTHORIZED"]


@pytest.mark.parametrize("grant_type", ["", "client_credentials", "authorization_code"])
def test_other_grants_are_refused(alice: RegistryClient, grant_type: str) -> None:
    """AUTH-22: with a status on which containerd goes on to GET."""
    assert post_token(alice, grant_type=grant_type).status_code == 400


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/json", b'{"grant_type":"password"}'),
        ("", b"grant_type=password"),
        (FORM, b"\xff\xfe=%ff"),
        (FORM, b"a=b&" * 2000),
        (FORM, b"a=" + b"b" * 70_000),
        (FORM, b""),
    ],
)
def test_a_body_that_is_no_form_is_refused(
    anonymous: RegistryClient, content_type: str, content: bytes
) -> None:
    """AUTH-22: never 500."""
    headers = {"Content-Type": content_type}
    answer = anonymous.post("/v2/token", token="", content=content, headers=headers)
    assert answer.status_code == 400


# --- refresh tokens


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


def switch_off(robot: Robot) -> None:
    Robot.objects.filter(pk=robot.pk).update(is_active=False)


def replace(robot: Robot) -> None:
    replace_token(robot=robot, actor=SYSTEM)


@pytest.mark.parametrize("end", [replace, switch_off, delete])
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
