"""Verifies passwords, and caches the outcome for a short time.

A verified password is cached for a minute, so that a CI that signs in for each layer
hashes once a minute. A refused one is cached for the time in which guesses are counted
(accounts/signin_limits.py): a program that repeats an old password does not guess, so
it costs no hash and counts once.

Both caches hold a keyed fingerprint of the password and of the stored hash, in this
process only, so a changed password invalidates them at once.
"""

import hashlib
import hmac
import time

from django.conf import settings
from django.contrib.auth import authenticate

from accounts.emails import users_with_address
from accounts.liveness import live_user
from accounts.models import User
from accounts.signin_limits import WINDOW, check_attempts, record_failure

REMEMBERED_SECONDS = 60
REMEMBERED_MAX = 1000  # of each sort, in this process
_verified: dict[bytes, float] = {}
_refused: dict[bytes, float] = {}


def find_login(typed: str) -> str:
    """Return the username for what a person typed: a username, or an email address.

    Usernames have no capitals. A robot's name is returned as it is, and so is what is
    neither. The same for pages, Basic and the token endpoint.
    """
    typed = typed.replace("\0", "")  # PostgreSQL refuses it in a parameter
    if "@" not in typed:
        return typed if "+" in typed else typed.lower()
    found = users_with_address(typed).values_list("username", flat=True)
    return found.first() or typed


def verify_password(*, username: str, password: str, address: str = "") -> User | None:
    """Return the user if the password is correct and the user can sign in.

    The one place where guesses at passwords are counted. Raises TooManyAttempts before
    anything is hashed. An empty name or password is no guess, and neither is a password
    that was refused before. Unknown names cost the same queries and the same hashes.
    """
    if not username or not password or "\0" in password:
        return None
    user = User.objects.filter(live_user(), username=username).first()
    fingerprint = _fingerprint(username, user, password)
    if _refused.get(fingerprint, 0.0) > time.monotonic():
        return None
    check_attempts(username=username, address=address)
    if user is not None and _verified.get(fingerprint, 0.0) > time.monotonic():
        return user
    verified = authenticate(username=username, password=password)
    now = time.monotonic()
    if not isinstance(verified, User):
        _remember(_refused, fingerprint, now + WINDOW.total_seconds())
        record_failure(username=username, address=address)
        return None
    # The stored hash may have been updated just now.
    fingerprint = _fingerprint(username, verified, password)
    _remember(_verified, fingerprint, now + REMEMBERED_SECONDS)
    return verified


def _remember(cache: dict[bytes, float], fingerprint: bytes, until: float) -> None:
    if len(cache) >= REMEMBERED_MAX:
        cache.clear()
    cache[fingerprint] = until


def _fingerprint(username: str, user: User | None, password: str) -> bytes:
    who = f"{user.pk}\0{user.password}" if user is not None else f"\0{username}"
    return hmac.digest(
        settings.SECRET_KEY.encode(), f"{who}\0{password}".encode(), hashlib.sha256
    )
