"""Sign-in on pages, under the same limits as everywhere (accounts/limits.py)."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts.addresses import client_address
from accounts.limits import TooManyAttempts, check_attempts, record_failure
from accounts.models import User


class LimitedBackend(ModelBackend):
    """Django's own check of passwords; a page's failures are counted.

    Without a request the caller counts (accounts/authentication.py).
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        if request is None:
            return self._verified(request, username, password, **kwargs)
        address = client_address(request)
        try:
            check_attempts(username=username or "", address=address)
        except TooManyAttempts:
            return None
        user = self._verified(request, username, password, **kwargs)
        if user is None:
            record_failure(username=username or "", address=address)
        return user

    def _verified(self, *arguments: Any, **kwargs: Any) -> User | None:
        user = super().authenticate(*arguments, **kwargs)
        return user if isinstance(user, User) else None
