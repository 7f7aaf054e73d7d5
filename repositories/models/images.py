from django.db import models


class ImageConfig(models.Model):
    """The content of an image's config blob, kept when its manifest is pushed.

    The pages show platforms, labels and history of images whose blobs they cannot
    read: the bytes are the business of another app.
    """

    manifest = models.OneToOneField(
        "repositories.Manifest", on_delete=models.CASCADE, related_name="config"
    )
    os = models.CharField(max_length=64, blank=True)
    architecture = models.CharField(max_length=64, blank=True)
    variant = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(null=True, blank=True)  # as the builder said
    document = models.JSONField(default=dict)  # image-spec config.md, as parsed

    class Meta:
        indexes = [models.Index(fields=["architecture", "os"], name="image_platform")]

    def __str__(self) -> str:
        return self.platform

    @property
    def platform(self) -> str:
        """``os/architecture[/variant]``, as docker writes it."""
        return "/".join(filter(None, [self.os, self.architecture, self.variant]))
