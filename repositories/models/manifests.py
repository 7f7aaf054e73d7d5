from django.db import models
from django.db.models import Q, Sum
from django.db.models.functions import Coalesce

from accounts.models.fields import BytewiseCharField
from repositories.models.images import ImageConfig
from repositories.oci.documents import ReferenceKind, is_platform
from repositories.oci.media_types import INDEX_TYPES

DIGEST_MAX_LENGTH = len("sha512:") + 128


class ManifestQuerySet(models.QuerySet["Manifest"]):
    def with_content(self) -> "ManifestQuerySet":
        """Add the config's platform and ``content_bytes``, without the bytes."""
        return (
            self.select_related("config")
            .defer("payload", "referrer_annotations", "config__document")
            .annotate(  # type: ignore[no-redef]  # named in the model, for readers
                content_bytes=Coalesce(
                    Sum(
                        "references__size_bytes",
                        filter=~Q(references__kind=ReferenceKind.CHILD),
                    ),
                    0,
                    output_field=models.BigIntegerField(),
                )
            )
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
    pushed_by = models.CharField(max_length=100, blank=True)  # the login, as it was
    pushed_at = models.DateTimeField(auto_now_add=True)

    objects = ManifestQuerySet.as_manager()
    content_bytes: int  # of with_content()

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
        """What the image's config says; None for what is no image."""
        config: ImageConfig | None = getattr(self, "config", None)
        return config

    @property
    def platforms(self) -> list[str]:
        """The platforms of an index's images, or the image's own."""
        if self.image_config is not None:
            return [platform] if (platform := self.image_config.platform) else []
        named = {reference.platform for reference in self.references.all()}
        return sorted(platform for platform in named if is_platform(platform))


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
