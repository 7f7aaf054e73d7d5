from distribution.models.blobs import Blob, BlobLink, CondemnedObject
from distribution.models.refresh_tokens import RefreshToken
from distribution.models.uploads import Upload

__all__ = ["Blob", "BlobLink", "CondemnedObject", "RefreshToken", "Upload"]
