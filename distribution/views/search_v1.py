"""Answers `docker search` and `podman search` (SRCH-1 .. SRCH-5)."""

import json
from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts.actors import ANONYMOUS, Actor
from accounts.addresses import client_address
from accounts.rates import take
from distribution.blobs import with_own_ceiling
from distribution.credentials import CredentialsMalformed, read_credentials
from distribution.endpoints import identify, open_to_all, text_response
from distribution.errors import RequestInvalid
from distribution.pagination import page_size
from repositories.models import Repository
from search.results import read_query, search_with_total

RESULTS_DEFAULT = 25
RESULTS_MAX = 100
PAGE_NUMBER_MAX = 100_000


@open_to_all
def ping(request: HttpRequest) -> HttpResponse:
    """Answer that this is a registry of its own; docker asks before it searches."""
    response = text_response(b'{"standalone":true}', "application/json")
    response["X-Docker-Registry-Standalone"] = "true"
    return response


@open_to_all
def search(request: HttpRequest) -> HttpResponse:
    """Answer with what the caller may see; without credentials, what is public."""
    actor = _actor(request).at(client_address(request))
    take("searches", actor)
    query = request.GET.get("q", "")
    size = min(page_size(request.GET, RESULTS_DEFAULT), RESULTS_MAX) or RESULTS_DEFAULT
    page = _page_number(request.GET.get("page", "1"))
    asked = replace(read_query(query), page=page)
    results, total = search_with_total(actor, asked, size=size, with_categories=False)
    count = total.value
    body = {
        "query": query,
        "num_results": count,
        "num_pages": -(-count // size),
        "page": page,
        "page_size": size,
        "results": [_result(repository) for repository in results.repositories],
    }
    return text_response(json.dumps(body).encode(), "application/json")


def _actor(request: HttpRequest) -> Actor:
    """Return who asks; wrong credentials are refused and never taken for no one."""
    try:
        if read_credentials(request) is None:
            return ANONYMOUS
    except CredentialsMalformed:
        pass  # identify() refuses it
    actor, _ = identify(request)
    return with_own_ceiling(actor)


def _page_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not int(text[:9]) > 0:
        raise RequestInvalid("page is not the number of a page")
    return min(int(text[:9]), PAGE_NUMBER_MAX)


def _result(repository: Repository) -> dict[str, Any]:
    is_official = repository.namespace.is_official
    return {
        "name": repository.full_name,
        "description": " ".join(repository.description.split()),
        "star_count": repository.star_count,
        "is_official": is_official,
        "is_automated": False,
        "is_trusted": is_official or repository.namespace.is_verified,
    }
