"""Stores the bytes of blobs: the contract, and one module for each store."""

from functools import cache

from django.conf import settings

from distribution.models.installation import expected_mark
from distribution.storage.base import BlobStore
from distribution.storage.filesystem import FilesystemStore
from distribution.storage.observation import observed


@cache
def blob_store() -> BlobStore:
    """Return the store that BERTH_BLOBS chose, which takes this database alone."""
    if settings.BERTH_BLOBS == "s3":
        # Here, since boto3 takes long to load.
        from distribution.storage.s3.store import S3Store

        return observed(S3Store(expected_mark))
    return observed(FilesystemStore(settings.BERTH_DATA / "blobs", expected_mark))
