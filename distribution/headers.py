"""Headers of the protocol's answers, written in one place (§1.3 of the checklist)."""

from urllib.parse import quote, urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from repositories.oci.digests import Digest
from repositories.oci.media_types import is_media_type
from repositories.oci.references import RepositoryName

# Blobs and manifests are other people's bytes under a type of their choice. A browser
# takes the type as it is written, and runs nothing of what it shows.
ON_EVERY_ANSWER = (
    ("Docker-Distribution-Api-Version", "registry/2.0"),  # H-1
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
)
CONTENT_DIGEST = "Docker-Content-Digest"  # H-3
UPLOAD_UUID = "Docker-Upload-UUID"
BLOB_MAX_AGE_SECONDS = 31_536_000  # a digest never means other bytes (BLOB-1)


def empty(status: int) -> HttpResponse:
    """Return an answer without a body; 204 alone carries no Content-Length (H-7)."""
    response = HttpResponse(status=status)
    del response["Content-Type"]
    if status != 204:
        response["Content-Length"] = "0"
    return response


def address(path: str) -> str:
    """Return what a Location or a Link says: a path, or the whole URL if set (D-6)."""
    return settings.BERTH_URL + path if settings.BERTH_ABSOLUTE_URLS else path


def blob_location(name: RepositoryName, digest: Digest) -> str:
    return address(f"/v2/{name}/blobs/{digest}")


def manifest_location(name: RepositoryName, digest: Digest) -> str:
    return address(f"/v2/{name}/manifests/{digest}")


def upload_location(name: RepositoryName, uuid: object) -> str:
    """Return a session's address, without anything of the request's query (UP-1)."""
    return address(f"/v2/{name}/blobs/uploads/{uuid}")


def received_range(offset_bytes: int) -> str:
    """Return what has arrived: inclusive, no unit, and 0-0 for nothing (UP-6)."""
    return f"0-{max(offset_bytes - 1, 0)}"


def next_link(path: str, **query: str | int | list[str]) -> str:
    """Return a Link header to the next page, relative and escaped (TAG-4)."""
    words = urlencode(query, doseq=True, quote_via=quote)
    return f'<{address(path)}?{words}>; rel="next"'


def matches_etag(request: HttpRequest, digest: Digest | str) -> bool:
    """Tell whether If-None-Match names the digest, quoted or bare (MAN-11)."""
    header = request.META.get("HTTP_IF_NONE_MATCH")
    if header is None:
        return False
    return any(
        word.strip().removeprefix("W/").strip('"') in (str(digest), "*")
        for word in header.split(",")
    )


def content_type_of(media_type: str) -> str:
    """Return the Content-Type of a stored manifest.

    Older rules took types that are not types, and some that no header can hold.
    """
    return media_type if is_media_type(media_type) else "application/octet-stream"
