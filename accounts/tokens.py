"""Secrets that Berth makes: issued once, kept as a hash, found again by their form.

A token is ``berth_<kind>_<36 letters and digits><6 of checksum>``: about 214 bits of
chance, so one SHA-256 is enough to keep it, and the checksum lets a scanner tell a
leaked token from a word that looks like one, without asking anybody. Its last four
characters, which are of the checksum, are kept as they are, so that its owner knows it
again. The pattern is documented for scanners (docs/api.md).
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from string import ascii_letters, digits

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.actors import Actor
from accounts.events import AccountEvent, tell_of_user
from accounts.models import AccessToken, AccessTokenLimit, Robot, User

ACCESS_TOKEN_PREFIX = "berth_pat_"
ROBOT_TOKEN_PREFIX = "berth_rob_"
REFRESH_TOKEN_PREFIX = "berth_ref_"
SECRET_LENGTH = 36
CHECKSUM_LENGTH = 6
SHOWN_LENGTH = 4  # tells 24 bits of 214: the rest is as hard to guess as before
ALPHABET = digits + ascii_letters
# As docs/api.md has it for scanners.
_token = re.compile(r"\bberth_(?:pat|rob)_[0-9A-Za-z]{42}\b")
LAST_USE_INTERVAL = timedelta(minutes=1)  # a busy CI must not write on every request


def make_token(prefix: str) -> str:
    """Return a new secret with the prefix of its kind."""
    secret = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    return f"{prefix}{secret}{_checksum(prefix + secret)}"


def is_token(text: str, prefix: str) -> bool:
    """Tell whether the text has the form and the checksum of such a token."""
    body, checksum = text[:-CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
    return (
        len(text) == len(prefix) + SECRET_LENGTH + CHECKSUM_LENGTH
        and text.startswith(prefix)
        and text.isascii()
        and checksum == _checksum(body)
    )


def find_tokens(text: str) -> list[str]:
    """Return every access token and robot's token in a text, each once.

    By their form: whether they open anything, or ever did, is another question.
    """
    found = (match.group() for match in _token.finditer(text))
    return [
        token
        for token in dict.fromkeys(found)
        if is_token(token, token[: len(ACCESS_TOKEN_PREFIX)])
    ]


def hash_token(token: str) -> str:
    """Return what is kept of a token: its SHA-256, in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def issue_access_token(
    *,
    user: User,
    name: str,
    actions: str,
    actor: Actor,
    repository_ids: Iterable[int] | None = None,
    namespace_ids: Iterable[int] | None = None,
    expires_at: datetime | None = None,
) -> tuple[AccessToken, str]:
    """Make an access token; the second value is the secret, which is kept nowhere."""
    secret = make_token(ACCESS_TOKEN_PREFIX)
    with transaction.atomic():
        token = AccessToken.objects.create(
            user=user,
            name=name,
            actions=AccessToken.Actions(actions),
            token_hash=hash_token(secret),
            ends_with=secret[-SHOWN_LENGTH:],
            is_limited=repository_ids is not None or namespace_ids is not None,
            expires_at=expires_at,
        )
        AccessTokenLimit.objects.bulk_create(
            [
                *(
                    AccessTokenLimit(access_token=token, repository_id=repository_id)
                    for repository_id in repository_ids or ()
                ),
                *(
                    AccessTokenLimit(access_token=token, namespace_id=namespace_id)
                    for namespace_id in namespace_ids or ()
                ),
            ]
        )
        tell_of_user(
            AccountEvent.TOKEN_ISSUED,
            user=user,
            actor=actor,
            detail={
                "token": name,
                "actions": token.actions,
                "is_limited": token.is_limited,
                "expires_at": expires_at.isoformat() if expires_at else None,
            },
        )
    return token, secret


def revoke_access_token(*, token: AccessToken, actor: Actor) -> bool:
    """End a token now; what was issued for it stops at its next question.

    False if somebody has done it before.
    """
    with transaction.atomic():
        live = AccessToken.objects.filter(pk=token.pk, revoked_at=None)
        if live.update(revoked_at=timezone.now()):
            tell_of_user(
                AccountEvent.TOKEN_REVOKED,
                user=token.user,
                actor=actor,
                detail={"token": token.name},
            )
            return True
    return False


def note_use(row: AccessToken | Robot) -> None:
    """Record that the token was used, at most once a minute."""
    now = timezone.now()
    if row.last_used_at is None or now - row.last_used_at > LAST_USE_INTERVAL:
        rows = type(row)._default_manager
        rows.filter(pk=row.pk).filter(
            Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USE_INTERVAL)
        ).update(last_used_at=now)


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    letters = ""
    for _ in range(CHECKSUM_LENGTH):
        number, remainder = divmod(number, len(ALPHABET))
        letters = ALPHABET[remainder] + letters
    return letters
