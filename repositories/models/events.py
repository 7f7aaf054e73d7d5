from datetime import datetime

from django.db import models

from accounts.models import Namespace


class EventQuerySet(models.QuerySet["Event"]):
    def of_namespace(self, namespace: Namespace) -> "EventQuerySet":
        """Keep what happened in a namespace, also to what has left it since."""
        return self.filter(namespace=namespace)

    def of_repository(self, repository_id: int) -> "EventQuerySet":
        """Keep what happened to a repository, under whatever names it had.

        By its id, so that a new repository of an old name begins with a clean sheet.
        """
        return self.filter(repository=repository_id).select_related("repository")

    def for_everybody(self) -> "EventQuerySet":
        """Leave out rights and webhooks: they are for those who may change them."""
        return self.exclude(
            kind__in=[Event.Kind.GRANT_SET, Event.Kind.GRANT_REMOVED]
        ).exclude(kind__startswith="webhook.")

    def before(self, time: datetime) -> "EventQuerySet":
        return self.filter(at__lt=time)

    def with_token(self) -> "EventQuerySet":
        return self.select_related("access_token")


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
        CATEGORY_SET = "category.set"
        CATEGORY_REMOVED = "category.removed"
        GRANT_SET = "grant.set"
        GRANT_REMOVED = "grant.removed"
        TAG_PUSHED = "tag.pushed"
        TAG_DELETED = "tag.deleted"
        TAG_RESTORED = "tag.restored"
        MANIFEST_PUSHED = "manifest.pushed"  # by digest, without a tag
        MANIFEST_DELETED = "manifest.deleted"
        STORE_ADOPTED = "store.adopted"  # of the site, as the next two
        COLLECTION_HELD = "collection.held"
        COLLECTION_CONFIRMED = "collection.confirmed"

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
    # Whether webhooks and people were told of it (repositories/events/outbox.py).
    is_relayed = models.BooleanField(default=False, db_default=False, editable=False)

    objects = EventQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["id"],
                condition=models.Q(is_relayed=False),
                name="event_unrelayed",
            ),
            models.Index(fields=["repository", "-id"], name="event_activity"),
            models.Index(fields=["namespace", "-id"], name="event_audit"),
            models.Index(fields=["at"], name="event_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.repository_name or self.namespace_name}"

    @property
    def token_name(self) -> str:
        """The access token that was used; its row stays when it is revoked."""
        return self.access_token.name if self.access_token else ""
