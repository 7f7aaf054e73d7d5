"""What the API takes as credentials, and that wrong ones are never taken for none."""

from dataclasses import replace

import pytest

from accounts.models import FailedAttempts
from accounts.tokens import ACCESS_TOKEN_PREFIX, ROBOT_TOKEN_PREFIX, make_token
from repositories.models import Repository
from tests.api.conftest import ApiClient, Everybodys, check_answer
from tests.conftest import Cast
from tests.registry_client import RegistryClient, basic_header


@pytest.fixture
def nobody(everybodys: Everybodys) -> ApiClient:
    return everybodys.client("anonymous", "full")


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Bearer",
        "Bearer x",
        "Bearer x y",
        "Bearer berth_pat_",
        "Token x",
        "Digest username=alice",
        "x" * 5000,
    ],
)
def test_other_credentials_are_refused_also_where_none_are_needed(
    nobody: ApiClient, public_api: Repository, header: str
) -> None:
    path = f"/repositories/{public_api.full_name}"
    assert nobody.get(path).status_code == 200
    sent = [(b"Authorization", header.encode())]
    response = nobody.http.get(f"{nobody.url}/api/v1{path}", headers=sent)
    check_answer(response)
    assert response.status_code == 401


def test_a_right_password_is_no_credential_of_the_api(
    cast: Cast, nobody: ApiClient, alice: RegistryClient
) -> None:
    headers = basic_header(cast.alice.username, alice.secret)
    assert replace(nobody, headers=headers).get("/user").status_code == 401


def test_no_token_is_counted_as_a_guess(nobody: ApiClient) -> None:
    """Neither a token that does not exist nor another kind blocks its address (A8)."""
    guesses = ["x", "berth_pat_" + "x" * 42, "eyJhbGciOiJFUzI1NiJ9.e30.x"]
    guesses += [make_token(p) for p in (ACCESS_TOKEN_PREFIX, ROBOT_TOKEN_PREFIX)]
    for guess in guesses:
        client = replace(nobody, headers={"Authorization": f"Bearer {guess}"})
        assert client.get("/user").status_code == 401
    assert not FailedAttempts.objects.exists()
