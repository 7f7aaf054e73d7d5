"""Reads an image's config blob from the store for the pages.

Pages show platform, labels and history, and know manifests only; so the config is read
when its manifest is pushed, and kept beside it (repositories.models.ImageConfig).
"""

import logging

from database.sql import fetch_row
from distribution.storage import blob_store
from distribution.storage.base import StoreError
from repositories.manifests import store_image_config
from repositories.models import Manifest, RepositoryFacts
from repositories.oci.digests import Digest
from repositories.oci.documents import (
    Document,
    ManifestMalformed,
    ReferenceKind,
    read_manifest,
)
from repositories.oci.image_config import (
    CONFIG_LIMIT_BYTES,
    CONFIG_TYPES,
    ParsedConfig,
    config_descriptor_of,
    parse_image_config,
)

log = logging.getLogger(__name__)

# Nothing is found for a manifest whose config is kept already: most pushes of a tag
# that moves, or of the same image again, cost this one query.
_FIND = """
SELECT b.storage_key, b.size_bytes
  FROM distribution_bloblink l JOIN distribution_blob b ON b.id = l.blob_id
 WHERE l.repository_id = %s AND b.digest = %s
   AND NOT EXISTS (
       SELECT 1 FROM repositories_manifest m
         JOIN repositories_imageconfig c ON c.manifest_id = m.id
        WHERE m.repository_id = %s AND m.digest = %s)"""


def read_image_config(
    repository: RepositoryFacts, digest: Digest, document: Document
) -> ParsedConfig | None:
    """Return what the config of the image under this digest says, if it is news.

    None as well for what is no image, and for a config that is too large or cannot be
    read: the bytes are the client's, and no reason to refuse them. Reads the store, so
    it is not to be called inside a transaction.
    """
    described = config_descriptor_of(document)
    if described is None or described[1] > CONFIG_LIMIT_BYTES:
        return None
    found = fetch_row(_FIND, (repository.id, described[0], repository.id, str(digest)))
    if found is None or found[1] > CONFIG_LIMIT_BYTES:
        return None
    storage_key, size_bytes = found
    try:
        content = b"".join(blob_store().open(storage_key, size_bytes, 0, size_bytes))
    except StoreError as error:
        log.warning("the config of %s cannot be read: %s", digest, error)
        return None
    return parse_image_config(content)


def fill_image_configs() -> int:
    """Read the configs of images that were pushed before they were kept.

    Returns how many there are now that were not. Safe to run at any time, and again.
    """
    filled = 0
    last = 0
    while True:
        manifest = (
            Manifest.objects.select_related("repository__namespace")
            .filter(
                pk__gt=last,
                config=None,
                references__kind=ReferenceKind.CONFIG,
                references__media_type__in=CONFIG_TYPES,
            )
            .order_by("pk")
            .first()
        )
        if manifest is None:
            return filled
        last = manifest.pk
        filled += _fill(manifest)


def _fill(manifest: Manifest) -> bool:
    algorithm, _, encoded = manifest.digest.partition(":")
    try:
        document = read_manifest(bytes(manifest.payload), manifest.media_type)
    except ManifestMalformed as error:  # fsck_registry has more to say about it
        log.warning("the manifest %s cannot be read: %s", manifest.digest, error)
        return False
    config = read_image_config(
        manifest.repository.facts, Digest(algorithm, encoded), document
    )
    return config is not None and store_image_config(manifest, config)
