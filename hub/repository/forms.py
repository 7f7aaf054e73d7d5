"""Forms of a repository's pages."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.actions import Action, Role
from accounts.actors import Actor
from accounts.models import Namespace
from accounts.models.fields import validate_summary
from repositories.models import Repository
from repositories.models.repositories import README_MAX_LENGTH
from repositories.oci.references import (
    COMPONENT_PATTERN,
    NAME_MAX_LENGTH,
    NameMalformed,
    parse_repository_name,
)
from repositories.rights.access import find_namespace
from repositories.rights.decisions import may_create
from repositories.rights.grants import Subject, find_subject

TAG_GLOB_MAX_LENGTH = 128
ROLE_CHOICES = [
    (Role.READ, gettext_lazy("read: pull")),
    (Role.WRITE, gettext_lazy("write: pull, push and delete tags")),
    (Role.ADMIN, gettext_lazy("admin: everything")),
]
KIND_CHOICES = [
    ("user", gettext_lazy("user")),
    ("team", gettext_lazy("team")),
    ("robot", gettext_lazy("robot")),
]
_MACHINE_WORD = {"autocapitalize": "none", "spellcheck": "false"}  # no help from phones


class NewRepositoryForm(forms.Form):
    """Name a repository in one of the namespaces where the actor may make one."""

    namespace = forms.ModelChoiceField(
        label=gettext_lazy("Owner"),
        queryset=Namespace.objects.none(),
        to_field_name="name",
        empty_label=None,
        widget=forms.Select(attrs={"class": "wide"}),
    )
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=255,
        widget=forms.TextInput(attrs=_MACHINE_WORD),
    )
    description = forms.CharField(
        validators=[validate_summary],
        label=gettext_lazy("Description"),
        max_length=200,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    visibility = forms.ChoiceField(
        label=gettext_lazy("Who can see and pull it"),
        choices=[
            ("private", gettext_lazy("Private")),
            ("public", gettext_lazy("Public")),
        ],
        initial="private",
        widget=forms.RadioSelect,
    )
    visibility.hints = {  # type: ignore[attr-defined]  # for components/field.html
        "private": gettext_lazy("Only you and people you give access"),
        "public": gettext_lazy(
            "Anyone who can reach this registry, without signing in"
        ),
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


class DescriptionForm(forms.Form):
    description = forms.CharField(
        validators=[validate_summary],
        label=gettext_lazy("Description"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("One sentence, shown in lists and searches."),
    )


class ReadmeForm(forms.Form):
    readme = forms.CharField(
        label=gettext_lazy("README"),
        max_length=README_MAX_LENGTH,
        required=False,
        strip=False,
        widget=forms.Textarea(
            attrs={"rows": 24, "class": "mono", "spellcheck": "true"}
        ),
        help_text=gettext_lazy("Markdown. Images are shown as links."),
    )


class VisibilityForm(forms.Form):
    visibility = forms.ChoiceField(
        label=gettext_lazy("Who can see it"),
        choices=[
            (Repository.Visibility.PRIVATE, gettext_lazy("Private")),
            (Repository.Visibility.PUBLIC, gettext_lazy("Public")),
        ],
        widget=forms.RadioSelect,
    )
    visibility.hints = {  # type: ignore[attr-defined]  # components/field.html
        "private": gettext_lazy(
            "Only you and people you give access can see and pull it."
        ),
        "public": gettext_lazy("Everyone can see and pull it, signed in or not."),
    }


class NameForm(forms.Form):
    """Another name in the same namespace, or the name to come back under."""

    name = forms.RegexField(
        rf"^{COMPONENT_PATTERN}(?:/{COMPONENT_PATTERN})*\Z",
        label=gettext_lazy("Name"),
        max_length=NAME_MAX_LENGTH - 40,
        error_messages={
            "invalid": gettext_lazy(
                "Use lowercase letters and digits, separated by '-', '_', '.' or '/'."
            )
        },
    )


class TransferForm(forms.Form):
    """The new namespace of a repository, where the sender may create repositories."""

    namespace = forms.CharField(
        label=gettext_lazy("User or organization"),
        max_length=39,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    confirmation = forms.CharField(
        label=gettext_lazy("Type the repository's name to confirm"),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(
        self, *arguments: Any, repository: Repository, actor: Actor, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.repository, self.actor = repository, actor
        self.target: Namespace | None = None
        self.fields["confirmation"].help_text = repository.full_name

    def clean_namespace(self) -> str:
        name: str = self.cleaned_data["namespace"].replace("\0", "")
        self.target = find_namespace(name)
        if self.target is None:
            raise ValidationError(_("No user or organization with this name."))
        decision = may_create(self.actor, self.target)
        if not decision:
            raise ValidationError(decision.reason.replace("*", ""))
        return name

    def clean_confirmation(self) -> str:
        return _check_confirmation(self.cleaned_data["confirmation"], self.repository)


class DeletionForm(forms.Form):
    """Asks for the name, since it takes everything with it."""

    confirmation = forms.CharField(
        label=gettext_lazy("Type the repository's name to confirm"),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *arguments: Any, repository: Repository, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.repository = repository
        self.fields["confirmation"].help_text = repository.full_name

    def clean_confirmation(self) -> str:
        return _check_confirmation(self.cleaned_data["confirmation"], self.repository)


def _check_confirmation(text: str, repository: Repository) -> str:
    if text != repository.full_name:
        raise ValidationError(_("Doesn't match."))
    return text


class GrantForm(forms.Form):
    """A role for a subject, and its tags."""

    kind = forms.ChoiceField(label=gettext_lazy("Who"), choices=KIND_CHOICES)
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=ROLE_CHOICES)
    tags = forms.CharField(
        label=gettext_lazy("Tags"),
        max_length=TAG_GLOB_MAX_LENGTH,
        required=False,
        help_text=gettext_lazy(
            "For example release-*. Other tags can only be pulled. Leave empty for "
            "all tags."
        ),
    )

    def __init__(self, *arguments: Any, repository: Repository, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.repository = repository
        self.subject: Subject | None = None

    def clean(self) -> dict[str, Any]:
        fields = self.cleaned_data
        if "kind" in fields and "name" in fields:
            name = fields["name"].replace("\0", "")
            self.subject = find_subject(self.repository, fields["kind"], name)
            if self.subject is None:
                kinds = dict(KIND_CHOICES)
                self.add_error(
                    "name",
                    _("There is no %(kind)s called %(name)s here.")
                    % {"kind": kinds[fields["kind"]], "name": name},
                )
        return fields


class ChangedGrantForm(forms.Form):
    role = forms.ChoiceField(choices=ROLE_CHOICES)
    tags = forms.CharField(max_length=TAG_GLOB_MAX_LENGTH, required=False)


class QuestionForm(forms.Form):
    """Asks why someone can do something; without a name, who can."""

    who = forms.CharField(
        label=gettext_lazy("Who"),
        max_length=100,
        required=False,
        help_text=gettext_lazy(
            "A user, a robot or anonymous. Leave empty to list everyone."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    action = forms.ChoiceField(
        label=gettext_lazy("Action"),
        choices=[(action.value, action.value) for action in Action],
        initial=Action.PUSH,
    )
    tag = forms.CharField(label=gettext_lazy("Tag"), max_length=128, required=False)
