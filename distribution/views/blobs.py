"""Blobs out and away (BLOB-1 .. BLOB-8, COND-1, DEL-3)."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from accounts.actions import Action
from accounts.conditions import Conditions
from distribution.blobs import (
    LinkedBlob,
    find_blob,
    record_reliance,
    unlink_blob,
    unmark_blob,
)
from distribution.endpoints import Call, endpoint
from distribution.errors import BlobUnknown, DigestInvalid, RangeInvalid, Unsupported
from distribution.headers import (
    BLOB_MAX_AGE_SECONDS,
    CONTENT_DIGEST,
    check_conditions,
    empty,
    etag_of,
    is_not_modified,
)
from distribution.ranges import (
    Multipart,
    MultipartPieces,
    RangeUnsatisfiable,
    Span,
    ranges_of,
)
from distribution.scopes import PUSH
from distribution.storage import blob_store
from distribution.storage.base import FileSpan, ObjectMissing
from repositories.oci.digests import Digest, DigestMalformed, parse_digest
from repositories.rights.decisions import decide

OCTETS = "application/octet-stream"


class BlobResponse(StreamingHttpResponse):
    """Bytes of the store; with a ``file_span``, the server reads them from the file.

    If ``is_remote``, reading them waits for another server.
    """

    def __init__(self, pieces: Iterator[bytes], **more: Any) -> None:
        super().__init__(pieces, **more)
        self.file_span: FileSpan | None = getattr(pieces, "file_span", None)
        self.is_remote: bool = blob_store().is_remote


@endpoint(Action.PULL, absent=BlobUnknown)
def get_blob(call: Call, digest: str) -> HttpResponseBase:
    """Send a blob, or ranges of it (end-2, BLOB-7, BLOB-8)."""
    parsed, blob = _find(call, digest)
    if is_not_modified(call.request, etag_of(parsed)):
        return _describe(HttpResponse(status=304), call, parsed)
    spans = _wanted(call.request, parsed, blob)
    try:
        response = _answer(blob, spans)
    except ObjectMissing:
        # Its bytes may just have been replaced; what the row says now is the truth.
        _, blob = _find(call, digest)
        response = _answer(blob, spans)
    return _describe(response, call, parsed)


@endpoint(Action.PULL, absent=BlobUnknown)
def head_blob(call: Call, digest: str) -> HttpResponseBase:
    """Describe what a GET would send; Range is ignored and nothing is opened (H-5).

    From a client that can push, it asks whether an upload can be skipped.
    """
    parsed, blob = _find(call, digest)
    if not blob.is_shared and not blob.is_of(call.actor) and _may_be_push(call):
        record_reliance(repository=call.repository, blob=blob, actor=call.actor)
    if is_not_modified(call.request, etag_of(parsed)):
        return _describe(HttpResponse(status=304), call, parsed)
    blob_store().verify()  # a GET of the same blob would fail
    response = HttpResponse(content_type=OCTETS)
    response["Content-Length"] = str(blob.size_bytes)
    return _describe(response, call, parsed)


@endpoint(Action.DELETE, absent=BlobUnknown)
def delete_blob(call: Call, digest: str) -> HttpResponseBase:
    """Take a blob out of the repository, unless a manifest needs it (end-10, D-10)."""
    parsed, blob = _find(call, digest)
    check = partial(
        check_conditions, Conditions.read(call.request.META), parsed, "the blob"
    )
    if not unlink_blob(
        repository=call.repository, blob=blob, actor=call.actor, check=check
    ):
        raise Unsupported(
            f"blob {parsed} is in use: delete the manifests that name it first",
            headers={"Allow": "GET, HEAD"},
        )
    response = empty(202)
    response[CONTENT_DIGEST] = str(parsed)
    return response


def _may_be_push(call: Call) -> bool:
    """Return whether the token was made for pushes; Basic credentials have no scope."""
    if call.token is not None:
        return call.token.allows(call.name.full_name, PUSH)
    return bool(decide(call.actor, Action.PUSH, call.repository))


def _find(call: Call, text: str) -> tuple[Digest, LinkedBlob]:
    try:
        digest = parse_digest(text)
    except DigestMalformed as error:
        raise DigestInvalid(str(error)) from error
    blob = find_blob(call.repository, digest)
    if blob is None or (blob.is_marked and not unmark_blob(blob)):
        raise BlobUnknown(f"blob {digest} is unknown in {call.name}")
    return digest, blob


def _wanted(
    request: HttpRequest, digest: Digest, blob: LinkedBlob
) -> list[Span] | None:
    """Return the spans to send; None for the whole blob."""
    try:
        return ranges_of(request.META, etag_of(digest), blob.size_bytes)
    except RangeUnsatisfiable as error:
        raise RangeInvalid(
            f"the blob has {blob.size_bytes} bytes",
            headers={"Content-Range": f"bytes */{blob.size_bytes}"},
        ) from error


def _answer(blob: LinkedBlob, spans: list[Span] | None) -> HttpResponseBase:
    """Open what is to be sent; raises ObjectMissing before a byte has gone out."""
    if spans is not None and len(spans) > 1:
        body = Multipart(spans, blob.size_bytes, OCTETS)
        response = BlobResponse(
            MultipartPieces(body, partial(_open, blob)),
            content_type=body.header,
            status=206,
        )
        response["Content-Length"] = str(body.length_bytes)
        return response
    span = spans[0] if spans else Span(0, blob.size_bytes)
    response = BlobResponse(_open(blob, span), content_type=OCTETS)
    if spans:
        response.status_code = 206
        response["Content-Range"] = span.content_range(blob.size_bytes)
    response["Content-Length"] = str(span.length)
    return response


def _open(blob: LinkedBlob, span: Span) -> Iterator[bytes]:
    return blob_store().open(blob.storage_key, blob.size_bytes, span.start, span.length)


def _describe(
    response: HttpResponseBase, call: Call, digest: Digest
) -> HttpResponseBase:
    response[CONTENT_DIGEST] = str(digest)
    response["ETag"] = etag_of(digest)
    response["Accept-Ranges"] = "bytes"
    scope = "public" if call.repository.is_public else "private"
    response["Cache-Control"] = f"{scope}, max-age={BLOB_MAX_AGE_SECONDS}"
    return response
