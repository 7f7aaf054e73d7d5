"""Media types: their grammar, and those that a registry must know by name.

The grammar is RFC 6838, section 4.2; the names are of the image-spec, media-types.md.
"""

import re
from functools import lru_cache

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

IMAGE_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_LIST})
SCHEMA1_TYPES = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})

# Content types that say nothing about the manifest; the body's own type counts (MAN-3).
UNSPECIFIC_TYPES = frozenset(
    {"", "application/octet-stream", "application/json", "text/plain"}
)

_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_media_type = re.compile(rf"{_NAME}/{_NAME}")


@lru_cache(maxsize=1024)
def is_media_type(text: str) -> bool:
    """Return whether the text keeps to the grammar, without parameters."""
    return _media_type.fullmatch(text) is not None


def without_parameters(content_type: str) -> str:
    """Return the bare media type of a Content-Type header."""
    return content_type.partition(";")[0].strip().lower()


def is_foreign_layer(media_type: str) -> bool:
    """Return whether a layer's bytes may lie elsewhere (MAN-7)."""
    return "nondistributable" in media_type or "foreign" in media_type
