"""Resets the second factor of people who lost it; only administrators do this."""

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.actors import Actor
from accounts.credentials import end_lesser_credentials
from accounts.events import AccountEvent, record_user_event
from accounts.models import User


def reset_second_factor(*, user: User, actor: Actor) -> bool:
    """Remove authenticator app, passkeys and recovery codes of an account.

    Its sessions and docker logins by password end, the audit log records who did it,
    and a mail informs the owner. False if the account has no second factor.
    """
    with transaction.atomic():
        deleted, _ = Authenticator.objects.filter(user=user).delete()
        if not deleted:
            return False
        end_lesser_credentials(user)
        record_user_event(
            AccountEvent.USER_SECOND_FACTOR,
            user=user,
            actor=actor,
            detail={"change": "reset by an administrator"},
        )
        if user.email:
            _message(user).send()
    return True


def _message(user: User) -> EmailMessage:
    text = render_to_string(
        "mail/second_factor_reset.txt",
        {
            "username": user.username,
            "registry": settings.BERTH_SERVICE,
            "link": f"{settings.BERTH_URL}{reverse('accounts:security')}",
        },
    )
    return EmailMessage(
        subject=f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}Your second factor was reset",
        body=text,
        to=[user.email],
    )
