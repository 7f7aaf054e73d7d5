"""Encrypt what the database keeps, so that a copy of it reveals no secret.

Each purpose has a key of its own, derived from SECRET_KEY (HKDF, then Fernet:
AES-128-CBC and HMAC). With Django's SECRET_KEY_FALLBACKS, text that was sealed under an
older key stays readable.
"""

import base64
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class SealBroken(Exception):
    """The text was sealed under another SECRET_KEY."""


def seal(content: bytes, *, purpose: str) -> str:
    """Return the content in the form that the database may keep."""
    return _box(purpose, *_keys()).encrypt(content).decode()


def unseal(sealed: str, *, purpose: str) -> bytes:
    """Return what was sealed for the same purpose; raises SealBroken."""
    try:
        return _box(purpose, *_keys()).decrypt(sealed.encode())
    except InvalidToken as error:
        raise SealBroken(
            "BERTH_SECRET_KEY has changed since this was sealed"
        ) from error


def _keys() -> tuple[str, ...]:
    return (settings.SECRET_KEY, *map(str, settings.SECRET_KEY_FALLBACKS))


@cache
def _box(purpose: str, *keys: str) -> MultiFernet:
    return MultiFernet([Fernet(_derive(purpose, key)) for key in keys])


def _derive(purpose: str, key: str) -> bytes:
    # One purpose, one key: other uses of SECRET_KEY reveal nothing about this one.
    kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode())
    return base64.urlsafe_b64encode(kdf.derive(key.encode()))
