"""Keep secrets so that they can be used but not read from a copy of the database.

Sealed with a key that is made of SECRET_KEY (HKDF, then Fernet: AES-128-CBC and HMAC).
With Django's SECRET_KEY_FALLBACKS what was sealed under an older key stays readable.
"""

import base64
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class SealBroken(Exception):
    """What was sealed cannot be opened: the secret key is another one now."""

    def __init__(self) -> None:
        super().__init__(
            "the webhook's secrets cannot be read, since BERTH_SECRET_KEY has changed; "
            "set them again"
        )


def seal(text: str) -> str:
    """Return the text as it may be kept."""
    return _box(*_keys()).encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Return what was sealed; raises SealBroken."""
    try:
        return _box(*_keys()).decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise SealBroken from error


def _keys() -> tuple[str, ...]:
    return (settings.SECRET_KEY, *map(str, settings.SECRET_KEY_FALLBACKS))


@cache
def _box(*keys: str) -> MultiFernet:
    return MultiFernet([Fernet(_derive(key)) for key in keys])


def _derive(key: str) -> bytes:
    # One purpose, one key: what else SECRET_KEY is used for tells nothing about this.
    kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"berth webhooks 1")
    return base64.urlsafe_b64encode(kdf.derive(key.encode()))
