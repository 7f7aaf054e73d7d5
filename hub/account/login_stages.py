"""Steps between the password and the session, where Berth differs from allauth."""

from typing import Any

from allauth.account.stages import EmailVerificationStage
from django.contrib import messages
from django.utils.translation import gettext as _

from accounts.mail import refusals_of


class ConfirmAddressStage(EmailVerificationStage):  # type: ignore[misc]
    """Asks people who signed up to confirm their address first.

    Site administrators and accounts without an address, which administrators create,
    can sign in without it: the first administrator has no address, and an administrator
    has to get in to set up the mail server.
    """

    def handle(self) -> Any:
        user = self.login.user
        if user is None:  # a sign-up with an address that has an account
            return super().handle()
        if not self.login.signup and (user.is_superuser or not user.email):
            return None, True
        response, goes_on = super().handle()
        if response is not None:
            for refused in refusals_of(user):
                messages.error(
                    self.request,
                    _("The mail server refused mail to %(address)s: %(reason)s")
                    % {"address": refused.address, "reason": refused.reason},
                )
        return response, goes_on
