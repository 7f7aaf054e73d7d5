from distribution.models.blobs import Blob, BlobLink, ObjectToDelete
from distribution.models.installation import HeldCollection, Installation
from distribution.models.refresh_tokens import RefreshToken
from distribution.models.uploads import Upload

__all__ = [
    "Blob",
    "BlobLink",
    "HeldCollection",
    "Installation",
    "ObjectToDelete",
    "RefreshToken",
    "Upload",
]
