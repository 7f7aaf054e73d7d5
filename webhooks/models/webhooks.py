import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q

from accounts.models.fields import LineField
from repositories.oci.globs import matches
from webhooks.formats import FORMATS, FORMATS_OF_PROGRAMS
from webhooks.formats.writing import write_json
from webhooks.sealing import seal, unseal

URL_MAX_LENGTH = 2000
FORMER_SECRETS_MAX = 5


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def of(
        self, *, repository_id: int | None = None, namespace_id: int | None = None
    ) -> "WebhookQuerySet":
        """Keep the hooks of one place; neither given, those of the site."""
        return self.filter(repository=repository_id, namespace=namespace_id)

    def reached_by(
        self, *, repository_ids: Iterable[int], namespace_ids: Iterable[int]
    ) -> "WebhookQuerySet":
        """Keep the active webhooks that can receive events of these places."""
        return self.filter(
            Q(repository__in=list(repository_ids))
            | Q(namespace__in=list(namespace_ids))
            | Q(repository=None, namespace=None),
            is_active=True,
        )


class Webhook(models.Model):
    """A receiver of events: a URL, of a repository, a namespace or the whole site.

    URL, secrets and the values of headers are sealed (webhooks/sealing.py); ``host`` is
    what may be seen of the URL.
    """

    name = LineField(max_length=100, blank=True)
    # Both empty: the site's.
    repository = models.ForeignKey(
        "repositories.Repository",
        on_delete=models.CASCADE,
        related_name="webhooks",
        null=True,
        blank=True,
    )
    namespace = models.ForeignKey(
        "accounts.Namespace",
        on_delete=models.CASCADE,
        related_name="webhooks",
        null=True,
        blank=True,
    )
    host = models.CharField(max_length=300)  # with the port
    sealed_url = models.TextField()
    sealed_secret = models.TextField()
    # Those that sign, too, for a while: pairs of what is sealed and until when.
    former_secrets = models.JSONField(default=list, blank=True)
    sealed_headers = models.TextField(blank=True)
    header_names = models.JSONField(default=list, blank=True)
    events = models.JSONField(default=list)
    tag_glob = models.CharField(max_length=128, blank=True)
    format = models.CharField(
        max_length=30, choices=[(name, name) for name in FORMATS], default="native"
    )
    options = models.JSONField(default=dict, blank=True)  # of the format
    is_active = models.BooleanField(default=True)
    # The row of the log that says that it was made, or enabled again: what comes
    # after it is told. A number, since the log may be thinned out.
    after_event = models.BigIntegerField(default=0)
    # Why Berth itself stopped it; empty when people did, or no one.
    disabled_reason = models.CharField(max_length=300, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    failure_count = models.PositiveIntegerField(default=0)  # since the last success
    succeeded_at = models.DateTimeField(null=True, blank=True)
    created_by = models.CharField(max_length=100, blank=True)
    # Who decided last where it leads: it is disabled when they lose their rights.
    owner = models.ForeignKey(
        "accounts.User",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(repository=None) | Q(namespace=None),
                name="webhook_of_one_place",
            )
        ]

    def __str__(self) -> str:
        return self.name or self.host

    # --- questions

    @property
    def url(self) -> str:
        return unseal(self.sealed_url)

    @property
    def headers(self) -> dict[str, str]:
        """The custom headers with their values; for sending only."""
        if not self.sealed_headers:
            return {}
        headers: dict[str, str] = json.loads(unseal(self.sealed_headers))
        return headers

    def secrets_at(self, now: datetime) -> list[str]:
        """Return what to sign with, the newest first."""
        secrets = [unseal(self.sealed_secret)]
        secrets += [
            unseal(sealed) for sealed, until in self._former_secrets if now < until
        ]
        return secrets

    def former_secret_until(self, now: datetime) -> datetime | None:
        """Return when the last of the former secrets ends; None if none signs now."""
        ends = [until for _, until in self._former_secrets if now < until]
        return max(ends, default=None)

    @property
    def _former_secrets(self) -> list[tuple[str, datetime]]:
        return [
            (sealed, datetime.fromisoformat(until))
            for sealed, until in self.former_secrets
        ]

    def wants(self, event: str, tag: str) -> bool:
        """Return whether it asked for this; a glob is about events that have a tag."""
        if event not in self.events or event not in FORMATS[self.format].events:
            return False
        return not self.tag_glob or not tag or matches(self.tag_glob, tag)

    def has_place(self, *, repository_id: int | None, namespace_id: int | None) -> bool:
        """Return whether what happens there reaches it."""
        if self.repository_id is not None:
            return self.repository_id == repository_id
        return self.namespace_id is None or self.namespace_id == namespace_id

    @property
    def has_references(self) -> bool:
        """Return whether its messages name what a manifest refers to."""
        return FORMATS[self.format].has_references

    # --- verbs

    def retire_secret(self, *, until: datetime) -> None:
        """Let the present secret sign only until then; another one takes its place."""
        retired = [self.sealed_secret, until.isoformat()]
        self.former_secrets = [retired, *self.former_secrets][:FORMER_SECRETS_MAX]

    def encrypt_url(self, url: str, host: str) -> None:
        self.sealed_url, self.host = seal(url), host

    def encrypt_headers(self, headers: dict[str, str]) -> None:
        self.header_names = sorted(headers)
        self.sealed_headers = seal(json.dumps(headers)) if headers else ""

    def render(self, message: Any) -> str:
        """Return the body for a message, in ASCII; raises PayloadTooLarge."""
        payload = FORMATS[self.format].render(message, self.options)
        if message.is_test and self.format in FORMATS_OF_PROGRAMS:
            payload = {**payload, "test": True}
        return write_json(payload)

    @property
    def content_type(self) -> str:
        return FORMATS[self.format].content_type(self.options)
