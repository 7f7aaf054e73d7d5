"""Errors of the protocol routes and their responses (E-1, E-2).

    RegistryError
    ├── Unauthorized            401 UNAUTHORIZED        with a challenge
    ├── Denied                  403 DENIED              a policy says no
    ├── NameInvalid             400 NAME_INVALID
    ├── NameUnknown             404 NAME_UNKNOWN
    ├── ManifestUnknown         404 MANIFEST_UNKNOWN
    ├── ManifestInvalid         400 MANIFEST_INVALID
    ├── ManifestTooLarge        413 SIZE_INVALID
    ├── ManifestBlobUnknown     400 MANIFEST_BLOB_UNKNOWN   one entry per digest
    ├── TagInvalid              400 TAG_INVALID
    ├── TooManyTags             414 TAG_INVALID
    ├── PreconditionFailed      412 PRECONDITION_FAILED     If-Match, If-None-Match
    ├── BlobUnknown             404 BLOB_UNKNOWN
    ├── BlobUploadUnknown       404 BLOB_UPLOAD_UNKNOWN
    ├── DigestInvalid           400 DIGEST_INVALID
    ├── SizeInvalid             400 SIZE_INVALID
    ├── RangeInvalid            416 RANGE_INVALID
    ├── PaginationNumberInvalid 400 PAGINATION_NUMBER_INVALID
    ├── Unsupported             405 UNSUPPORTED
    ├── PathUnknown             404 NAME_UNKNOWN        no such route
    ├── RequestInvalid          400 UNSUPPORTED         token and search parameters
    ├── RequestTimeout          408 UNSUPPORTED         the body came too slowly
    ├── TooManyRequests         429 TOOMANYREQUESTS     with Retry-After
    ├── Unavailable             503 UNAVAILABLE         with Retry-After
    ├── StorageFull             507 UNAVAILABLE
    └── InternalError           500 UNKNOWN

Raise one of these; distribution/endpoints.py catches and renders it once.
"""

import json
from typing import Any

from django.http import HttpResponse

RETRY_AFTER_SECONDS = 5


class RegistryError(Exception):
    """A refusal with a code of the distribution-spec and a sentence for people."""

    status = 500
    code = "UNKNOWN"
    default_message = "the registry failed"

    def __init__(
        self,
        message: str = "",
        *,
        detail: Any = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.message = message or self.default_message
        self.detail = detail
        self.headers = headers or {}
        super().__init__(self.message)

    def entries(self) -> list[dict[str, Any]]:
        """Return the members of the answer's ``errors`` list."""
        entry: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.detail is not None:
            entry["detail"] = self.detail
        return [entry]


class Unauthorized(RegistryError):
    status, code = 401, "UNAUTHORIZED"
    default_message = "authentication required"


class Denied(RegistryError):
    status, code = 403, "DENIED"
    default_message = "requested access to the resource is denied"


class NameInvalid(RegistryError):
    status, code = 400, "NAME_INVALID"
    default_message = "invalid repository name"


class NameUnknown(RegistryError):
    status, code = 404, "NAME_UNKNOWN"
    default_message = "repository name not known to registry"


class PathUnknown(NameUnknown):
    default_message = "there is nothing at this path"


class ManifestUnknown(RegistryError):
    status, code = 404, "MANIFEST_UNKNOWN"
    default_message = "manifest unknown"


class ManifestInvalid(RegistryError):
    status, code = 400, "MANIFEST_INVALID"
    default_message = "manifest invalid"


class ManifestTooLarge(RegistryError):
    status, code = 413, "SIZE_INVALID"

    def __init__(self, *, limit_bytes: int) -> None:
        super().__init__(f"a manifest has at most {limit_bytes} bytes")


class ManifestBlobUnknown(RegistryError):
    """Blobs that the manifest names and the repository lacks; one entry for each."""

    status, code = 400, "MANIFEST_BLOB_UNKNOWN"

    def __init__(self, digests: list[str]) -> None:
        self.digests = digests
        super().__init__(f"{len(digests)} blobs of the manifest are unknown")

    def entries(self) -> list[dict[str, Any]]:
        return [
            {
                "code": self.code,
                "message": f"blob {digest} is unknown in this repository",
                "detail": {"digest": digest},
            }
            for digest in self.digests
        ]


class TagInvalid(RegistryError):
    status, code = 400, "TAG_INVALID"
    default_message = "invalid tag"


class TooManyTags(TagInvalid):
    status = 414


class PreconditionFailed(RegistryError):
    status, code = 412, "PRECONDITION_FAILED"
    default_message = "a condition of the request (If-Match, If-None-Match) is false"


class BlobUnknown(RegistryError):
    status, code = 404, "BLOB_UNKNOWN"
    default_message = "blob unknown to registry"


class BlobUploadUnknown(RegistryError):
    status, code = 404, "BLOB_UPLOAD_UNKNOWN"
    default_message = "blob upload unknown to registry"


class DigestInvalid(RegistryError):
    status, code = 400, "DIGEST_INVALID"
    default_message = "invalid digest"


class SizeInvalid(RegistryError):
    status, code = 400, "SIZE_INVALID"
    default_message = "the length does not match the content"


class RangeInvalid(RegistryError):
    status, code = 416, "RANGE_INVALID"
    default_message = "the range cannot be satisfied"


class PaginationNumberInvalid(RegistryError):
    status, code = 400, "PAGINATION_NUMBER_INVALID"
    default_message = "n is not a number of results"


class RequestInvalid(RegistryError):
    status, code = 400, "UNSUPPORTED"
    default_message = "the request is malformed"


class RequestTimeout(RegistryError):
    status, code = 408, "UNSUPPORTED"
    default_message = "the request took too long to arrive"


class Unsupported(RegistryError):
    status, code = 405, "UNSUPPORTED"
    default_message = "the operation is unsupported"


class TooManyRequests(RegistryError):
    status, code = 429, "TOOMANYREQUESTS"

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_seconds)})


class Unavailable(RegistryError):
    status, code = 503, "UNAVAILABLE"
    default_message = "the registry is not available for the moment"

    def __init__(self, message: str = "") -> None:
        super().__init__(message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


class StorageFull(RegistryError):
    status, code = 507, "UNAVAILABLE"
    default_message = "the registry has no space left; contact its administrator"


class InternalError(RegistryError):
    default_message = "internal error; see the log of the registry"


def render(error: RegistryError) -> HttpResponse:
    """Return the answer for an error, in the shape that clients parse (E-1)."""
    response = HttpResponse(
        json.dumps({"errors": error.entries()}, separators=(",", ":")).encode(),
        content_type="application/json",
        status=error.status,
    )
    for name, value in error.headers.items():
        response[name] = value
    return response
