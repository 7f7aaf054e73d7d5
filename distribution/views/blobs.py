"""Blobs out and away (BLOB-1 .. BLOB-6, DEL-3)."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from accounts.actions import Action
from distribution.blobs import (
    LinkedBlob,
    find_blob,
    note_reliance,
    reprieve_blob,
    unlink_blob,
)
from distribution.endpoints import Call, endpoint
from distribution.errors import BlobUnknown, DigestInvalid, RangeInvalid, Unsupported
from distribution.headers import (
    BLOB_MAX_AGE_SECONDS,
    CONTENT_DIGEST,
    empty,
    matches_etag,
)
from distribution.ranges import RangeUnsatisfiable, parse_range
from distribution.scopes import PUSH
from distribution.storage import blob_store
from distribution.storage.base import ObjectMissing
from repositories.oci.digests import Digest, DigestMalformed, parse_digest

OCTETS = "application/octet-stream"


@endpoint(Action.PULL, absent=BlobUnknown)
def get_blob(call: Call, digest: str) -> HttpResponseBase:
    """Send a blob, or a range of it (end-2)."""
    parsed, blob = _find(call, digest)
    if matches_etag(call.request, parsed):
        return _describe(HttpResponse(status=304), call, parsed)
    start, length = _wanted(call.request, parsed, blob)
    try:
        pieces = blob_store().open(blob.storage_key, blob.size_bytes, start, length)
    except ObjectMissing:
        # Its bytes may just have been replaced; what the row says now is the truth.
        _, blob = _find(call, digest)
        pieces = blob_store().open(blob.storage_key, blob.size_bytes, start, length)
    response = StreamingHttpResponse(pieces, content_type=OCTETS)
    if length != blob.size_bytes:
        response.status_code = 206
        last = start + length - 1
        response["Content-Range"] = f"bytes {start}-{last}/{blob.size_bytes}"
    response["Content-Length"] = str(length)
    return _describe(response, call, parsed)


@endpoint(Action.PULL, absent=BlobUnknown)
def head_blob(call: Call, digest: str) -> HttpResponseBase:
    """Say what a GET would send; Range is ignored and nothing is opened (H-5).

    With a token that pushes, it is a push that asks whether it can skip an upload.
    """
    parsed, blob = _find(call, digest)
    if call.token is not None and call.token.allows(call.name.full_name, PUSH):
        note_reliance(repository=call.repository, blob=blob, actor=call.actor)
    if matches_etag(call.request, parsed):
        return _describe(HttpResponse(status=304), call, parsed)
    response = HttpResponse(content_type=OCTETS)
    response["Content-Length"] = str(blob.size_bytes)
    return _describe(response, call, parsed)


@endpoint(Action.DELETE, absent=BlobUnknown)
def delete_blob(call: Call, digest: str) -> HttpResponseBase:
    """Take a blob out of the repository, unless a manifest needs it (end-10, D-10)."""
    parsed, blob = _find(call, digest)
    if not unlink_blob(repository=call.repository, blob=blob, actor=call.actor):
        raise Unsupported(
            f"blob {parsed} is in use: delete the manifests that name it first",
            headers={"Allow": "GET, HEAD"},
        )
    response = empty(202)
    response[CONTENT_DIGEST] = str(parsed)
    return response


def _find(call: Call, text: str) -> tuple[Digest, LinkedBlob]:
    try:
        digest = parse_digest(text)
    except DigestMalformed as error:
        raise DigestInvalid(str(error)) from error
    blob = find_blob(call.repository, digest)
    if blob is None or (blob.is_condemned and not reprieve_blob(blob)):
        raise BlobUnknown(f"blob {digest} is unknown in {call.name}")
    return digest, blob


def _wanted(request: HttpRequest, digest: Digest, blob: LinkedBlob) -> tuple[int, int]:
    """Return start and length of what to send."""
    header = request.META.get("HTTP_RANGE")
    condition = request.META.get("HTTP_IF_RANGE")
    if header is None or (condition is not None and condition != f'"{digest}"'):
        return 0, blob.size_bytes
    try:
        wanted = parse_range(header, blob.size_bytes)
    except RangeUnsatisfiable as error:
        raise RangeInvalid(
            f"the blob has {blob.size_bytes} bytes",
            headers={"Content-Range": f"bytes */{blob.size_bytes}"},
        ) from error
    return (0, blob.size_bytes) if wanted is None else wanted


def _describe(
    response: HttpResponseBase, call: Call, digest: Digest
) -> HttpResponseBase:
    response[CONTENT_DIGEST] = str(digest)
    response["ETag"] = f'"{digest}"'
    response["Accept-Ranges"] = "bytes"
    scope = "public" if call.repository.is_public else "private"
    response["Cache-Control"] = f"{scope}, max-age={BLOB_MAX_AGE_SECONDS}"
    return response
