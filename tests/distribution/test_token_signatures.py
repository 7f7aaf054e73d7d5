"""Registry tokens as signed texts: ours are verified, others are not taken (§2.5)."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from distribution.keys import signing_key
from tests.registry_client import RegistryClient, parse_challenge
from tests.servers import BerthServer

FOREIGN_KEY = ec.generate_private_key(ec.SECP256R1())


def part(value: Any) -> str:
    """Return one part of a compact JWT."""
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def by_us(claims: dict[str, Any], **header: Any) -> str:
    """Sign as the registry does, by hand, so that anything can be said."""
    key = signing_key()
    header = {"kid": key.key_id, **header}
    return jwt.encode(claims, key.private_key, algorithm="ES256", headers=header)


def by_stranger(claims: dict[str, Any], **header: Any) -> str:
    header = {"kid": signing_key().key_id, **header}
    return jwt.encode(claims, FOREIGN_KEY, algorithm="ES256", headers=header)


def public_pem() -> bytes:
    return (
        signing_key()
        .private_key.public_key()
        .public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def without_algorithm(claims: dict[str, Any], word: str = "none") -> str:
    header = {"alg": word, "typ": "JWT", "kid": signing_key().key_id}
    return f"{part(header)}.{part(claims)}."


def with_public_key_as_secret(claims: dict[str, Any]) -> str:
    header = {"alg": "HS256", "typ": "JWT", "kid": signing_key().key_id}
    text = f"{part(header)}.{part(claims)}"
    signature = hmac.digest(public_pem(), text.encode(), hashlib.sha256)
    return f"{text}.{part(signature)}"


def foreign_jwk() -> dict[str, Any]:
    jwk: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(
        FOREIGN_KEY.public_key(), as_dict=True
    )
    return jwk


def with_other_claims(claims: dict[str, Any]) -> str:
    header, _, signature = by_us(claims).split(".")
    return f"{header}.{part({**claims, 'sub': 'root'})}.{signature}"


FORGERIES: dict[str, Callable[[dict[str, Any]], str]] = {
    "alg none": without_algorithm,
    "alg NonE": lambda c: without_algorithm(c, "NonE"),
    "public key as HMAC secret": with_public_key_as_secret,
    "foreign key under our kid": by_stranger,
    "foreign key, unknown kid": lambda c: by_stranger(c, kid="mine"),
    "foreign key in jwk": lambda c: by_stranger(c, jwk=foreign_jwk()),
    "foreign key behind jku": lambda c: by_stranger(c, jku="http://localhost:9/jwks"),
    "kid is a path": lambda c: by_stranger(c, kid="../../../../dev/null"),
    "kid is SQL": lambda c: by_stranger(c, kid="' OR 1=1 --"),
    "our key, unknown kid": lambda c: by_us(c, kid="mine"),
    "changed claims": with_other_claims,
    "signature cut off": lambda c: by_us(c).rpartition(".")[0] + ".",
    "wrong audience": lambda c: by_us({**c, "aud": "elsewhere.example"}),
    "wrong issuer": lambda c: by_us({**c, "iss": "https://elsewhere.example"}),
    "expired": lambda c: by_us({**c, "exp": int(time.time()) - 90}),
    "not yet valid": lambda c: by_us({**c, "nbf": int(time.time()) + 900}),
    "never expires": lambda c: by_us({k: v for k, v in c.items() if k != "exp"}),
    "no audience": lambda c: by_us({k: v for k, v in c.items() if k != "aud"}),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_is_refused(alice: RegistryClient, api: str, name: str) -> None:
    """AUTH-40."""
    claims = claims_of(alice.token(f"repository:{api}:pull,push,delete"))
    token = FORGERIES[name](claims)
    for path in ("/v2/", f"/v2/{api}/tags/list"):
        response = alice.get(path, token=token)
        assert response.status_code == 401
        assert parse_challenge(response).parameters["error"] == "invalid_token"


@pytest.mark.parametrize(
    "token",
    [
        "....",
        f"{part({'alg': 'ES256', 'kid': ['a']})}.{part({})}.{part(b'x')}",
        f"{part({'alg': 'ES256', 'kid': {}})}.{part({})}.{part(b'x')}",
        f"{part([])}.{part({})}.{part(b'x')}",
        f"{part(b'not json')}.{part({})}.{part(b'x')}",
        f"{part(b'[' * 3000)}.{part({})}.{part(b'x')}",
        "x" * 17_000,
    ],
)
def test_nonsense_is_refused_too(alice: RegistryClient, token: str) -> None:
    """AUTH-40, H-9: never 500."""
    assert alice.get("/v2/", token=token).status_code == 401


@pytest.mark.parametrize(
    "changes", [{"exp": -30}, {"nbf": +30}, {"nbf": +30, "iat": +30}]
)
def test_clocks_may_differ_by_less_than_a_minute(
    alice: RegistryClient, changes: dict[str, int]
) -> None:
    """AUTH-40, R-26: in either direction."""
    now = int(time.time())
    claims = claims_of(alice.token())
    claims |= {name: now + seconds for name, seconds in changes.items()}
    assert alice.get("/v2/", token=by_us(claims)).status_code == 200


def test_a_token_is_verified_with_the_published_keys(
    alice: RegistryClient, api: str
) -> None:
    """AUTH-40: as any stock distribution server would."""
    response = alice.get("/v2/token/jwks", token="")
    assert response.headers["Content-Type"] == "application/json"
    keys = jwt.PyJWKSet.from_dict(response.json())
    token = alice.token(f"repository:{api}:pull")
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(
        token,
        keys[header["kid"]],
        algorithms=["ES256"],
        audience=alice.url.removeprefix("http://"),
        issuer=alice.url,
    )
    assert header["typ"] == "JWT" and header["alg"] == "ES256"
    assert claims["sub"] == alice.username and claims["jti"]
    assert claims["nbf"] < claims["iat"] < claims["exp"]
    [entry] = claims["access"]
    assert entry.items() >= {"type": "repository", "name": api}.items()
    assert entry["actions"] == ["pull"]


def test_published_keys_are_public_and_named_by_thumbprint(
    anonymous: RegistryClient,
) -> None:
    """AUTH-40: RFC 7638, as distribution 3 wants it."""
    keys = anonymous.get("/v2/token/jwks", token="").json()["keys"]
    for key in keys:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        members = {name: key[name] for name in ("crv", "kty", "x", "y")}
        text = json.dumps(members, separators=(",", ":"), sort_keys=True)
        assert key["kid"] == part(hashlib.sha256(text.encode()).digest())


def test_tokens_have_names_of_their_own(alice: RegistryClient) -> None:
    """AUTH-40: jti."""
    assert claims_of(alice.token())["jti"] != claims_of(alice.token())["jti"]


@pytest.mark.own_database  # keys are files
def test_logins_and_tokens_survive_a_new_signing_key(
    django_db_setup: None, tmp_path: Path, http: httpx.Client
) -> None:
    """AUTH-31, AUTH-40: both keys verify, the newer one signs."""
    server = BerthServer(
        data_folder=tmp_path,
        BERTH_ADMIN_USERNAME="keeper",
        BERTH_ADMIN_PASSWORD="the keeper's own",
        BERTH_IDENTITY_TOKENS="true",
        BERTH_WORKERS="1",
    )
    server.manage("prepare")
    keeper = RegistryClient(http, server.url, "keeper", "the keeper's own")
    with server:
        answer = keeper.token_answer(offline_token="true").json()
    pem = FOREIGN_KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "keys" / "token-29991231.pem").write_bytes(pem)
    with server:
        assert keeper.get("/v2/", token=answer["token"]).status_code == 200
        form = f"grant_type=refresh_token&refresh_token={answer['refresh_token']}"
        refreshed = keeper.post(
            "/v2/token",
            token="",
            content=form.encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert refreshed.status_code == 200
        token = refreshed.json()["token"]
        assert keeper.get("/v2/", token=token).status_code == 200
        old, new = (
            jwt.get_unverified_header(text)["kid"] for text in (answer["token"], token)
        )
        assert old != new
        published = keeper.get("/v2/token/jwks", token="").json()["keys"]
        assert [key["kid"] for key in published] == [new, old]
