"""POST /v2/token: OAuth2 for containerd, helm and oras (§2.3)."""

from typing import Any

import httpx
import pytest

from tests import make
from tests.conftest import Cast
from tests.distribution.test_tokens import access_of
from tests.pages import PageClient
from tests.registry_client import (
    RegistryClient,
    check_answer,
    error_codes,
)
from tests.servers import BerthServer

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


# --- refresh tokens (test_refresh_tokens.py)


def test_nobody_gets_one_unless_the_site_asks_for_it(
    http: httpx.Client,
    alice: RegistryClient,
    cast: Cast,
    identity_server: BerthServer,
) -> None:
    """By GET, POST and a refresh; those of before stop working (C3, AUTH-31)."""
    with_tokens = RegistryClient(
        http, identity_server.url, alice.username, alice.secret
    )
    issued_before = login(with_tokens)
    for answer in (
        alice.token_answer(offline_token="true", client_id="docker"),
        post_token(alice, access_type="offline"),
    ):
        assert answer.status_code == 200
        assert answer.json()["token"]
        assert "refresh_token" not in answer.json()
    refused = refresh(alice, issued_before)
    assert refused.status_code == 401
    assert error_codes(refused) == ["UNAUTHORIZED"]
    assert "docker login" in refused.json()["errors"][0]["message"]
    assert refresh(with_tokens, issued_before).status_code == 200
    stranger = make.user("stranger")
    for person, has_link in ((cast.alice, True), (stranger, False)):
        with PageClient(alice.url, person) as browser:
            page = browser.get("/settings/profile")
            assert ("/settings/logins" in page.text) == has_link
            page = browser.get("/settings/logins")
            assert "This registry issues no logins of its own" in page.text
            assert ("no longer work" in page.text) == has_link
    with PageClient(identity_server.url, stranger) as browser:
        assert "/settings/logins" in browser.get("/settings/profile").text
