from django.db import models

from accounts.models.fields import BytewiseCharField
from repositories.models.manifests import DIGEST_MAX_LENGTH

STORAGE_KEY_MAX_LENGTH = 250


class Blob(models.Model):
    """Some content, kept once; where it may be seen is said by its links."""

    digest = BytewiseCharField(max_length=DIGEST_MAX_LENGTH, unique=True)
    size_bytes = models.PositiveBigIntegerField()
    storage_key = BytewiseCharField(max_length=STORAGE_KEY_MAX_LENGTH, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.digest


class BlobLink(models.Model):
    """A blob is visible in a repository. Knowing a digest gives nothing (BLOB-2)."""

    repository = models.ForeignKey(
        "repositories.Repository", on_delete=models.CASCADE, related_name="blob_links"
    )
    blob = models.ForeignKey(
        "distribution.Blob", on_delete=models.RESTRICT, related_name="links"
    )
    linked_at = models.DateTimeField(auto_now_add=True)
    # Set by the garbage collection for a link that no manifest needs; a client that
    # asks for the blob takes it back, and so may rely on the answer for a while.
    marked_at = models.DateTimeField(null=True, blank=True)
    # Who pushed or mounted it first, and whether another one did so too, or was
    # answered that it is here: a deletion must not take what they rely on.
    user = models.ForeignKey(
        "accounts.User", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    robot = models.ForeignKey(
        "accounts.Robot", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    is_shared = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "blob"], name="blob_link_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.blob_id} in {self.repository_id}"


class ObjectToDelete(models.Model):
    """Stored bytes whose row is gone and that are still to be deleted.

    Written in the transaction that deletes the row, so that a crash in between leaves
    a note and not a mystery.
    """

    storage_key = BytewiseCharField(max_length=STORAGE_KEY_MAX_LENGTH, unique=True)
    size_bytes = models.PositiveBigIntegerField()
    marked_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.storage_key
