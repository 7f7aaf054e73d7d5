"""Forms of organizations: teams, people, robots, default permissions, settings."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Namespace, Organization, Robot, Team, User
from accounts.models.fields import validate_line, validate_paragraphs
from accounts.models.namespaces import validate_claimed_field
from accounts.names import (
    NAMESPACE_MAX_LENGTH,
    ROBOT_NAME_MAX_LENGTH,
    TEAM_NAME_MAX_LENGTH,
    InvalidName,
    validate_component,
)
from hub.repository.forms import KIND_CHOICES, ROLE_CHOICES
from repositories.rights.grants import Subject, find_subject_in

_MACHINE_WORD = {"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}


def _check_component(name: str) -> None:
    try:
        validate_component(name)
    except InvalidName as error:
        raise ValidationError(str(error)) from error


class TeamForm(forms.Form):
    """The name of a team, and the standing of its members."""

    name = forms.CharField(
        label=_("Name"),
        max_length=TEAM_NAME_MAX_LENGTH,
        validators=[_check_component],
        widget=forms.TextInput(attrs=_MACHINE_WORD),
    )
    description = forms.CharField(
        validators=[validate_paragraphs],
        label=_("Description"),
        max_length=500,
        required=False,
    )
    standing = forms.ChoiceField(
        label=_("Members can"),
        choices=[
            (Team.Standing.MEMBER, _("Use the team's roles")),
            (Team.Standing.CREATOR, _("Also create repositories")),
            (Team.Standing.ADMIN, _("Manage the organization")),
        ],
        initial=Team.Standing.MEMBER,
        widget=forms.RadioSelect,
    )
    standing.hints = {  # type: ignore[attr-defined]  # for components/field.html
        "member": _("Only the roles that repositories give the team"),
        "creator": _("They get admin on repositories they create"),
        "admin": _("People, robots, settings and all repositories"),
    }


class JoinForm(forms.Form):
    """Someone to join a team: by name at once, or by an invitation."""

    who = forms.CharField(
        label=_("Username, robot or email"),
        max_length=254,
        help_text=_("Invited people must accept. “Add now” takes effect immediately."),
        widget=forms.TextInput(attrs=_MACHINE_WORD),
    )

    def __init__(self, *args: Any, namespace: Namespace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.namespace = namespace
        self.member: User | Robot | None = None
        self.email = ""

    def clean_who(self) -> str:
        """Find the user or the robot; an address stays one, even if a user has it."""
        who: str = self.cleaned_data["who"]
        if "@" in who:
            self.email = forms.EmailField(validators=[validate_line]).clean(who)
            return who
        kind = "robot" if "+" in who else "user"
        found = find_subject_in(self.namespace, kind, who)
        if not isinstance(found, User | Robot):
            raise ValidationError(_("No user with this name."))
        self.member = found
        return who


class InviteForm(JoinForm):
    """A person or a robot to join one of an organization's teams."""

    team = forms.ModelChoiceField(
        queryset=Team.objects.none(), label=_("Team"), to_field_name="name"
    )
    field_order = ("who", "team")

    def __init__(self, *args: Any, namespace: Namespace, **kwargs: Any) -> None:
        super().__init__(*args, namespace=namespace, **kwargs)
        teams: Any = self.fields["team"]
        teams.queryset = Team.objects.filter(
            organization=namespace.organization_id
        ).order_by("name")
        teams.empty_label = None


class ExpiryForm(forms.Form):
    """The expiry of a robot and its token."""

    days = forms.TypedChoiceField(
        label=_("Expires"),
        choices=[
            ("0", _("Never")),
            ("30", _("In 30 days")),
            ("90", _("In 90 days")),
            ("365", _("In a year")),
        ],
        coerce=int,
        initial="0",
    )

    @property
    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=days) if days else None


class RobotForm(ExpiryForm):
    """A login for machines."""

    field_order = ("name", "description", "days")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["days"].required = False  # never, unless it is chosen

    name = forms.CharField(
        label=_("Name"),
        max_length=ROBOT_NAME_MAX_LENGTH,
        validators=[_check_component],
        widget=forms.TextInput(attrs=_MACHINE_WORD),
    )
    description = forms.CharField(
        validators=[validate_paragraphs],
        label=_("Description"),
        max_length=500,
        required=False,
        help_text=_("Helps your teammates."),
    )


class DefaultForm(forms.Form):
    """Default roles on new repositories."""

    creator = forms.CharField(
        label=_("When this user or robot creates a repository"),
        max_length=100,
        required=False,
        help_text=_("Leave empty for everyone."),
        widget=forms.TextInput(attrs=_MACHINE_WORD),
    )
    kind = forms.ChoiceField(label=_("Grant to"), choices=KIND_CHOICES)
    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        widget=forms.TextInput(attrs=_MACHINE_WORD),
    )
    role = forms.ChoiceField(label=_("Role"), choices=ROLE_CHOICES)

    def __init__(self, *args: Any, namespace: Namespace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.namespace = namespace
        self.subject: Subject | None = None
        self.found_creator: User | Robot | None = None

    def clean_creator(self) -> str:
        name: str = self.cleaned_data["creator"]
        if name:
            kind = "robot" if "+" in name else "user"
            found = find_subject_in(self.namespace, kind, name)
            if not isinstance(found, User | Robot):
                raise ValidationError(_("No user with this name."))
            self.found_creator = found
        return name

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or {}
        if "kind" in fields and "name" in fields:
            self.subject = find_subject_in(
                self.namespace, fields["kind"], fields["name"]
            )
            if self.subject is None:
                self.add_error("name", _("No user with this name."))
        return fields


class OrganizationForm(forms.ModelForm):  # type: ignore[type-arg]  # not at run time
    """The public profile of an organization."""

    website = forms.URLField(
        label=_("Website"),
        required=False,
        max_length=200,
        assume_scheme="https",
        validators=[URLValidator(schemes=["http", "https"])],
    )

    class Meta:
        model = Organization
        fields = ("display_name", "description", "website", "email")
        labels = {
            "display_name": _("Display name"),
            "description": _("Description"),
            "email": _("Email"),
        }
        widgets = {"description": forms.Textarea(attrs={"rows": 3})}
        help_texts = {"email": _("Visible to owners only.")}


class NewNameForm(forms.Form):
    """Another name; whether it is free is the database's word."""

    name = forms.CharField(
        label=_("Name"),
        max_length=NAMESPACE_MAX_LENGTH,
        validators=[validate_claimed_field],
        help_text=_(
            "The old name redirects here. "
            "If its images are in use, it stays reserved until you free it."
        ),
        widget=forms.TextInput(attrs=_MACHINE_WORD),
    )
