"""Forms of one's own account."""

from datetime import datetime, timedelta
from typing import Any

from allauth.account.forms import LoginForm, SetPasswordForm, SignupForm
from allauth.socialaccount.forms import SignupForm as SocialSignupForm
from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.models import AccessToken, User
from accounts.models.fields import validate_line
from accounts.models.namespaces import validate_claimed_field
from accounts.names import NAMESPACE_MAX_LENGTH
from repositories.rights.token_scope import (
    NothingOfThatName,
    namespace_ids,
    repository_ids,
)

_NAME_HINT = _(
    "Also the first part of your images' names. Lowercase letters, digits, and single "
    "'-', '_' or '.' between them."
)
_MACHINE_WORD = {"autocapitalize": "none", "spellcheck": "false"}  # no help from phones


class SignInForm(LoginForm):  # type: ignore[misc]  # allauth is untyped
    """Sign in with the username, or the email address."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        login = self.fields["login"]
        login.label = _("Username or email")
        login.widget.attrs = {"autocomplete": "username webauthn", **_MACHINE_WORD}
        self.fields["password"].widget.attrs.pop("placeholder", None)
        self.fields["password"].help_text = ""
        self.fields["remember"].label = _("Stay signed in for 30 days")


def _shape(form: forms.Form) -> None:
    """Describe what a username is for, and let labels do the work of placeholders."""
    username = form.fields["username"]
    username.help_text = _NAME_HINT
    username.widget.attrs |= _MACHINE_WORD
    form.fields["email"].label = _("Email")
    for field in form.fields.values():
        field.widget.attrs.pop("placeholder", None)


class _TakesEveryAddress:
    """Makes an account for every address, whatever BERTH_EMAIL_VERIFICATION says.

    allauth makes none for a taken address where confirmation is mandatory. Usernames
    are public, so the missing page of the new user would reveal it (adapters.py).
    """

    account_already_exists: bool

    def validate_unique_email(self, value: str) -> str:
        self.account_already_exists = False
        return value


class SignUpForm(_TakesEveryAddress, SignupForm):  # type: ignore[misc]
    """Choose a name, which is also a namespace, and a password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _shape(self)


class SocialSignUpForm(_TakesEveryAddress, SocialSignupForm):  # type: ignore[misc]
    """Choose a name; who someone is was said elsewhere."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _shape(self)


class FirstSignInForm(SetPasswordForm):  # type: ignore[misc]
    """Replace a one-time password, and say where mail goes."""

    email = forms.EmailField(
        label=_("Email"),
        required=False,
        help_text=_("For a lost password and for warnings about this site."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)
        if self.user.email:
            del self.fields["email"]

    def clean_password1(self) -> str:
        password: str = self.cleaned_data["password1"]
        if self.user.check_password(password):
            raise forms.ValidationError(_("This is the one-time password."))
        return password

    def clean_email(self) -> str:
        email: str = User.objects.normalize_email(self.cleaned_data["email"])
        if email and User.objects.filter(email__iexact=email).exists():
            raise forms.ValidationError(_("Another account has this address."))
        return email


class ProfileForm(forms.Form):
    """The public profile of a user."""

    display_name = forms.CharField(
        validators=[validate_line],
        label=_("Display name"),
        max_length=100,
        required=False,
        help_text=_("Shown beside your username."),
    )


class NewOrganizationForm(forms.Form):
    """Name an organization; whether the name is free is the database's word."""

    name = forms.CharField(
        label=_("Name"),
        max_length=NAMESPACE_MAX_LENGTH,
        validators=[validate_claimed_field],
        help_text=_(
            "The first part of its images' names. Lowercase letters, digits, and "
            "single '-', '_' or '.' between them."
        ),
        widget=forms.TextInput(attrs=_MACHINE_WORD),
    )
    display_name = forms.CharField(
        validators=[validate_line],
        label=_("Display name"),
        max_length=100,
        required=False,
        help_text=_("Shown to people, for example Acme Incorporated."),
    )


class NewTokenForm(forms.Form):
    """The name and the permissions of a new access token."""

    name = forms.CharField(
        validators=[validate_line],
        label=_("Name"),
        max_length=100,
        widget=forms.TextInput(
            attrs={"placeholder": _("Where it will be used, such as build-vm-3")}
        ),
    )
    actions = forms.ChoiceField(
        label=_("Permissions"),
        choices=[
            (AccessToken.Actions.READ, _("Pull")),
            (AccessToken.Actions.WRITE, _("Pull and push")),
            (AccessToken.Actions.ADMIN, _("Full access")),
        ],
        initial=AccessToken.Actions.READ,
        widget=forms.RadioSelect,
    )
    actions.hints = {  # type: ignore[attr-defined]  # for components/field.html
        "read": _("Everything you can pull"),
        "write": _("Everything you can push to; also move and delete tags"),
        "admin": _("Also settings, roles, organizations and the API"),
    }
    only = forms.CharField(
        label=_("Limit to repositories or namespaces"),
        required=False,
        help_text=_("Separated by commas. Empty means all of yours."),
        widget=forms.TextInput(
            attrs={"placeholder": "acme/api, acme", **_MACHINE_WORD}
        ),
    )
    days = forms.TypedChoiceField(
        label=_("Expires"),
        choices=[
            ("7", _("In 7 days")),
            ("30", _("In 30 days")),
            ("90", _("In 90 days")),
            ("365", _("In a year")),
            ("0", _("Never")),
        ],
        coerce=int,
        initial="90",
    )

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor = actor

    def clean_only(self) -> dict[str, list[int] | None]:
        """Turn names into what issue_access_token takes; None means everywhere."""
        names = [name.strip() for name in self.cleaned_data["only"].split(",")]
        names = [name for name in names if name]
        if not names:
            return {"repository_ids": None, "namespace_ids": None}
        try:
            return {
                "repository_ids": repository_ids(
                    self.actor, [name for name in names if "/" in name]
                ),
                "namespace_ids": namespace_ids(
                    [name for name in names if "/" not in name]
                ),
            }
        except NothingOfThatName as error:
            raise forms.ValidationError(str(error)) from error

    @property
    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=days) if days else None
