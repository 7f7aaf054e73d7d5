from distribution.models.blobs import Blob, BlobLink, CondemnedObject
from distribution.models.installation import HeldCollection, Installation
from distribution.models.refresh_tokens import RefreshToken
from distribution.models.uploads import Upload

__all__ = [
    "Blob",
    "BlobLink",
    "CondemnedObject",
    "HeldCollection",
    "Installation",
    "RefreshToken",
    "Upload",
]
