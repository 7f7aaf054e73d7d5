"""The sign-in of pages, which verifies passwords as every other way in does."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts.addresses import client_address
from accounts.models import User
from accounts.passwords import find_login, verify_password


class LimitedBackend(ModelBackend):
    """Django's own check of passwords, behind the limit on guessing.

    A page passes its request, and may pass an email address instead of the username.
    Raises TooManyAttempts, which becomes a 429 (registry_site/middleware.py). Without a
    request this is the check itself, which accounts/passwords.py calls.
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
            user = super().authenticate(None, username, password, **kwargs)
            return user if isinstance(user, User) else None
        return verify_password(
            username=find_login(username or email or ""),
            password=password or "",
            address=client_address(request),
        )
