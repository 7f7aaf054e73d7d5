from django.db import models
from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from accounts.models.fields import BytewiseCharField
from repositories.models.manifests import (
    DIGEST_MAX_LENGTH,
    Manifest,
    shown_references,
)
from repositories.models.repositories import RepositoryFacts
from repositories.oci.artifacts import ATTACHMENT_TAG_PATTERN

TAG_MAX_LENGTH = 128  # G-2
DELETIONS_LOOKED_AT = 200  # of a repository, for those that can be undone


class TagQuerySet(models.QuerySet["Tag"]):
    def with_content(self) -> "TagQuerySet":
        """Add the manifest with its first references, which are all that lists show.

        The manifest comes with its config's platform, and without its bytes.
        """
        return (
            self.select_related("manifest__config")
            .defer(
                "manifest__payload",
                "manifest__referrer_annotations",
                "manifest__config__document",
            )
            .prefetch_related(shown_references("manifest__references"))
        )

    def of_images(self) -> "TagQuerySet":
        """Leave out the tags that only attach something to an image."""
        return self.exclude(name__regex=ATTACHMENT_TAG_PATTERN)

    def count_in(self, repository: OuterRef) -> Coalesce:
        """Count them for each row of another query, without joining them."""
        of_each = self.filter(repository=repository).order_by().values("repository")
        counted = of_each.annotate(number=Count("pk")).values("number")
        return Coalesce(Subquery(counted), 0)

    def names_after(
        self, repository: RepositoryFacts, last: str
    ) -> "models.QuerySet[Tag, str]":
        """Return the names behind ``last`` in byte order; it need not exist (TAG-3)."""
        return (
            self.filter(repository_id=repository.id, name__gt=last.replace("\0", ""))
            .order_by("name")
            .values_list("name", flat=True)
        )


class Tag(models.Model):
    """A name that points to one manifest at a time."""

    repository = models.ForeignKey(
        "repositories.Repository", on_delete=models.CASCADE, related_name="tags"
    )
    name = BytewiseCharField(max_length=TAG_MAX_LENGTH)
    manifest = models.ForeignKey(
        "repositories.Manifest", on_delete=models.CASCADE, related_name="tags"
    )
    moved_at = models.DateTimeField()
    moved_by = models.CharField(max_length=100, blank=True)  # the login, as it was
    last_pulled_at = models.DateTimeField(null=True, blank=True)

    objects = TagQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["repository", "name"], name="tag_unique")
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"{self.repository.get_absolute_url()}:{self.name}"

    @property
    def content_bytes(self) -> int:
        """All that a pull brings."""
        return self.manifest.content_bytes


class TagMoveQuerySet(models.QuerySet["TagMove"]):
    def of_gone_tags(self) -> "TagMoveQuerySet":
        """Keep the last move of each tag that is not there any more."""
        later = TagMove.objects.filter(
            repository=OuterRef("repository"),
            name=OuterRef("name"),
            pk__gt=OuterRef("pk"),
        )
        return self.filter(~Exists(later), digest="")

    def restorable(self) -> "TagMoveQuerySet":
        """Keep the last moves of gone tags whose manifest is there to come back to."""
        return self.of_gone_tags().filter(_previous_manifest())

    def deleted_lately(self, repository_id: int) -> "TagMoveQuerySet":
        """Keep the tags that went recently, with ``is_restorable``.

        No long history is read for it, however many deletions there were.
        """
        deletions = TagMove.objects.filter(repository=repository_id, digest="")
        newest = deletions.order_by("-pk").values("pk")[:DELETIONS_LOOKED_AT]
        return (
            self.filter(pk__in=newest)
            .of_gone_tags()
            .annotate(is_restorable=_previous_manifest())  # type: ignore[no-redef]
        )


def _previous_manifest() -> Exists:
    return Exists(
        Manifest.objects.filter(
            repository=OuterRef("repository"), digest=OuterRef("previous_digest")
        )
    )


class TagMove(models.Model):
    """One step in a tag's history; an empty digest means that there was no tag.

    The rows of a tag, read up to a time, say what it pointed to at that time.
    """

    repository = models.ForeignKey(
        "repositories.Repository", on_delete=models.CASCADE, related_name="tag_moves"
    )
    name = BytewiseCharField(max_length=TAG_MAX_LENGTH)
    digest = BytewiseCharField(max_length=DIGEST_MAX_LENGTH, blank=True)
    previous_digest = BytewiseCharField(max_length=DIGEST_MAX_LENGTH, blank=True)
    moved_by = models.CharField(max_length=100, blank=True)
    moved_at = models.DateTimeField()
    # What the row of a tag that goes said: a deletion has them, so that the tag can
    # come back as it was. Null otherwise, and so they are added without a long lock.
    tag_moved_at = models.DateTimeField(null=True, blank=True)
    tag_moved_by = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001
    tag_pulled_at = models.DateTimeField(null=True, blank=True)

    objects = TagMoveQuerySet.as_manager()
    is_restorable: bool  # of deleted_lately()
    is_here: bool  # of hub/repository/image_view.py

    class Meta:
        indexes = [
            models.Index(fields=["repository", "name", "id"], name="tag_move_history"),
            models.Index(
                fields=["repository", "-id"],
                condition=Q(digest=""),
                name="tag_move_deletions",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} to {self.digest or 'nothing'}"
