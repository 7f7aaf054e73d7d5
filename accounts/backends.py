"""Sign-in on pages, under the same limits as everywhere (accounts/limits.py)."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts.addresses import client_address
from accounts.limits import check_attempts, record_failure
from accounts.models import User


class LimitedBackend(ModelBackend):
    """Django's own check of passwords; a page's failures are counted.

    A page may also give the user's e-mail address. Raises TooManyAttempts, which
    becomes the page of a 429 (registry_site/middleware.py). Without a request the
    caller counts (accounts/authentication.py).
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        email: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        if request is None:
            return self._verified(request, username, password, **kwargs)
        if username is None and email is None:
            return None
        name = _name_of(username or email or "")
        address = client_address(request)
        check_attempts(username=name, address=address)
        user = self._verified(request, name, password, **kwargs)
        if user is None:
            record_failure(username=name, address=address)
        return user

    def _verified(self, *arguments: Any, **kwargs: Any) -> User | None:
        user = super().authenticate(*arguments, **kwargs)
        return user if isinstance(user, User) else None


def _name_of(typed: str) -> str:
    """Return the username that somebody means who typed it or an e-mail address."""
    typed = typed.replace("\0", "")  # PostgreSQL refuses it in a parameter
    if "@" not in typed:
        return typed.lower()
    found = User.objects.filter(email__iexact=typed).values_list("username", flat=True)
    return found.first() or typed
