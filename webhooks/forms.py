"""The form of a webhook: what it says never includes a secret that is kept."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models.fields import validate_line
from webhooks.formats.custom import TEMPLATE_MAX_LENGTH
from webhooks.message import EventName
from webhooks.models import Webhook
from webhooks.registration import WebhookInvalid
from webhooks.sealing import SealBroken

_MACHINE_WORD = {"autocapitalize": "none", "spellcheck": "false", "class": "mono"}
# A format and its options are one choice.
_CHOICES: dict[str, tuple[str, dict[str, Any]]] = {
    "native": ("native", {}),
    "dockerhub": ("dockerhub", {}),
    "dockerhub-with-host": ("dockerhub", {"with_host": True}),
    "quay": ("quay", {}),
    "harbor": ("harbor", {}),
    "harbor-cloudevents": ("harbor-cloudevents", {}),
    "distribution": ("distribution", {}),
    "distribution-1": ("distribution", {"version": 1}),
    "acr": ("acr", {}),
    "slack": ("slack", {}),
    "teams": ("teams", {}),
    "discord": ("discord", {}),
    "custom": ("custom", {}),
}
SINCE_HOURS = {"1": _("hour"), "24": _("day"), "168": _("week"), "720": _("30 days")}


class HeadersInput(forms.Textarea):
    """Header lines; what is written back has their names, never their values."""

    def format_value(self, value: Any) -> str:
        lines = (value or "").splitlines()
        names = (line.partition(":")[0].strip() for line in lines)
        return "\n".join(name for name in names if name)


class FormatForm(forms.Form):
    """The values that a preview needs."""

    events = forms.MultipleChoiceField(
        label=_("When"),
        choices=[
            (EventName.PUSH, _("A tag is pushed")),
            (EventName.DELETE, _("A tag is deleted")),
            (EventName.RESTORE, _("A deleted tag is restored")),
            (
                EventName.REPOSITORY,
                _(
                    "A repository is created, deleted, restored, renamed, "
                    "transferred, or changes visibility"
                ),
            ),
            (EventName.PULL, _("A tag is pulled")),
        ],
        initial=[EventName.PUSH],
        widget=forms.CheckboxSelectMultiple,
    )
    format = forms.ChoiceField(
        label=_("Payload"),
        choices=[
            ("native", _("Berth (CloudEvents)")),
            (
                _("Compatible with other registries"),
                [
                    ("dockerhub", _("Docker Hub")),
                    ("dockerhub-with-host", _("Docker Hub (with this host)")),
                    ("quay", _("Quay")),
                    ("harbor", _("Harbor")),
                    ("harbor-cloudevents", _("Harbor, as CloudEvents")),
                    ("distribution", _("Distribution 3")),
                    ("distribution-1", _("Distribution 2.8")),
                    ("acr", _("Azure Container Registry")),
                ],
            ),
            (
                _("Chat"),
                [
                    ("slack", "Slack"),
                    ("teams", "Microsoft Teams"),
                    ("discord", "Discord"),
                ],
            ),
            ("custom", _("Custom template")),
        ],
        widget=forms.Select(attrs={"class": "wide"}),
    )
    template = forms.CharField(
        label=_("Template"),
        required=False,
        max_length=TEMPLATE_MAX_LENGTH,
        help_text=_(
            "JSON in which {{ tag }} stands for a value: repository, tag, digest, "
            "reference, actor, event, url, summary and more."
        ),
        widget=forms.Textarea(
            attrs={
                "rows": 4,
                "placeholder": '{"image": "{{ reference }}"}',
                **_MACHINE_WORD,
            }
        ),
    )

    @property
    def format_settings(self) -> dict[str, Any]:
        """Return format, options and events as the verbs take them."""
        name, options = _CHOICES[self.cleaned_data["format"]]
        if name == "custom":
            options = {"template": self.cleaned_data["template"]}
        return {
            "format": name,
            "options": options,
            "events": self.cleaned_data["events"],
        }

    def refuse(self, error: WebhookInvalid) -> None:
        """Show beside a field why a verb did not take it."""
        name = {"options": "template"}.get(error.field, error.field)
        message = str(error)
        self.add_error(name, f"{message[:1].upper()}{message[1:]}.")


class WebhookForm(FormatForm):
    """All settings of a webhook, new or there already."""

    name = forms.CharField(
        label=_("Name"), max_length=100, required=False, validators=[validate_line]
    )
    url = forms.CharField(
        label="URL",
        max_length=2000,
        widget=forms.URLInput(
            attrs={"placeholder": "https://deploy.example.com/hooks/1", **_MACHINE_WORD}
        ),
    )
    tag_glob = forms.CharField(
        label=_("Tags"),
        max_length=128,
        required=False,
        help_text=_("Pattern, for example release-*"),
        widget=forms.TextInput(attrs=_MACHINE_WORD),
    )
    headers = forms.CharField(
        label=_("Headers"),
        required=False,
        max_length=100_000,
        help_text=_(
            "One per line, for example Authorization: Bearer … Values are never shown "
            "again; a name alone keeps its stored value."
        ),
        widget=HeadersInput(attrs={"rows": 2, **_MACHINE_WORD}),
    )
    secret = forms.CharField(
        label=_("Secret"),
        required=False,
        max_length=200,
        widget=forms.PasswordInput(
            attrs={"autocomplete": "new-password", **_MACHINE_WORD}
        ),
    )

    field_order = ("name", "url", "events", "tag_glob", "format", "secret")

    def __init__(
        self, *args: Any, webhook: Webhook | None = None, **kwargs: Any
    ) -> None:
        if webhook is not None:
            kwargs.setdefault("initial", settings_of(webhook))
        super().__init__(*args, **kwargs)
        self.fields["secret"].help_text = (
            _("Signs each request. Leave empty to generate one; it is shown once.")
            if webhook is None
            else _("Signs each request. Never shown again; type whsec_… to replace it.")
        )

    def clean_headers(self) -> dict[str, str | None]:
        """Return values by name; None keeps the one that is there."""
        headers: dict[str, str | None] = {}
        for line in self.cleaned_data["headers"].splitlines():
            name, _colon, value = line.partition(":")
            if name.strip() in headers:
                raise forms.ValidationError(_("A header is named twice."))
            if line.strip():
                headers[name.strip()] = value.strip() or None
        return headers

    @property
    def settings(self) -> dict[str, Any]:
        """Return everything as create_webhook and change_webhook take it."""
        names = ("name", "url", "tag_glob", "headers", "secret")
        fields = {name: self.cleaned_data[name] for name in names}
        return {**fields, **self.format_settings}


class SinceForm(forms.Form):
    """Since when what failed is sent again."""

    hours = forms.TypedChoiceField(
        choices=list(SINCE_HOURS.items()), coerce=int, initial="24"
    )


def settings_of(webhook: Webhook) -> dict[str, Any]:
    """Return what the form shows of a webhook: of headers the names, no secret."""
    try:
        url = webhook.url
    except SealBroken:  # the page says so
        url = ""
    return {
        "name": webhook.name,
        "url": url,
        "events": webhook.events,
        "tag_glob": webhook.tag_glob,
        "format": _choice_of(webhook.format, webhook.options),
        "template": webhook.options.get("template", ""),
        "headers": "\n".join(webhook.header_names),
    }


def _choice_of(format_name: str, options: Mapping[str, Any]) -> str:
    for choice, (name, settings) in _CHOICES.items():
        if name == format_name and settings and settings.items() <= options.items():
            return choice
    return format_name
