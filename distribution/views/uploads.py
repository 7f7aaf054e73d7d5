"""Sessions of blobs being pushed (UP-1 .. UP-16) and mounts (MNT-1 .. MNT-7)."""

import re

from django.http import HttpRequest, HttpResponse

from accounts.actions import Action
from distribution import scopes
from distribution.blobs import (
    find_blob,
    find_mount_source,
    may_pull_by_itself,
    mount_blob,
    record_reliance,
    unmark_blob,
    with_own_ceiling,
)
from distribution.bodies import WAS_READ, Body, Receiving
from distribution.challenges import INSUFFICIENT_SCOPE, challenge
from distribution.endpoints import Call, endpoint
from distribution.errors import (
    BlobUploadUnknown,
    DigestInvalid,
    NameUnknown,
    RangeInvalid,
    RequestInvalid,
)
from distribution.headers import (
    CONTENT_DIGEST,
    UPLOAD_UUID,
    blob_location,
    empty,
    received_range,
    upload_location,
)
from distribution.models import Upload
from distribution.scopes import Scope
from distribution.uploads.requests import (
    ContentRange,
    append_to_upload,
    finish_upload,
    push_whole_blob,
)
from distribution.uploads.sessions import (
    OutOfOrder,
    cancel_upload,
    find_upload,
    start_upload,
)
from repositories.models import RepositoryFacts
from repositories.oci.digests import (
    CANONICAL_ALGORITHM,
    ENCODED_LENGTHS,
    Digest,
    DigestMalformed,
    parse_digest,
)
from repositories.oci.references import (
    NameMalformed,
    RepositoryName,
    parse_repository_name,
)
from repositories.rights.access import find_repository

_content_range = re.compile(
    r"(?:bytes )?([0-9]{1,18})-([0-9]{1,18})(?:/(?:\*|[0-9]+))?"
)


def _source_scope(request: HttpRequest) -> tuple[Scope, ...]:
    """Return what a mount's challenge asks for also (AUTH-4, MNT-3)."""
    if "mount" not in request.GET:
        return ()
    try:
        name = parse_repository_name(request.GET.get("from", ""))
    except NameMalformed:
        return ()
    return (Scope(scopes.REPOSITORY, name.text, (scopes.PULL,)),)


@endpoint(Action.PUSH, absent=NameUnknown, creates=True, also=_source_scope)
def post_upload(call: Call) -> Receiving[HttpResponse]:
    """Begin a session, mount a blob, or take a whole one (end-4a/b/c, end-11)."""
    query = call.request.GET
    if "mount" in query:
        digest = _parse_digest(query["mount"])
        if _mount(call, digest, query.get("from")):
            return _created(call.name, digest)
    elif "digest" in query:
        digest = _parse_digest(query.getlist("digest")[-1])
        body = Body(call.request)
        yield from push_whole_blob(
            repository=call.repository, body=body, digest=digest, actor=call.actor
        )
        return _created(call.name, digest)
    algorithm = query.get("digest-algorithm", CANONICAL_ALGORITHM)
    if algorithm not in ENCODED_LENGTHS:
        raise DigestInvalid(f"digest algorithm '{algorithm[:40]}' is not supported")
    upload = start_upload(
        repository=call.repository, actor=call.actor, algorithm=algorithm
    )
    return _progress(call.name, upload, 202)


@endpoint(Action.PUSH, absent=BlobUploadUnknown)
def patch_upload(call: Call, uuid: str) -> Receiving[HttpResponse]:
    """Add a chunk, or a stream of unknown length (end-5)."""
    upload = _find(call, uuid)
    try:
        yield from append_to_upload(
            upload=upload,
            body=Body(call.request),
            content_range=_parse_content_range(call, upload),
        )
    except OutOfOrder as error:
        raise _range_invalid(call.name, error) from error
    return _progress(call.name, upload, 202)


@endpoint(Action.PUSH, absent=BlobUploadUnknown)
def put_upload(call: Call, uuid: str) -> Receiving[HttpResponse]:
    """Close a session, with the last bytes or all of them or none (end-6).

    A client whose answer was lost sends it again, and is answered the same where the
    blob is here.
    """
    digests = call.request.GET.getlist("digest")
    if not digests:
        raise DigestInvalid("the digest of the blob is missing")
    digest = _parse_digest(digests[-1])  # regclient may leave an older one in front
    body = Body(call.request)
    try:
        upload = _find(call, uuid)
        yield from finish_upload(
            upload=upload,
            body=body,
            content_range=_parse_content_range(call, upload),
            digest=digest,
            repository=call.repository,
            actor=call.actor,
        )
    except OutOfOrder as error:
        raise _range_invalid(call.name, error) from error
    except BlobUploadUnknown:
        if not _is_here(call, digest):
            raise
        if WAS_READ not in call.request.META:
            # Otherwise the connection would end before the answer is read.
            while (yield from body.next_piece()):
                pass
    return _created(call.name, digest)


@endpoint(Action.PUSH, absent=BlobUploadUnknown)
def get_upload(call: Call, uuid: str) -> HttpResponse:
    """Report how much has arrived permanently (end-13)."""
    return _progress(call.name, _find(call, uuid), 204)


@endpoint(Action.PUSH, absent=BlobUploadUnknown)
def delete_upload(call: Call, uuid: str) -> HttpResponse:
    """End a session; anyone who may push may do so (end-14, AUTH-4)."""
    cancel_upload(upload=_find(call, uuid))
    return empty(204)


def _find(call: Call, uuid: str) -> Upload:
    return find_upload(repository=call.repository, uuid_text=uuid, actor=call.actor)


def _is_here(call: Call, digest: Digest) -> bool:
    """Return whether the blob is in the repository, and stays for this push."""
    blob = find_blob(call.repository, digest)
    if blob is None or (blob.is_marked and not unmark_blob(blob)):
        return False
    record_reliance(repository=call.repository, blob=blob, actor=call.actor)
    return True


def _created(name: RepositoryName, digest: Digest) -> HttpResponse:
    response = empty(201)
    response["Location"] = blob_location(name, digest)
    response[CONTENT_DIGEST] = str(digest)
    return response


def _progress(name: RepositoryName, upload: Upload, status: int) -> HttpResponse:
    response = empty(status)
    for header, value in _progress_headers(name, upload).items():
        response[header] = value
    return response


def _progress_headers(name: RepositoryName, upload: Upload) -> dict[str, str]:
    return {
        "Location": upload_location(name, upload.pk),
        "Range": received_range(upload.offset_bytes),
        UPLOAD_UUID: str(upload.pk),
    }


def _range_invalid(name: RepositoryName, error: OutOfOrder) -> RangeInvalid:
    return RangeInvalid(str(error), headers=_progress_headers(name, error.upload))


def _parse_digest(text: str) -> Digest:
    try:
        return parse_digest(text)
    except DigestMalformed as error:
        raise DigestInvalid(str(error)) from error


def _parse_content_range(call: Call, upload: Upload) -> ContentRange | None:
    """Return where the body belongs; a refusal says where the upload stands."""
    text = call.request.META.get("HTTP_CONTENT_RANGE")
    if text is None:
        return None
    if not text.isascii():
        raise RequestInvalid("Content-Range holds characters that are not ASCII")
    headers = _progress_headers(call.name, upload)
    match = _content_range.fullmatch(text.strip())
    if match is None:
        raise RangeInvalid(
            "Content-Range is not of the form <first>-<last>", headers=headers
        )
    first, last = int(match[1]), int(match[2])
    if last < first:
        raise RangeInvalid("Content-Range ends before it begins", headers=headers)
    return ContentRange(first, last)


# --- mounts


def _mount(call: Call, digest: Digest, source_text: str | None) -> bool:
    """Mount the blob if that can be; False for an ordinary session instead.

    What cannot be mounted and what may not be seen give the same answer (MNT-2).
    """
    linked = find_blob(call.repository, digest)
    if linked is not None:
        source: RepositoryFacts | None = call.repository
    elif source_text:
        source = _permitted_source(call, source_text)
    else:
        source = find_mount_source(with_own_ceiling(call.actor), digest)
    if source is None:
        return False
    return mount_blob(
        repository=call.repository, digest=digest, source=source, actor=call.actor
    )


def _permitted_source(call: Call, text: str) -> RepositoryFacts | None:
    try:
        name = parse_repository_name(text)
    except NameMalformed:
        return None
    source = find_repository(name)
    if source is None or not may_pull_by_itself(call.actor, source):
        return None
    token = call.token
    if token is not None and not token.allows(name.full_name, scopes.PULL):
        if token.dropped_scopes:
            return None  # asking again would give the same token: upload it instead
        # The subject has the right and the token was made for less (MNT-3, D-1).
        raise challenge(
            Scope(scopes.REPOSITORY, call.name.text, (scopes.PULL, scopes.PUSH)),
            Scope(scopes.REPOSITORY, name.text, (scopes.PULL,)),
            error=INSUFFICIENT_SCOPE,
        )
    return source
