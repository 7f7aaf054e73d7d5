from django.http import HttpRequest, HttpResponse

from accounts.actions import Action
from distribution import referrers as verbs
from distribution.endpoints import Call, endpoint, text_response
from distribution.errors import DigestInvalid, PaginationNumberInvalid
from distribution.headers import next_link
from distribution.pagination import page_size
from repositories.oci.digests import Digest, DigestMalformed, parse_digest
from repositories.oci.media_types import OCI_INDEX, is_media_type


def nothing_refers(request: HttpRequest, digest: str) -> HttpResponse:
    """Answer for a repository that is not there: nothing refers to it (REF-1)."""
    _parse(digest)
    return _answer(request, verbs.render_index())


@endpoint(Action.PULL, absent=nothing_refers)
def list_referrers(call: Call, digest: str) -> HttpResponse:
    """List the manifests whose subject the digest is (end-12a, end-12b)."""
    query = call.request.GET
    last = query.get("last", "")
    if last and not (last.isascii() and last.isdigit() and len(last) < 19):
        raise PaginationNumberInvalid("last is not a position of this list")
    size = page_size(query, verbs.ENTRIES_MAX, largest=verbs.ENTRIES_MAX)
    types = _artifact_types(call.request)
    index, following = verbs.list_referrers(
        call.repository,
        _parse(digest),
        artifact_types=[word for word in types if is_media_type(word)]
        if types
        else None,
        last=int(last) if last else None,
        page_size=size,
    )
    response = _answer(call.request, index)
    if size and following is not None:
        asked = {"n": size} if query.get("n") else {}
        response["Link"] = next_link(
            f"/v2/{call.name}/referrers/{digest}",
            **asked,
            last=following,
            artifactType=types,
        )
    return response


def _parse(text: str) -> Digest:
    try:
        return parse_digest(text)
    except DigestMalformed as error:
        raise DigestInvalid(str(error)) from error


def _artifact_types(request: HttpRequest) -> list[str]:
    """Return the types that are asked for.

    A plus sign that the client did not escape arrives as a space, which no media type
    holds.
    """
    asked = request.GET.getlist("artifactType")
    return [word.replace(" ", "+") for word in asked if word]


def _answer(request: HttpRequest, index: bytes) -> HttpResponse:
    response = text_response(index, OCI_INDEX)
    if _artifact_types(request):
        response["OCI-Filters-Applied"] = "artifactType"  # REF-3
    return response
