import uuid

from django.db import models


class Upload(models.Model):
    """A blob that is being pushed: how much of it has arrived permanently.

    ``staged`` is where the store keeps what arrived; None before the first byte.
    ``digest_so_far`` is of everything up to ``offset_bytes``, so that the usual one
    PATCH and an empty PUT never read the bytes again.

    No row is locked while a body streams. ``version`` counts the changes, and a writer
    whose version is no longer the row's has lost. ``writer`` names the request that is
    appending to the staged bytes in place; one that is still there when another comes
    has either died or is being overtaken, and the other continues with a copy.
    """

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    repository = models.ForeignKey(
        "repositories.Repository", on_delete=models.CASCADE, related_name="uploads"
    )
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, null=True)
    robot = models.ForeignKey("accounts.Robot", on_delete=models.CASCADE, null=True)
    offset_bytes = models.PositiveBigIntegerField(default=0)
    algorithm = models.CharField(max_length=10)  # of digest_so_far
    digest_so_far = models.CharField(max_length=140, blank=True)
    staged = models.JSONField(null=True)
    writer = models.UUIDField(null=True)
    version = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(auto_now=True, db_index=True)

    def __str__(self) -> str:
        return str(self.uuid)
