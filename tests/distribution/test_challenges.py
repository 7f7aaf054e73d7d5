"""The 401 of every protected path: which token a client is sent to fetch (§2.1)."""

import pytest

from tests.images import ABSENT_DIGEST
from tests.registry_client import RegistryClient, error_codes, parse_challenge

PULL, BOTH, DELETE = "pull", "pull,push", "delete"
SESSION = "/v2/{api}/blobs/uploads/00000000-0000-4000-8000-000000000000"
MANIFEST = "/v2/{api}/manifests/v1"
BLOB = f"/v2/{{api}}/blobs/{ABSENT_DIGEST}"

ASKED = [  # method, path, the actions that are asked for
    ("GET", MANIFEST, PULL),
    ("HEAD", MANIFEST, PULL),
    ("PUT", MANIFEST, BOTH),
    ("DELETE", MANIFEST, DELETE),
    ("GET", BLOB, PULL),
    ("HEAD", BLOB, PULL),
    ("DELETE", BLOB, DELETE),
    ("POST", "/v2/{api}/blobs/uploads/", BOTH),
    ("PATCH", SESSION, BOTH),
    ("PUT", f"{SESSION}?digest={ABSENT_DIGEST}", BOTH),
    ("GET", SESSION, BOTH),
    ("DELETE", SESSION, BOTH),
    ("GET", "/v2/{api}/tags/list", PULL),
    ("GET", f"/v2/{{api}}/referrers/{ABSENT_DIGEST}", PULL),
]


@pytest.mark.parametrize(("method", "path", "actions"), ASKED)
def test_without_token_the_challenge_names_the_scope(
    anonymous: RegistryClient, api: str, method: str, path: str, actions: str
) -> None:
    """AUTH-2, AUTH-3, AUTH-4, R-36: and no error, which containerd takes for final."""
    response = anonymous.request(method, path.format(api=api), token="")
    assert response.status_code == 401
    challenge = parse_challenge(response)
    assert challenge.scheme == "Bearer"
    assert challenge.parameters == {
        "realm": f"{anonymous.url}/v2/token",
        "service": anonymous.url.removeprefix("http://"),
        "scope": f"repository:{api}:{actions}",
    }
    if method != "HEAD":
        [error] = response.json()["errors"]
        assert error["code"] == "UNAUTHORIZED"
        assert error["detail"] == [
            {"Type": "repository", "Name": api, "Action": action}
            for action in actions.split(",")
        ]


@pytest.mark.parametrize(("method", "path", "actions"), ASKED)
def test_a_token_for_too_little_is_told_so(
    alice: RegistryClient, api: str, method: str, path: str, actions: str
) -> None:
    """AUTH-2, D-2: 401 and never 403 for a lack of scope."""
    response = alice.request(method, path.format(api=api), token=alice.token())
    assert response.status_code == 401
    parameters = parse_challenge(response).parameters
    assert parameters["error"] == "insufficient_scope"
    assert parameters["scope"] == f"repository:{api}:{actions}"


@pytest.mark.parametrize(
    "token", ["nonsense", "a.b.c", "e30.e30.", "..", "a b", "a=b,c"]
)
def test_a_token_of_nobody_is_invalid(
    anonymous: RegistryClient, api: str, token: str
) -> None:
    """AUTH-2."""
    response = anonymous.get(f"/v2/{api}/tags/list", token=token)
    assert response.status_code == 401
    assert parse_challenge(response).parameters["error"] == "invalid_token"
    assert error_codes(response) == ["UNAUTHORIZED"]


def test_the_catalog_has_a_scope_of_its_own(anonymous: RegistryClient) -> None:
    """AUTH-4, CAT-1."""
    response = anonymous.get("/v2/_catalog", token="")
    assert response.status_code == 401
    assert parse_challenge(response).scopes == ["registry:catalog:*"]
    response = anonymous.get("/v2/_catalog", token=anonymous.token())
    assert parse_challenge(response).parameters["error"] == "insufficient_scope"


def test_basic_credentials_open_a_repository_directly(
    alice: RegistryClient, api: str
) -> None:
    """AUTH-6: curl needs no token."""
    response = alice.get(f"/v2/{api}/tags/list", token="", headers=alice.basic)
    assert response.status_code == 200


def test_basic_credentials_without_the_right_are_challenged(
    dave: RegistryClient, api: str
) -> None:
    """AUTH-6, D-2: the only scheme that is advertised is Bearer."""
    response = dave.get(f"/v2/{api}/tags/list", token="", headers=dave.basic)
    assert response.status_code == 401
    challenge = parse_challenge(response)
    assert challenge.scheme == "Bearer"
    assert challenge.scopes == [f"repository:{api}:pull"]


def test_a_short_name_is_repeated_as_it_was_sent(anonymous: RegistryClient) -> None:
    """D-13: hello-world is library/hello-world, and the client compares names."""
    response = anonymous.get("/v2/hello-world/tags/list", token="")
    assert parse_challenge(response).scopes == ["repository:hello-world:pull"]
