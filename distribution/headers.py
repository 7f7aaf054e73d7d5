"""Headers of the protocol's answers, written in one place (H-1 to H-11)."""

from urllib.parse import quote, urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.conditions import Conditions, Verdict
from distribution.errors import PreconditionFailed
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


def etag_of(digest: Digest | str) -> str:
    """Return the entity tag of content: its digest never means other bytes."""
    return f'"{digest}"'


def is_not_modified(request: HttpRequest, etag: str) -> bool:
    """Return whether a GET or HEAD is answered 304 (COND-1).

    Raises PreconditionFailed for 412. Call it when everything else lets the request
    succeed (RFC 9110 §13.2.1).
    """
    verdict = Conditions.read(request.META).judge(etag, is_read=True)
    if verdict is Verdict.FAILED:
        raise PreconditionFailed(headers={"ETag": etag})
    return verdict is Verdict.NOT_MODIFIED


def check_conditions(
    conditions: Conditions, current: Digest | str | None, what: str
) -> None:
    """Raise PreconditionFailed unless a PUT or DELETE is to be performed (COND-1).

    ``current`` is the digest of what is there, "" or None if nothing is. ``what``
    names it for the message. Where it can change, call it under its lock.
    """
    etag = etag_of(current) if current else None
    if conditions.judge(etag, is_read=False) is Verdict.PROCEED:
        return
    found = f"is {current}" if current else "does not exist"
    raise PreconditionFailed(
        f"{what} {found}, which If-Match or If-None-Match excludes",
        headers={"ETag": etag} if etag else None,
    )


def content_type_of(media_type: str) -> str:
    """Return the Content-Type of a stored manifest.

    Older rules took types that are not types, and some that no header can hold.
    """
    return media_type if is_media_type(media_type) else "application/octet-stream"
