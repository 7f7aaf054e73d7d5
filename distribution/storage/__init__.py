"""Where the bytes of blobs are kept: the contract, and one module for each store."""

from functools import cache

from django.conf import settings

from distribution.storage.base import BlobStore
from distribution.storage.filesystem import FilesystemStore


@cache
def blob_store() -> BlobStore:
    """Return the store that BERTH_BLOBS chose."""
    return FilesystemStore(settings.BERTH_DATA / "blobs")
