"""GET /v2/: the one place where every client begins (end-1, AUTH-1, D-3)."""

import pytest

from tests.conftest import RegistryClient
from tests.registry_client import basic_header, parse_challenge


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_without_credentials_it_challenges(
    anonymous: RegistryClient, path: str
) -> None:
    """AUTH-1, AUTH-5: quoted realm and service, lower-case, and no scope."""
    response = anonymous.get(path, token="")
    assert response.status_code == 401
    challenge = parse_challenge(response)
    assert challenge.scheme == "Bearer"
    assert challenge.parameters == {
        "realm": f"{anonymous.url}/v2/token",
        "service": anonymous.url.removeprefix("http://"),
    }
    assert response.headers["WWW-Authenticate"].partition(" ")[2].islower()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_any_valid_token_is_enough(anonymous: RegistryClient, method: str) -> None:
    """D-3: even one of nobody, with empty access."""
    response = anonymous.request(method, "/v2/", token=anonymous.token())
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.content == (b"{}" if method == "GET" else b"")
    assert response.headers["Content-Length"] == "2"


def test_basic_credentials_are_taken_directly(alice: RegistryClient) -> None:
    """AUTH-6."""
    response = alice.get("/v2/", token="", headers=alice.basic)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !!!",
        "Basic AAAA",
        "Basic /w==",
        "Bearer",
        "Bearer a.b.c",
        "Bearer " + "x" * 30_000,
        "Digest username=alice",
        "nonsense",
    ],
)
def test_undecodable_credentials_are_401(
    anonymous: RegistryClient, header: str
) -> None:
    """H-9, R-15: never 500."""
    response = anonymous.get("/v2/", token="", headers={"Authorization": header})
    assert response.status_code == 401


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_has_no_case(alice: RegistryClient, scheme: str) -> None:
    """H-9, R-15."""
    headers = {"Authorization": f"{scheme} {alice.token()}"}
    assert alice.get("/v2/", token="", headers=headers).status_code == 200


def test_wrong_password_is_refused(alice: RegistryClient) -> None:
    headers = basic_header(alice.username, "wrong:password")
    assert alice.get("/v2/", token="", headers=headers).status_code == 401
