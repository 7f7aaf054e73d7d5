from repositories.models.events import Event
from repositories.models.grants import Grant
from repositories.models.manifests import Manifest, ManifestReference
from repositories.models.repositories import (
    Repository,
    RepositoryFacts,
    add_stored_bytes,
)
from repositories.models.tags import Tag, TagMove

__all__ = [
    "Event",
    "Grant",
    "Manifest",
    "ManifestReference",
    "Repository",
    "RepositoryFacts",
    "Tag",
    "TagMove",
    "add_stored_bytes",
]
