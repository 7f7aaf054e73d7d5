"""Secrets that Berth makes: issued once, kept as a hash, found again by their form.

A token is ``berth_<kind>_<36 letters and digits><6 of checksum>``: about 214 bits of
chance, so one SHA-256 is enough to keep it. The checksum lets a scanner recognize a
leaked token without asking anybody. Its last four characters, which are of the
checksum, are kept as they are, so that its owner recognizes it. The pattern is
documented for scanners (docs/api.md).
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
from django.dispatch import Signal
from django.utils import timezone

from accounts.actors import Actor
from accounts.events import AccountEvent, record_user_event
from accounts.models import AccessToken, AccessTokenLimit, Robot, User
from accounts.outages import optional_write
from accounts.rates import take

# Sent with ``tokens`` and ``actor`` in the transaction that revokes access tokens.
token_revoked = Signal()

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
    """Return whether the text has the form and the checksum of such a token."""
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


class OutlivesMaker(ValueError):
    """The new token would outlive the token that makes it."""


def check_lifetime(actor: Actor, expires_at: datetime | None) -> None:
    """Raise OutlivesMaker for an end that is after that of the actor's own token."""
    ends_at = actor.expires_at
    if ends_at is not None and (expires_at is None or expires_at > ends_at):
        raise OutlivesMaker(
            f"the token that you use expires at {ends_at:%Y-%m-%d %H:%M} UTC; what it "
            "makes cannot expire later"
        )


def hold_maker(actor: Actor) -> None:
    """Keep the token in use from being revoked before the transaction ends.

    Raises OutlivesMaker if it was revoked a moment ago.
    """
    if actor.access_token_id is None:
        return
    live = AccessToken.objects.live().filter(pk=actor.access_token_id)
    if live.select_for_update(of=("self",), no_key=True).first() is None:
        raise OutlivesMaker("the token that you use is revoked")


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
    """Make an access token; the second value is the secret, which is kept nowhere.

    A token that makes one is outlived by none of its own (OutlivesMaker), and is
    revoked together with them.
    """
    check_lifetime(actor, expires_at)
    take("tokens", actor)
    secret = make_token(ACCESS_TOKEN_PREFIX)
    with transaction.atomic():
        hold_maker(actor)
        token = AccessToken.objects.create(
            user=user,
            name=name,
            actions=AccessToken.Actions(actions),
            token_hash=hash_token(secret),
            ends_with=secret[-SHOWN_LENGTH:],
            is_limited=repository_ids is not None or namespace_ids is not None,
            expires_at=expires_at,
            made_with_id=actor.access_token_id,
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
        record_user_event(
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


def with_made(token: AccessToken) -> list[AccessToken]:
    """Return a token and all the tokens that it made, or one of those."""
    found = made = [token]
    rows = AccessToken.objects.select_related("user")
    while made := list(rows.filter(made_with__in=made)):
        found = [*found, *made]
    return found


def revoke_access_token(*, token: AccessToken, actor: Actor) -> bool:
    """Revoke a token, the tokens that it made, and the invitations that they made.

    What was issued for them is refused at the next request. False if the token was
    revoked before.
    """
    with transaction.atomic():
        live = AccessToken.objects.filter(revoked_at=None)
        # Locked, so that it makes no other one in between.
        if live.select_for_update(of=("self",)).filter(pk=token.pk).first() is None:
            return False
        ended = [one for one in with_made(token) if one.revoked_at is None]
        live.filter(pk__in=[one.pk for one in ended]).update(revoked_at=timezone.now())
        for one in ended:
            detail = {"token": one.name}
            if one.pk != token.pk:
                detail["made_with"] = token.name
            record_user_event(
                AccountEvent.TOKEN_REVOKED, user=one.user, actor=actor, detail=detail
            )
        token_revoked.send(sender=AccessToken, tokens=ended, actor=actor)
    return True


def record_use(row: AccessToken | Robot) -> None:
    """Record that the token was used, at most once a minute."""
    now = timezone.now()
    if row.last_used_at is None or abs(now - row.last_used_at) > LAST_USE_INTERVAL:
        rows = type(row)._default_manager.filter(pk=row.pk)
        with optional_write("the last use of a token"):
            rows.filter(
                Q(last_used_at=None)
                | Q(last_used_at__lt=now - LAST_USE_INTERVAL)
                | Q(last_used_at__gt=now + LAST_USE_INTERVAL)  # of a clock put back
            ).update(last_used_at=now)


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    letters = ""
    for _ in range(CHECKSUM_LENGTH):
        number, remainder = divmod(number, len(ALPHABET))
        letters = ALPHABET[remainder] + letters
    return letters
