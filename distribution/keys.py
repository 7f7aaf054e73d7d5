"""The keys that sign registry tokens.

Each is an EC P-256 key in PEM under ``BERTH_DATA/keys``, or the one in BERTH_TOKEN_KEY.
The newest signs, all of them verify: to change keys, add one, and remove the old one
when its last token has expired. A key's id is its thumbprint (RFC 7638).
"""

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

ALGORITHM = "ES256"


@dataclass(frozen=True)
class SigningKey:
    """A private key with the id that tokens name it by."""

    private_key: ec.EllipticCurvePrivateKey
    key_id: str
    jwk: dict[str, Any]


def ensure_signing_key() -> None:
    """Make the first key unless there is one; safe when two starts do it at once.

    Raises ImproperlyConfigured when one that is there cannot be used.
    """
    if settings.BERTH_TOKEN_KEY or _key_files():
        keyring()
        return
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    draft = folder / f".{os.getpid()}.draft"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(descriptor)
    try:
        os.link(draft, folder / f"token-{timezone.now():%Y%m%d}.pem")
    except FileExistsError:
        pass  # the other start was quicker, and its key is as good
    finally:
        draft.unlink()
    keyring.cache_clear()


@cache
def keyring() -> dict[str, SigningKey]:
    """Return all keys by id, the one that signs first."""
    if settings.BERTH_TOKEN_KEY:
        pems = {"BERTH_TOKEN_KEY": settings.BERTH_TOKEN_KEY.encode()}
    else:
        pems = {path.name: path.read_bytes() for path in _key_files()}
    if not pems:
        raise ImproperlyConfigured(
            "there is no key to sign tokens with: run 'manage.py prepare', or set "
            "BERTH_TOKEN_KEY"
        )
    keys = [_load(name, pem) for name, pem in pems.items()]
    return {key.key_id: key for key in keys}


def signing_key() -> SigningKey:
    """Return the key that new tokens are signed with."""
    return next(iter(keyring().values()))


def public_keys() -> dict[str, Any]:
    """Return the JSON Web Key Set that verifiers read (RFC 7517)."""
    return {
        "keys": [
            {**key.jwk, "kid": key.key_id, "alg": ALGORITHM, "use": "sig"}
            for key in keyring().values()
        ]
    }


def _folder() -> Path:
    return Path(settings.BERTH_DATA) / "keys"


def _key_files() -> list[Path]:
    """Newest first: they carry their date in their names."""
    return sorted(_folder().glob("token-*.pem"), reverse=True)


def _load(name: str, pem: bytes) -> SigningKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # TypeError: it wants a passphrase.
        raise ImproperlyConfigured(f"{name}: not a private key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise ImproperlyConfigured(f"{name}: not an EC key on the curve P-256")
    numbers = key.public_key().public_numbers()
    jwk = {
        "crv": "P-256",
        "kty": "EC",
        "x": _base64url(numbers.x.to_bytes(32, "big")),
        "y": _base64url(numbers.y.to_bytes(32, "big")),
    }
    thumbprint = hashlib.sha256(
        json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()
    ).digest()
    return SigningKey(key, _base64url(thumbprint), jwk)


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
