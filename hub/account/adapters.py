"""Answers django-allauth: who may sign up, as whom, and from where.

Sign-ups are for everyone, for those with an invitation, or for no one (BERTH_SIGNUP).
An invitation's page puts its secret into the session; here it has to be one that still
stands.

A sign-up never reveals whether an address has an account: ACCOUNT_PREVENT_ENUMERATION
is "strict". It makes the account either way, with an unconfirmed address, and mails the
address. An account without a confirmed address gets no notifications by mail and no
invitations by address, and loses the address to the account that confirms it.
"""

import logging
import time
from typing import Any
from urllib.parse import quote

from allauth.account import app_settings as account_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, transaction
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from requests import RequestException

from accounts.addresses import client_address
from accounts.emails import is_address_taken
from accounts.former_names import refuse_reserved
from accounts.invitations import InvitationOver
from accounts.models import Invitation, Namespace, User
from accounts.models.fields import validate_line
from accounts.models.invitations import InvitationQuerySet
from accounts.names import InvalidName, validate_claimed_name
from accounts.requests import actor_of_page
from accounts.tokens import hash_token
from accounts.users import enrol_user

log = logging.getLogger(__name__)

SIGN_IN_METHODS = frozenset({"password", "mfa", "socialaccount"})  # allauth's words
INVITATION_IN_SESSION = "invitation"  # the secret of the link that was followed


def may_sign_up(request: HttpRequest) -> bool:
    """Return whether the visitor may create an account."""
    if settings.BERTH_SIGNUP == "invite":
        return is_invited(request)
    return bool(settings.BERTH_SIGNUP == "open")


def is_invited(request: HttpRequest) -> bool:
    """Return whether this session followed the link of an invitation that stands.

    One to a user is for an account that is there, and makes none.
    """
    return _followed(request).filter(user=None).exists()


def _followed(request: HttpRequest) -> InvitationQuerySet:
    secret = str(request.session.get(INVITATION_IN_SESSION, ""))
    found = Invitation.objects.standing().filter(token_hash=hash_token(secret))
    return found if secret else found.none()


def bind_invitation(request: HttpRequest, user: User) -> None:
    """Make the invitation of the link that was followed the new user's alone.

    In the transaction that makes the account: where only the invited may sign up, one
    link makes one account (InvitationOver for the second), and that one answers it.
    """
    # By the id: the conditions of an UPDATE with a subquery are not asked again for a
    # row that another transaction has changed in the meantime.
    ids = list(_followed(request).filter(user=None).values_list("pk", flat=True))
    free = Invitation.objects.filter(pk__in=ids, user=None)
    bound = free.update(user=user, email="")
    if not bound and settings.BERTH_SIGNUP == "invite":
        raise InvitationOver("this invitation was answered or withdrawn already")


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    """Accounts of Berth: the username is also the name of a namespace."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return may_sign_up(request)

    def is_safe_url(self, url: str) -> bool:
        """Return whether to go to this address; one that cannot be read is not safe."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:  # an address such as http://[::1
            return False

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        """Send the invited user back to the invitation."""
        if _followed(request).exists():
            secret = request.session[INVITATION_IN_SESSION]
            return reverse("invitation-page", args=[secret])
        return str(super().get_signup_redirect_url(request))

    def clean_username(self, username: str, shallow: bool = False) -> str:
        """Refuse what the grammar refuses, and what a user or organization has."""
        username = username.lower()
        try:
            validate_claimed_name(username)
        except InvalidName as error:
            raise ValidationError(str(error)) from error
        if not shallow and Namespace.objects.filter(name=username).exists():
            raise ValidationError(_("This name is taken."))
        if not shallow:
            refuse_reserved(username)
        return str(super().clean_username(username, shallow))

    def clean_email(self, email: str) -> str:
        """Refuse unclear text, which a quoted or international address may have."""
        validate_line(email)
        return str(super().clean_email(email))

    def save_user(
        self, request: HttpRequest, user: User, form: BaseForm, commit: bool = True
    ) -> User:
        """Save a new user with the namespace, or send back who was a moment late."""
        super().save_user(request, user, form, commit=False)
        if not commit:
            return user
        try:
            with transaction.atomic():
                enrol_user(user=user, actor=actor_of_page(request))
                bind_invitation(request, user)
        except InvitationOver as error:
            messages.error(request, _("This invitation has been used already."))
            raise ImmediateHttpResponse(
                HttpResponseRedirect(reverse("account_signup"))
            ) from error
        except IntegrityError as error:
            messages.error(request, _("That name was just taken."))
            raise ImmediateHttpResponse(
                HttpResponseRedirect(request.get_full_path())
            ) from error
        if settings.BERTH_EMAIL_VERIFICATION == "none" and is_address_taken(
            user.email, by_other_than=user
        ):
            self.send_already_exists_mail(user, user.email, "")
        return user

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Leave the limit on guessing to accounts/backends.py, which all share."""
        user = authenticate(request, **credentials)
        return user if isinstance(user, User) else None

    def is_reauthentication_required(self, *, app: str, **options: Any) -> bool:
        """Ask for the password again, but not right after the sign-in.

        allauth counts only explicit confirmations. A complete sign-in proves the same;
        the link of a password reset does not, it proves only the mailbox.
        """
        if not super().is_reauthentication_required(app=app, **options):
            return False
        records = get_authentication_records(self.request, self.request.user)
        newest = max(
            (r["at"] for r in records if r["method"] in SIGN_IN_METHODS), default=0.0
        )
        return bool(time.time() - newest >= account_settings.REAUTHENTICATION_TIMEOUT)

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request) or "0.0.0.0"  # noqa: S104  # a name, no listener

    def get_login_stages(self) -> list[str]:
        """Put Berth's step for unconfirmed addresses in the place of allauth's."""
        ours = "hub.account.login_stages.ConfirmAddressStage"
        return [
            ours if stage.endswith(".EmailVerificationStage") else stage
            for stage in super().get_login_stages()
        ]

    def send_mail(
        self, template_prefix: str, email: str, context: dict[str, Any]
    ) -> None:
        """Queue a mail that names this registry by BERTH_URL.

        allauth calls this after it has saved the change, so a failure of the database
        is logged and does not turn the change into an error page.
        """
        site = {"name": settings.BERTH_SERVICE, "domain": settings.BERTH_SERVICE}
        try:
            super().send_mail(template_prefix, email, {**context, "current_site": site})
        except DatabaseError:
            if transaction.get_connection().in_atomic_block:
                raise  # the change is undone along with the mail
            log.exception("a mail was not queued (%s)", template_prefix)

    def send_confirmation_mail(
        self, request: HttpRequest, emailconfirmation: Any, signup: bool
    ) -> None:
        """Mail a link that confirms the address, or that another account has it.

        The page shows the same either way. Only the reader of the address learns it.
        """
        address = emailconfirmation.email_address
        if not is_address_taken(address.email, by_other_than=address.user):
            super().send_confirmation_mail(request, emailconfirmation, signup)
            return
        is_confirmed = not address.can_set_verified()
        link = self.get_email_confirmation_url(request, emailconfirmation)
        self.send_already_exists_mail(
            address.user, address.email, "" if is_confirmed else link
        )

    def send_already_exists_mail(self, user: User, email: str, link: str) -> None:
        """Notify the reader of an address that another account names it now."""
        path = reverse("account_reset_password")
        self.send_mail(
            "account/email/account_already_exists",
            email,
            {
                "username": user.username,
                "activate_url": link,
                "password_reset_url": f"{settings.BERTH_URL}{path}",
            },
        )

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Link to BERTH_URL, whatever host the request was sent to."""
        path = reverse(
            "account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"}
        )
        return f"{settings.BERTH_URL}{path.replace('UID-KEY', quote(key))}"

    def get_email_confirmation_url(
        self, request: HttpRequest, emailconfirmation: Any
    ) -> str:
        path = reverse("account_confirm_email", args=[emailconfirmation.key])
        return f"{settings.BERTH_URL}{path}"


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Accounts verified by other sites; the sign-up is as open as any other."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return may_sign_up(request)

    def save_user(
        self, request: HttpRequest, sociallogin: Any, form: BaseForm | None = None
    ) -> User:
        """Save the user, the namespace and whose account it is elsewhere, or nothing.

        There always is a form: the name of a namespace is chosen, not guessed.
        """
        with transaction.atomic():
            user = super().save_user(request, sociallogin, form)
        assert isinstance(user, User), "it is the model of the settings"
        return user

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """Log why, as the page says; a site that does not answer is an outage."""
        if isinstance(exception, RequestException) and not _is_refusal(exception):
            raise exception
        cause = getattr(exception, "__cause__", None)
        reason = "; ".join(str(each) for each in (exception, cause) if each)
        log.warning(
            "%s did not confirm a sign-in: %s", provider.name, reason[:300] or error
        )


def _is_refusal(error: RequestException) -> bool:
    """Return whether the site answered, and that the request was wrong."""
    return error.response is not None and error.response.status_code < 500
