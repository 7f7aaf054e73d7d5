"""Make, change, stop and delete webhooks; whether one may is asked before.

Every change is an event of the audit log, without secrets.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
from django.db import transaction
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import Namespace
from accounts.rates import take
from database.locking import retry_deadlocks
from repositories.models import Repository
from webhooks.disabling import delete_with_logs
from webhooks.events import WebhookEvent, record_webhook_event
from webhooks.formats import CUSTOM, FORMATS
from webhooks.formats.custom import TemplateInvalid, check_template
from webhooks.message import EventName
from webhooks.models import Webhook
from webhooks.rendering import PayloadInvalid, render_payload, sample_message
from webhooks.sealing import SealBroken, seal
from webhooks.signing import SecretInvalid, check_secret, make_secret
from webhooks.targets import TargetInvalid, check_headers, parse_target

OVERLAP = timedelta(hours=24)  # for which a former secret signs, too
WEBHOOKS_MAX = 50  # in one place


class WebhookInvalid(ValueError):
    """A setting that cannot be used; ``field`` is which."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class TooManyWebhooks(Exception):
    """There is no room for another webhook in this place."""

    def __init__(self) -> None:
        super().__init__(f"there are {WEBHOOKS_MAX} webhooks here, which is the most")


def create_webhook(
    *,
    repository: Repository | None = None,
    namespace: Namespace | None = None,
    actor: Actor,
    url: str,
    events: Sequence[str],
    format: str = "native",
    name: str = "",
    secret: str = "",
    tag_glob: str = "",
    headers: Mapping[str, str | None] | None = None,
    options: Mapping[str, Any] | None = None,
    is_active: bool = True,
) -> tuple[Webhook, str]:
    """Make a webhook of a repository, a namespace, or (neither given) of the site.

    The second value is the secret; it cannot be read again. Raises WebhookInvalid and
    TooManyWebhooks and TooManyActions.
    """
    take("webhooks", actor)
    secret = secret or make_secret()
    webhook = Webhook(
        repository=repository,
        namespace=namespace,
        name=name,
        format=format,
        events=_checked_events(format, events),
        tag_glob=tag_glob,
        options=_checked_options(format, options or {}),
        is_active=is_active,
        sealed_secret=seal(_checked_secret(secret)),
        created_by=actor.name,
        owner_id=actor.user_id,
    )
    _set_url(webhook, url)
    _set_headers(webhook, _with_kept_values({}, headers or {}))
    with transaction.atomic():
        beside = Webhook.objects.of(
            repository_id=webhook.repository_id, namespace_id=webhook.namespace_id
        )
        if beside.count() >= WEBHOOKS_MAX:
            raise TooManyWebhooks
        webhook.save()
        made = record_webhook_event(
            kind=WebhookEvent.CREATED, webhook=webhook, actor=actor
        )
        webhook.after_event = made.pk
        webhook.save(update_fields=["after_event"])
    return webhook, secret


def change_webhook(*, webhook: Webhook, actor: Actor, **changes: Any) -> Webhook:
    """Change settings by the names that create_webhook has, except for the place.

    In ``headers``, a value of None keeps the one that is there, unless the URL changes
    its scheme, host or port: what was given for a receiver goes to no other one, and
    what was given for TLS never without it. A webhook
    that is enabled again begins again: its failures are forgotten. Raises
    WebhookInvalid.
    """
    with transaction.atomic():
        rows = Webhook.objects.select_for_update(of=("self",), no_key=True)
        row = rows.get(pk=webhook.pk)
        before = {name: getattr(row, name) for name in _COLUMNS}
        for name in ("name", "tag_glob", "is_active", "format"):
            if name in changes:
                setattr(row, name, changes[name])
        row.events = _checked_events(row.format, changes.get("events", row.events))
        if "options" in changes or row.format != before["format"]:
            row.options = _checked_options(row.format, changes.get("options", {}))
        is_moved = False
        if "url" in changes and not _is_url(row, changes["url"]):
            origin = _origin_of(row)
            _set_url(row, changes["url"])
            is_moved = origin is None or origin != _origin_of(row)
            row.owner_id = actor.user_id
        headers = changes.get("headers", dict.fromkeys(row.header_names))
        if "headers" in changes or is_moved:
            kept = {} if is_moved else _readable_headers(row)
            _set_headers(row, _with_kept_values(kept, headers))
        if changes.get("secret"):
            _replace_secret(row, changes["secret"])
        if row.is_active and not before["is_active"]:
            row.owner_id = actor.user_id  # who answers for it from now on
            row.disabled_reason = ""
            row.failing_since, row.failure_count = None, 0
        changed = [name for name in _COLUMNS if getattr(row, name) != before[name]]
        if changed:
            row.save()
            words = sorted({name.removeprefix("sealed_") for name in changed})
            event = record_webhook_event(
                kind=WebhookEvent.CHANGED,
                webhook=row,
                actor=actor,
                detail={"changed": words},
            )
            if row.is_active and not before["is_active"]:
                row.after_event = event.pk
                row.save(update_fields=["after_event"])
    return row


def rotate_secret(*, webhook: Webhook, actor: Actor) -> str:
    """Replace the secret by a new one and return it; the old one signs on for a day."""
    secret = make_secret()
    change_webhook(webhook=webhook, actor=actor, secret=secret)
    return secret


@retry_deadlocks
def delete_webhook(*, webhook: Webhook, actor: Actor) -> None:
    """Delete a webhook with its log; what is waiting for it is not sent any more."""
    with transaction.atomic():
        delete_with_logs(Webhook.objects.filter(pk=webhook.pk))
        record_webhook_event(kind=WebhookEvent.DELETED, webhook=webhook, actor=actor)


_COLUMNS = (
    "name",
    "sealed_url",
    "host",
    "sealed_secret",
    "sealed_headers",
    "events",
    "tag_glob",
    "format",
    "options",
    "is_active",
)


def preview_payload(
    *,
    repository: Repository | None = None,
    namespace: Namespace | None = None,
    format: str,
    events: Sequence[str],
    options: Mapping[str, Any] | None = None,
) -> tuple[str, str]:
    """Return content type and body of what such a webhook would have been sent last.

    Nothing is kept or sent. Raises WebhookInvalid.
    """
    webhook = Webhook(
        repository=repository,
        namespace=namespace,
        format=format,
        events=_checked_events(format, events),
        options=_checked_options(format, options or {}),
    )
    try:
        body = render_payload(webhook, sample_message(webhook), uuid4())
    except PayloadInvalid as error:
        field = "options" if format == CUSTOM else "format"
        raise WebhookInvalid(field, str(error)) from error
    return webhook.content_type, body


def _is_url(webhook: Webhook, url: str) -> bool:
    try:
        return webhook.url == url
    except SealBroken:  # then it is set again
        return False


def _origin_of(webhook: Webhook) -> tuple[str, str] | None:
    """Return the scheme and the host with its port; None if they cannot be read."""
    try:
        return httpx.URL(webhook.url).scheme, webhook.host
    except SealBroken:
        return None


def _set_url(webhook: Webhook, url: str) -> None:
    try:
        webhook.encrypt_url(*parse_target(url))
    except TargetInvalid as error:
        raise WebhookInvalid("url", str(error)) from error


def _set_headers(webhook: Webhook, headers: Mapping[str, str]) -> None:
    try:
        check_headers(headers)
    except TargetInvalid as error:
        raise WebhookInvalid("headers", str(error)) from error
    webhook.encrypt_headers(dict(headers))


def _readable_headers(webhook: Webhook) -> dict[str, str]:
    try:
        return webhook.headers
    except SealBroken:  # then they have to be given again
        return {}


def _with_kept_values(
    kept: Mapping[str, str], headers: Mapping[str, str | None]
) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in headers.items():
        if value is None and name not in kept:
            raise WebhookInvalid(
                "headers",
                f"the header {name} needs a value: values are not kept when the URL "
                "changes its scheme, host or port",
            )
        values[name] = kept[name] if value is None else value
    return values


def _checked_secret(secret: str) -> str:
    try:
        check_secret(secret)
    except SecretInvalid as error:
        raise WebhookInvalid("secret", str(error)) from error
    return secret


def _replace_secret(webhook: Webhook, secret: str) -> None:
    sealed = seal(_checked_secret(secret))
    webhook.retire_secret(until=timezone.now() + OVERLAP)
    webhook.sealed_secret = sealed


def _checked_events(format_name: str, events: Sequence[str]) -> list[str]:
    if format_name not in FORMATS:
        raise WebhookInvalid("format", f"there is no format '{format_name}'")
    unknown = sorted(set(events) - set(EventName))
    if unknown:
        raise WebhookInvalid("events", f"there is no event '{unknown[0]}'")
    if not events:
        raise WebhookInvalid("events", "a webhook needs at least one event")
    told = FORMATS[format_name].events
    silent = sorted(set(events) - told)
    if silent:
        raise WebhookInvalid(
            "events",
            f"the format {format_name} has no words for '{silent[0]}', "
            f"only for {', '.join(sorted(told))}",
        )
    return [name.value for name in EventName if name in set(events)]


def _checked_options(format_name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    if format_name == CUSTOM:
        return _checked_template(options)
    choices = FORMATS[format_name].options or {}
    for name, value in options.items():
        if name not in choices:
            raise WebhookInvalid(
                "options", f"the format {format_name} has no option '{name}'"
            )
        if not any(value is one or value == one for one in choices[name]) or isinstance(
            value, bool
        ) != isinstance(choices[name][0], bool):
            raise WebhookInvalid("options", f"'{name}' cannot be {value!r}")
    return dict(options)


def _checked_template(options: Mapping[str, Any]) -> dict[str, Any]:
    template = options.get("template")
    if set(options) != {"template"} or not isinstance(template, str):
        raise WebhookInvalid("options", "the format custom needs one 'template'")
    try:
        check_template(template)
    except TemplateInvalid as error:
        raise WebhookInvalid("options", str(error)) from error
    return {"template": template}
