from django.db import models


class Event(models.Model):
    """Something that happened, written in the transaction that made it happen.

    At once the audit log, the activity feed and the outbox of webhooks. Names are kept
    as they were, since the rows they point to may go.
    """

    class Kind(models.TextChoices):
        REPOSITORY_CREATED = "repository.created"
        REPOSITORY_CHANGED = "repository.changed"  # its text
        REPOSITORY_VISIBILITY = "repository.visibility"
        REPOSITORY_RENAMED = "repository.renamed"
        REPOSITORY_TRANSFERRED = "repository.transferred"
        REPOSITORY_DELETED = "repository.deleted"
        REPOSITORY_RESTORED = "repository.restored"
        REPOSITORY_PURGED = "repository.purged"  # after the time to restore it
        DEFAULT_SET = "default.set"
        DEFAULT_REMOVED = "default.removed"
        GRANT_SET = "grant.set"
        GRANT_REMOVED = "grant.removed"
        TAG_PUSHED = "tag.pushed"
        TAG_DELETED = "tag.deleted"
        TAG_RESTORED = "tag.restored"
        MANIFEST_PUSHED = "manifest.pushed"  # by digest, without a tag
        MANIFEST_DELETED = "manifest.deleted"

    kind = models.CharField(max_length=40)  # a Kind, or one of accounts/events.py
    namespace = models.ForeignKey(
        "accounts.Namespace", on_delete=models.SET_NULL, null=True
    )
    repository = models.ForeignKey(
        "repositories.Repository",
        on_delete=models.SET_NULL,
        null=True,
        related_name="events",
    )
    namespace_name = models.CharField(max_length=100, blank=True)
    repository_name = models.CharField(max_length=255, blank=True)
    user = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True)
    robot = models.ForeignKey("accounts.Robot", on_delete=models.SET_NULL, null=True)
    access_token = models.ForeignKey(
        "accounts.AccessToken", on_delete=models.SET_NULL, null=True
    )
    actor_name = models.CharField(max_length=100, blank=True)
    address = models.GenericIPAddressField(null=True)
    detail = models.JSONField(default=dict)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["repository", "-id"], name="event_activity"),
            models.Index(fields=["namespace", "-id"], name="event_audit"),
            models.Index(fields=["at"], name="event_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.repository_name or self.namespace_name}"
