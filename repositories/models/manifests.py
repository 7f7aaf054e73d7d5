import json
from collections.abc import Iterable
from typing import NamedTuple

from django.db import models
from django.db.models import Q
from django.utils.functional import cached_property

from accounts.models.fields import BytewiseCharField
from repositories.models.images import ImageConfig
from repositories.oci.documents import ReferenceKind, is_platform
from repositories.oci.media_types import INDEX_TYPES

DIGEST_MAX_LENGTH = len("sha512:") + 128
ENTRIES_SHOWN = 100  # of an index with more, in lists and messages
LISTED_PLATFORMS_MAX_BYTES = 4096  # of one tag; usual images need some hundred


class ManifestQuerySet(models.QuerySet["Manifest"]):
    def with_content(self) -> "ManifestQuerySet":
        """Add the config's platform, without the bytes."""
        return self.select_related("config").defer(
            "payload", "referrer_annotations", "config__document"
        )


class Manifest(models.Model):
    """A manifest's exact bytes, under the digest it was pushed by (MAN-2, MAN-5)."""

    repository = models.ForeignKey(
        "repositories.Repository", on_delete=models.CASCADE, related_name="manifests"
    )
    digest = BytewiseCharField(max_length=DIGEST_MAX_LENGTH)
    media_type = models.CharField(max_length=255)
    payload = models.BinaryField()
    size_bytes = models.PositiveIntegerField()  # of the payload
    subject_digest = BytewiseCharField(max_length=DIGEST_MAX_LENGTH, blank=True)
    artifact_type = models.CharField(max_length=255, blank=True)
    # Of a referrer: its annotations as JSON, as the list of referrers shows them.
    referrer_annotations = models.TextField(blank=True, default="", db_default="")
    referrer_annotations_bytes = models.PositiveIntegerField(default=0, db_default=0)
    # Counted when it is pushed, so that no list adds up thousands of rows.
    reference_count = models.PositiveIntegerField(default=0, db_default=0)
    blob_bytes = models.PositiveBigIntegerField(default=0, db_default=0)  # its own
    # What a pull brings: of an index, the blobs of all its images that are here.
    content_bytes = models.PositiveBigIntegerField(default=0, db_default=0)
    pushed_by = models.CharField(max_length=100, blank=True)  # the login, as it was
    pushed_at = models.DateTimeField(auto_now_add=True)

    objects = ManifestQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "digest"], name="manifest_digest_unique"
            )
        ]
        indexes = [
            models.Index(
                fields=["repository", "subject_digest", "id"],
                condition=~Q(subject_digest=""),
                name="manifest_subject",
            )
        ]

    def __str__(self) -> str:
        return self.digest

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEX_TYPES

    @property
    def image_config(self) -> ImageConfig | None:
        """The image's config; None for a manifest without one."""
        config: ImageConfig | None = getattr(self, "config", None)
        return config

    @property
    def platforms(self) -> list[str]:
        """The platforms of an index's first images, or the image's own.

        For lists, ``shown_references`` are to be prefetched.
        """
        return self.platforms_of(self.references.all())

    def platforms_of(self, references: Iterable["ManifestReference"]) -> list[str]:
        """Return the platforms that these references of the manifest name."""
        if self.image_config is not None:
            return [platform] if (platform := self.image_config.platform) else []
        named = {reference.platform for reference in references}
        return sorted(platform for platform in named if is_platform(platform))

    @cached_property
    def listed_platforms(self) -> "ListedPlatforms":
        """Return as many platforms as a list shows; prefetch ``shown_references``."""
        return self.list_platforms(self.references.all(), LISTED_PLATFORMS_MAX_BYTES)

    def list_platforms(
        self, references: Iterable["ManifestReference"], bytes_max: int
    ) -> "ListedPlatforms":
        """Return the first platforms, which have at most so many bytes as JSON."""
        named = self.platforms_of(references)
        listed: list[str] = []
        for platform in named:
            bytes_max -= len(json.dumps(platform))
            if bytes_max < 0:
                break
            listed.append(platform)
        behind = max(0, self.reference_count - ENTRIES_SHOWN) if self.is_index else 0
        return ListedPlatforms(listed, behind + len(named) - len(listed))


class ListedPlatforms(NamedTuple):
    """Platforms of a manifest, and how many entries of an index are not among them."""

    names: list[str]
    more_count: int


def shown_references(path: str) -> "models.Prefetch[str]":
    """Prefetch the references of manifests that a list shows, of each the first."""
    rows = ManifestReference.objects.filter(position__lt=ENTRIES_SHOWN)
    return models.Prefetch(path, queryset=rows)


class ManifestReference(models.Model):
    """One digest that a manifest names.

    Digests and not foreign keys: a child or a foreign layer may be absent (MAN-7), and
    this app needs nothing from the one that keeps the bytes.
    """

    manifest = models.ForeignKey(
        "repositories.Manifest", on_delete=models.CASCADE, related_name="references"
    )
    repository = models.ForeignKey("repositories.Repository", on_delete=models.CASCADE)
    position = models.PositiveIntegerField()
    kind = models.CharField(
        max_length=7, choices=[(kind.value, kind.value) for kind in ReferenceKind]
    )
    digest = BytewiseCharField(max_length=DIGEST_MAX_LENGTH)
    media_type = models.CharField(max_length=255)
    size_bytes = models.PositiveBigIntegerField()
    platform = models.CharField(max_length=255, blank=True)
    is_required = (
        models.BooleanField()
    )  # was present when pushed, and has to stay (D-8)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["manifest", "position"], name="manifest_reference_position"
            )
        ]
        indexes = [
            models.Index(fields=["repository", "digest"], name="manifest_reference_use")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.digest}"
