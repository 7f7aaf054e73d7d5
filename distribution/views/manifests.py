"""Manifests in, out and away (MAN-1 .. MAN-20, DEL-1)."""

from functools import partial

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase

from accounts.actions import Action
from accounts.conditions import Conditions
from distribution import manifests as verbs
from distribution.bodies import Body, Receiving
from distribution.clients import client_kind
from distribution.endpoints import Call, endpoint, text_response
from distribution.errors import (
    Denied,
    DigestInvalid,
    ManifestInvalid,
    ManifestTooLarge,
    ManifestUnknown,
    NameUnknown,
    TagInvalid,
    TooManyTags,
)
from distribution.headers import (
    CONTENT_DIGEST,
    check_conditions,
    content_type_of,
    empty,
    etag_of,
    is_not_modified,
    manifest_location,
)
from distribution.manifests import FoundManifest
from distribution.pulls import pull_log
from repositories import manifests as kept_manifests
from repositories.oci.digests import (
    CANONICAL_ALGORITHM,
    Digest,
    DigestMalformed,
    digest_of,
    parse_digest,
)
from repositories.oci.documents import ManifestMalformed, parse_manifest
from repositories.oci.references import is_digest_reference, is_tag
from repositories.rights.decisions import decide_tags
from repositories.tags import delete_tag

TAGS_MAX = 100  # of one PUT by digest; the spec wants ten at least (MAN-9)


@endpoint(Action.PULL, absent=ManifestUnknown)
def get_manifest(call: Call, reference: str) -> HttpResponseBase:
    """Send a manifest's exact bytes; Accept does not matter (end-3, D-5)."""
    found = _find(call, reference, with_payload=True)
    if is_not_modified(call.request, etag_of(found.digest)):
        return _describe(HttpResponse(status=304), found)
    assert found.payload is not None, "it was asked for"
    pull_log.note(
        repository_id=call.repository.id,
        digest=found.digest,
        tag="" if is_digest_reference(reference) else reference,
        client=client_kind(call.request.META.get("HTTP_USER_AGENT", "")),
    )
    return _describe(
        text_response(found.payload, content_type_of(found.media_type)), found
    )


@endpoint(Action.PULL, absent=ManifestUnknown)
def head_manifest(call: Call, reference: str) -> HttpResponseBase:
    """Describe what a GET would send, without reading it (end-3, MAN-15)."""
    found = _find(call, reference, with_payload=False)
    if is_not_modified(call.request, etag_of(found.digest)):
        return _describe(HttpResponse(status=304), found)
    response = HttpResponse(content_type=content_type_of(found.media_type))
    response["Content-Length"] = str(found.size_bytes)
    return _describe(response, found)


@endpoint(Action.PUSH, absent=NameUnknown, creates=True)
def put_manifest(call: Call, reference: str) -> Receiving[HttpResponseBase]:
    """Take a manifest, by tag or by digest with tags (end-7a, end-7b)."""
    request = call.request
    claimed, tags = _parse_target(reference, request.GET.getlist("tag"))
    limit_bytes = settings.BERTH_MANIFEST_LIMIT_BYTES
    payload = yield from Body(request).read_whole(limit_bytes)
    if payload is None:
        raise ManifestTooLarge(limit_bytes=limit_bytes)
    algorithm = claimed.algorithm if claimed is not None else CANONICAL_ALGORITHM
    digest = digest_of(payload, algorithm)
    if claimed is not None and claimed != digest:
        raise DigestInvalid(
            f"the manifest has the digest {digest} and not {claimed}",
            detail={"expected": str(claimed), "actual": str(digest)},
        )
    try:
        document = parse_manifest(
            payload,
            request.META.get("CONTENT_TYPE", ""),
            accept_unknown=settings.BERTH_UNKNOWN_MANIFESTS == "accept",
        )
    except ManifestMalformed as error:
        raise ManifestInvalid(f"manifest invalid: {error}") from error
    verbs.put_manifest(
        repository=call.repository,
        digest=digest,
        payload=payload,
        document=document,
        tags=tags,
        by_digest=claimed is not None,
        conditions=Conditions.read(request.META),
        actor=call.actor,
    )
    response = empty(201)
    response["Location"] = manifest_location(call.name, digest)
    response[CONTENT_DIGEST] = str(digest)
    if document.subject is not None:
        response["OCI-Subject"] = str(document.subject)  # REF-5
    if claimed is not None and tags:
        response["OCI-Tag"] = ", ".join(tags)  # MAN-9
    return response


@endpoint(Action.DELETE, absent=ManifestUnknown)
def delete_manifest(call: Call, reference: str) -> HttpResponseBase:
    """Delete a tag, or a manifest with all its tags (end-9, DEL-1)."""
    target = _parse_reference(reference)
    check = partial(_check, Conditions.read(call.request.META), reference)
    if isinstance(target, Digest):
        was_there = kept_manifests.delete_manifest(
            repository=call.repository, digest=target, actor=call.actor, check=check
        )
    else:
        [decision] = decide_tags(call.actor, {target: Action.DELETE}, call.repository)
        if not decision:
            raise Denied(decision.reason)
        was_there = delete_tag(
            repository=call.repository, name=target, actor=call.actor, check=check
        )
    if not was_there:
        raise ManifestUnknown(f"'{reference}' does not exist in {call.name}")
    return empty(202)


def _check(conditions: Conditions, reference: str, digest: str) -> None:
    check_conditions(conditions, digest, f"'{reference}'")


def _find(call: Call, reference: str, *, with_payload: bool) -> FoundManifest:
    found = verbs.find_manifest(
        call.repository, _parse_reference(reference), with_payload=with_payload
    )
    if found is None:
        raise ManifestUnknown(f"'{reference}' does not exist in {call.name}")
    return found


def _describe(response: HttpResponseBase, found: FoundManifest) -> HttpResponseBase:
    response[CONTENT_DIGEST] = found.digest
    response["ETag"] = etag_of(found.digest)
    return response


def _parse_reference(reference: str) -> Digest | str:
    """Return a digest or a tag; a tag that cannot be one is simply not there."""
    if not is_digest_reference(reference):
        if not is_tag(reference):
            raise ManifestUnknown(f"'{reference[:140]}' is not a tag")
        return reference
    try:
        return parse_digest(reference)
    except DigestMalformed as error:
        raise DigestInvalid(str(error)) from error


def _parse_target(reference: str, also: list[str]) -> tuple[Digest | None, list[str]]:
    """Return the digest that a PUT names, if it does, and the tags to move."""
    if not is_digest_reference(reference):
        _check_tag(reference)
        return None, [reference]
    target = _parse_reference(reference)
    assert isinstance(target, Digest), "it has a colon"
    tags = list(dict.fromkeys(also))
    if len(tags) > TAGS_MAX:
        raise TooManyTags(f"one request moves at most {TAGS_MAX} tags")
    for tag in tags:
        _check_tag(tag)
    return target, tags


def _check_tag(text: str) -> None:
    if not is_tag(text):
        raise TagInvalid(
            f"'{text[:140]}' is not a tag: use up to 128 letters, digits, '.', '_' "
            "and '-', the first one no '.' or '-'"
        )
