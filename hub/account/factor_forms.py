"""allauth's forms for codes of authenticator apps and recovery codes, made stricter."""

from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms as allauth_forms
from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.factor_codes import Code, use_app_code
from accounts.signin_limits import check_codes, record_wrong_code


class _CodeForm(allauth_forms.BaseAuthenticateForm):  # type: ignore[misc]  # untyped
    """Counts wrong codes in the database, for all processes together."""

    def clean_code(self) -> str:
        check_codes(username=self.user.username)
        code: str = self.cleaned_data["code"]
        kinds = Authenticator.Type
        rows = {row.type: row for row in Authenticator.objects.filter(user=self.user)}
        app, recovery = rows.get(kinds.TOTP), rows.get(kinds.RECOVERY_CODES)
        outcome = Code.WRONG if app is None else use_app_code(app, code)
        if outcome is Code.USED:
            raise ValidationError(
                _("This code was used already. Wait for the next one."), "used_code"
            )
        if outcome is Code.ACCEPTED:
            self.authenticator = app
            return code
        if recovery is not None and recovery.wrap().validate_code(code):
            self.authenticator = recovery
            return code
        record_wrong_code(username=self.user.username)
        if app or recovery:
            self._emit_authentication_failed(app or recovery)
        raise get_adapter().validation_error("incorrect_code")


class AuthenticateForm(_CodeForm, allauth_forms.AuthenticateForm):  # type: ignore[misc]
    """The second step of a sign-in."""


class ReauthenticateForm(_CodeForm, allauth_forms.ReauthenticateForm):  # type: ignore[misc]
    """The confirmation before a change of the account's security."""
