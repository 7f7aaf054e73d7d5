from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.liveness import is_live_token, is_over, live_token
from accounts.models.fields import LineField

NEARLY_OVER = timedelta(days=7)


class AccessTokenQuerySet(models.QuerySet["AccessToken"]):
    def live(self) -> "AccessTokenQuerySet":
        """Keep those that are not revoked, not expired, and whose user can act."""
        return self.filter(live_token())


class AccessToken(models.Model):
    """A user's token: shown once, kept as a hash, and only ever narrowing."""

    class Actions(models.TextChoices):
        READ = "read"
        WRITE = "write"
        ADMIN = "admin"

    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="access_tokens"
    )
    name = LineField(max_length=100)
    actions = models.CharField(max_length=5, choices=Actions.choices)
    token_hash = models.CharField(max_length=64, unique=True)  # see accounts/tokens.py
    ends_with = models.CharField(  # to find it by when it leaks; "" before 2026-11
        max_length=4, blank=True, default=""
    )
    is_limited = models.BooleanField(default=False)  # the limits below are its reach
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    # The token that made it, with which it is revoked; None: a session made it.
    made_with = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, related_name="made"
    )

    objects = AccessTokenQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @property
    def is_live(self) -> bool:
        """Return whether it is not revoked, not expired, and its user can act."""
        return is_live_token(self)

    @property
    def is_over(self) -> bool:
        return is_over(self.expires_at)

    @property
    def is_nearly_over(self) -> bool:
        """Return whether it is time to think of the next one."""
        return (
            self.expires_at is not None
            and self.expires_at - timezone.now() <= NEARLY_OVER
        )


class AccessTokenLimit(models.Model):
    """One repository or namespace that a limited token reaches.

    The repository is an id without a foreign key, since accounts does not import
    repositories. Ids are never used again, so a limit never comes to mean another
    repository of the same name.
    """

    access_token = models.ForeignKey(
        "accounts.AccessToken", on_delete=models.CASCADE, related_name="limits"
    )
    repository_id = models.BigIntegerField(null=True, blank=True)
    namespace = models.ForeignKey(
        "accounts.Namespace", on_delete=models.CASCADE, null=True, blank=True
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(repository_id__isnull=True) ^ Q(namespace__isnull=True),
                name="access_token_limit_names_one_thing",
            )
        ]

    def __str__(self) -> str:
        return f"limit {self.pk}"
