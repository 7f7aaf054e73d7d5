import uuid

from django.db import models

ONLY = 1  # the primary key of a table with one row


class Installation(models.Model):
    """The identity of the blob store that belongs to this database. One row.

    The store's marker file has the same identifier (distribution/installation.py).
    """

    number = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    identifier = models.UUIDField(default=uuid.uuid4)
    # What `adopt_store` accepted: so many of 100 blobs may lack their bytes at a start.
    missing_percent = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.identifier)


class HeldCollection(models.Model):
    """A garbage collection that would delete a large share of the store. One row.

    Nothing is deleted until an administrator confirms it; the next collection that
    does not reach the limit, or that was confirmed, deletes the row.
    """

    number = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    objects_count = models.PositiveBigIntegerField()  # that would be deleted
    size_bytes = models.PositiveBigIntegerField()
    stored_count = models.PositiveBigIntegerField()  # that there are in all
    stored_bytes = models.PositiveBigIntegerField()
    held_at = models.DateTimeField(auto_now_add=True)
    confirmed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.objects_count} of {self.stored_count} objects"


def expected_mark() -> str | None:
    """Return the identifier that the blob store has to have; None before `prepare`."""
    rows = Installation.objects.filter(pk=ONLY).values_list("identifier", flat=True)
    identifier = rows.first()
    return None if identifier is None else str(identifier)
