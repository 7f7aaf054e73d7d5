"""The Authorization header: who says to be asking (H-9, AUTH-6)."""

import base64
import binascii
from dataclasses import dataclass

from django.http import HttpRequest

HEADER_MAX_LENGTH = 20 * 1024


class CredentialsMalformed(ValueError):
    """A header that is neither Basic nor Bearer, or cannot be decoded."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """A registry token, not yet verified."""

    text: str


@dataclass(frozen=True, slots=True)
class Basic:
    """A name and a secret, not yet verified."""

    username: str
    secret: str


def read_credentials(request: HttpRequest) -> Bearer | Basic | None:
    """Return what the header says; None if there is none.

    The scheme is case-insensitive (RFC 9110 §11.1), and the secret of Basic may hold a
    colon (RFC 7617 §2).
    """
    header = request.META.get("HTTP_AUTHORIZATION")
    if header is None:
        return None
    scheme, _, rest = header.strip().partition(" ")
    rest = rest.strip()
    if len(header) > HEADER_MAX_LENGTH or not rest:
        raise CredentialsMalformed("the Authorization header cannot be read")
    if scheme.lower() == "bearer":
        return Bearer(rest)
    if scheme.lower() == "basic":
        return _basic(rest)
    raise CredentialsMalformed("the Authorization header is neither Basic nor Bearer")


def _basic(encoded: str) -> Basic:
    try:
        text = base64.b64decode(encoded.encode("ascii"), validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:  # UnicodeError is a ValueError
        raise CredentialsMalformed("Basic credentials cannot be decoded") from error
    username, colon, secret = text.partition(":")
    if not colon:
        raise CredentialsMalformed("Basic credentials have no colon")
    return Basic(username, secret)
