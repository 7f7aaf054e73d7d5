"""Sign-ins, and what people change of their own account by allauth's pages.

allauth and Django send signals just after they have saved something; the audit log
receives them here (connected in accounts/apps.py).
"""

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from django.contrib.auth.signals import user_logged_in
from django.dispatch import Signal, receiver
from django.http import HttpRequest

from accounts.addresses import client_address
from accounts.authentication import actor_of
from accounts.credentials import (
    end_lesser_credentials,
    has_other_second_factor,
)
from accounts.events import AccountEvent, record_user_event
from accounts.models import User
from accounts.users import record_new_password

SECOND_FACTOR = {
    mfa.authenticator_added: "added",
    mfa.authenticator_removed: "removed",
    mfa.authenticator_reset: "reset",
}


@receiver(user_logged_in)
def record_sign_in(*, request: HttpRequest, user: User, **signal: Any) -> None:
    """Record that someone opened a session, by whatever way in."""
    _record(AccountEvent.USER_SIGNED_IN, request, user)


@receiver([account.password_changed, account.password_set, account.password_reset])
def record_password(*, request: HttpRequest, user: User, **signal: Any) -> None:
    """Record a new password, also one set by a mailed link."""
    record_new_password(user=user, actor=actor_of(user).at(client_address(request)))


@receiver([account.email_added, account.email_changed, account.email_removed])
def record_email(*, request: HttpRequest, user: User, **signal: Any) -> None:
    """Record that an email address came or went, not which."""
    _record(AccountEvent.USER_CHANGED, request, user, changed=["email"])


@receiver(list(SECOND_FACTOR))
def record_second_factor(
    *, signal: Signal, request: HttpRequest, user: User, authenticator: Any, **rest: Any
) -> None:
    """Record that a second factor came or went: its kind, never its key.

    The first one ends what was made without it.
    """
    is_factor = authenticator.type != Authenticator.Type.RECOVERY_CODES
    is_added = signal is mfa.authenticator_added and is_factor
    if is_added and not has_other_second_factor(user, authenticator):
        end_lesser_credentials(user, request)
    _record(
        AccountEvent.USER_SECOND_FACTOR,
        request,
        user,
        change=SECOND_FACTOR[signal],
        type=str(authenticator.type),
    )


def _record(
    kind: AccountEvent, request: HttpRequest, user: User, **detail: Any
) -> None:
    actor = actor_of(user).at(client_address(request))
    record_user_event(kind, user=user, actor=actor, detail=detail)
