"""Check passwords, which is slow on purpose, without letting that hurt others."""

import hashlib
import hmac
import time
from threading import BoundedSemaphore

from django.conf import settings
from django.contrib.auth import authenticate

from accounts.models import User

# One argon2 takes 100 MB and a tenth of a second of several threads: a crowd at the
# door must not take the memory of those inside.
_hashing = BoundedSemaphore(2)

REMEMBERED_SECONDS = 60  # a CI that signs in for every layer hashes once a minute
REMEMBERED_MAX = 1000
_remembered: dict[bytes, float] = {}


def verify_password(username: str, password: str) -> User | None:
    """Return the user, if the password is theirs and they may sign in.

    A verified password is remembered for a minute, as a keyed fingerprint of it and of
    what is kept of it, so that a changed password is forgotten at once.
    """
    user = User.objects.filter(username=username, is_active=True).first()
    now = time.monotonic()
    if user is not None:
        fingerprint = _fingerprint(user, password)
        if _remembered.get(fingerprint, 0.0) > now:
            return user
    with _hashing:
        verified = authenticate(username=username, password=password)
    if not isinstance(verified, User):
        return None
    if len(_remembered) >= REMEMBERED_MAX:
        _remembered.clear()
    _remembered[_fingerprint(verified, password)] = now + REMEMBERED_SECONDS
    return verified


def _fingerprint(user: User, password: str) -> bytes:
    text = f"{user.pk}\0{user.password}\0{password}"
    return hmac.digest(settings.SECRET_KEY.encode(), text.encode(), hashlib.sha256)
