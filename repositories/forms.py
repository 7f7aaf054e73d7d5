"""Forms about repositories and what reaches them."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.models import AccessToken, Namespace
from accounts.models.fields import validate_line, validate_summary
from repositories.models import Repository
from repositories.oci.references import NameMalformed, parse_repository_name
from repositories.reach import NothingOfThatName, namespace_ids, repository_ids

_MACHINE_WORD = {"autocapitalize": "none", "spellcheck": "false"}


class NewRepositoryForm(forms.Form):
    """Name a repository in one of the namespaces where the actor may make one."""

    namespace = forms.ModelChoiceField(
        label=_("Owner"),
        queryset=Namespace.objects.none(),
        to_field_name="name",
        empty_label=None,
        widget=forms.Select(attrs={"class": "wide"}),
    )
    name = forms.CharField(
        label=_("Name"), max_length=255, widget=forms.TextInput(attrs=_MACHINE_WORD)
    )
    description = forms.CharField(
        validators=[validate_summary],
        label=_("Description"),
        max_length=200,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    visibility = forms.ChoiceField(
        label=_("Who can see and pull it"),
        choices=[("private", _("Private")), ("public", _("Public"))],
        initial="private",
        widget=forms.RadioSelect,
    )
    visibility.hints = {  # type: ignore[attr-defined]  # for components/field.html
        "private": _("You and those you give a role"),
        "public": _("Anyone who can reach this registry, without signing in"),
    }

    visibility.icons = {  # type: ignore[attr-defined]
        "private": "lock",
        "public": "globe",
    }

    def __init__(
        self, *args: Any, namespaces: QuerySet[Namespace], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        owner = self.fields["namespace"]
        assert isinstance(owner, forms.ModelChoiceField), "declared so above"
        owner.queryset = namespaces

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or {}
        namespace, name = fields.get("namespace"), fields.get("name")
        if namespace is not None and name:
            try:
                parse_repository_name(f"{namespace.name}/{name}")
            except NameMalformed as error:
                self.add_error("name", str(error))
            else:
                if Repository.objects.filter(
                    namespace=namespace, name=name, deleted_at=None
                ).exists():
                    self.add_error("name", _("There is a repository of this name."))
        return fields


class NewTokenForm(forms.Form):
    """What a new access token is called, and how much it lets through."""

    name = forms.CharField(
        validators=[validate_line],
        label=_("Name"),
        max_length=100,
        widget=forms.TextInput(
            attrs={"placeholder": _("Where it will be used, such as build-vm-3")}
        ),
    )
    actions = forms.ChoiceField(
        label=_("It may"),
        choices=[
            (AccessToken.Actions.READ, _("Pull")),
            (AccessToken.Actions.WRITE, _("Pull and push")),
            (AccessToken.Actions.ADMIN, _("Everything that you may")),
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
        label=_("Only in these repositories or namespaces"),
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
