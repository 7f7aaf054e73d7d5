"""Registry tokens: short JWTs that say who, and at most what (AUTH-40, D-4).

A token never carries an answer, only a ceiling: whether its bearer may do the thing is
read from the database on every request. What is remembered here until a token expires
is that its signature was good.
"""

import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from django.conf import settings

from accounts.actors import Actor
from distribution import scopes
from distribution.keys import ALGORITHM, keyring, signing_key
from repositories.oci.references import NameMalformed, parse_repository_name

LEEWAY_SECONDS = 60  # between clocks, both ways (AUTH-40, R-26)
REMEMBERED_MAX = 10_000  # tokens per process; about 2 KiB each
TOKEN_MAX_LENGTH = 16 * 1024  # a header longer than that never came from us
# Of the access claim as JSON: base64 makes 14,700 characters of it, and the rest is for
# the other claims, the header and the signature.
ACCESS_MAX_BYTES = 11_000


class TokenInvalid(Exception):
    """A token that this registry did not make, or whose time is over."""


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """The most that a token lets through on one repository.

    ``repository_id`` is the repository that the name meant when the token was made, so
    that a token never opens a repository that took the name later; None when there was
    none yet.
    """

    name: str
    actions: frozenset[str]
    repository_id: int | None = None


@dataclass(frozen=True, slots=True)
class RegistryToken:
    """A verified token."""

    actor: Actor
    grants: dict[str, TokenGrant]  # by the repository's full name (D-13)
    may_list: bool
    dropped_scopes: int  # that were asked for and found no room
    issued_at: int
    expires_at: int

    def allows(self, full_name: str, action: str) -> bool:
        """Return whether the token lets the action on the repository through."""
        grant = self.grants.get(full_name)
        return grant is not None and (
            action in grant.actions or scopes.EVERYTHING in grant.actions
        )


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token as it goes to the client."""

    text: str
    issued_at: datetime
    expires_in_seconds: int
    access: list[dict[str, Any]]  # what found room


def issue_token(
    *, actor: Actor, access: list[dict[str, Any]], dropped_scopes: int = 0
) -> IssuedToken:
    """Sign a token for the actor; ``access`` as distribution's tokens have it.

    Entries beyond the length that is taken back are left out, the last ones first.
    ``dropped_scopes`` counts those that the caller left out before.
    """
    fitting = _fitting(access)
    dropped_scopes += len(access) - len(fitting)
    access = fitting
    now = int(time.time())
    lifetime = settings.BERTH_TOKEN_TTL_SECONDS
    if actor.expires_at is not None:  # it does not outlive what it was made from
        lifetime = max(1, min(lifetime, int(actor.expires_at.timestamp()) - now))
    key = signing_key()
    claims = {
        "iss": settings.BERTH_URL,
        "sub": actor.name,
        "aud": settings.BERTH_SERVICE,
        "exp": now + lifetime,
        "nbf": now - LEEWAY_SECONDS,
        "iat": now,
        "jti": uuid.uuid4().hex,
        "access": access,
        "berth": {
            "user": actor.user_id,
            "robot": actor.robot_id,
            "token": actor.access_token_id,
            "epoch": actor.epoch,
            "dropped": dropped_scopes,
        },
    }
    text = jwt.encode(
        claims, key.private_key, algorithm=ALGORITHM, headers={"kid": key.key_id}
    )
    return IssuedToken(text, datetime.fromtimestamp(now, UTC), lifetime, access)


def _fitting(access: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first entries that one token holds, the first one always."""
    size_bytes = 0
    for count, entry in enumerate(access):
        size_bytes += len(json.dumps(entry, separators=(",", ":"))) + 1
        if count and size_bytes > ACCESS_MAX_BYTES:
            return access[:count]
    return access


_remembered: dict[str, RegistryToken] = {}


def verify_token(text: str) -> RegistryToken:
    """Return what a token says, else TokenInvalid.

    The header names one of our keys or none; its other words are not listened to.
    """
    now = time.time()
    token = _remembered.get(text)
    if token is None:
        token = _verify(text)
        if len(_remembered) >= REMEMBERED_MAX:
            _forget_expired(now)
        _remembered[text] = token
    if token.expires_at + LEEWAY_SECONDS < now:
        _remembered.pop(text, None)
        raise TokenInvalid("the token has expired")
    if token.issued_at - LEEWAY_SECONDS > now:  # the clock was ahead when it was made
        _remembered.pop(text, None)
        raise TokenInvalid("the token is not valid yet: ask for a new one")
    return token


def _verify(text: str) -> RegistryToken:
    if len(text) > TOKEN_MAX_LENGTH:
        raise TokenInvalid("the token is too long")
    try:
        key = keyring().get(str(jwt.get_unverified_header(text).get("kid")))
        if key is None:
            raise TokenInvalid("the token names no key of this registry")
        claims = jwt.decode(
            text,
            key.private_key.public_key(),
            algorithms=[ALGORITHM],
            audience=settings.BERTH_SERVICE,
            issuer=settings.BERTH_URL,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "nbf", "iat", "iss", "aud", "sub"]},
        )
    except (jwt.PyJWTError, ValueError) as error:
        raise TokenInvalid("the token is not valid") from error
    who = claims["berth"]
    return RegistryToken(
        actor=Actor(
            user_id=who["user"],
            robot_id=who["robot"],
            name=claims["sub"],
            access_token_id=who["token"],
            epoch=who.get("epoch"),  # none in tokens of an older Berth
        ),
        grants=_grants(claims["access"]),
        may_list=any(
            entry["type"] == scopes.REGISTRY and entry["name"] == scopes.CATALOG
            for entry in claims["access"]
        ),
        dropped_scopes=who.get("dropped", 0),
        issued_at=claims["iat"],
        expires_at=claims["exp"],
    )


def _grants(access: list[dict[str, Any]]) -> dict[str, TokenGrant]:
    grants = {}
    for entry in access:
        if entry["type"] != scopes.REPOSITORY:
            continue
        try:
            name = parse_repository_name(entry["name"])
        except NameMalformed:
            continue  # we sign no such name; a token of ours cannot hold one
        grants[name.full_name] = TokenGrant(
            name.full_name, frozenset(entry["actions"]), entry.get("id")
        )
    return grants


def _forget_expired(now: float) -> None:
    """Make room: drop what is over, and everything if that is not enough."""
    for text, token in list(_remembered.items()):
        if token.expires_at < now:
            _remembered.pop(text, None)
    if len(_remembered) >= REMEMBERED_MAX:
        _remembered.clear()
