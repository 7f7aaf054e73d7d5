"""The catalog and the list of extensions (CAT-1)."""

import json

from django.http import HttpRequest, HttpResponse

from accounts.actors import Actor
from distribution import scopes
from distribution.blobs import with_own_ceiling
from distribution.endpoints import open_to_all, signed_in, text_response
from distribution.headers import next_link
from distribution.pagination import page_size, render_names
from distribution.scopes import Scope
from repositories.models import Repository

PAGE_DEFAULT = 100

EXTENSIONS = {
    "extensions": [
        {
            "name": "_catalog",
            "url": "https://distribution.github.io/distribution/spec/api/",
            "description": "lists the repositories that the caller may pull from",
            "endpoints": ["/v2/_catalog"],
        }
    ]
}


@signed_in(Scope(scopes.REGISTRY, scopes.CATALOG, (scopes.EVERYTHING,)))
def list_repositories(request: HttpRequest, actor: Actor) -> HttpResponse:
    """List the repositories that the actor may pull from, by pages, in byte order."""
    size = page_size(request.GET, PAGE_DEFAULT)
    visible = Repository.objects.visible_to(with_own_ceiling(actor))
    names = visible.full_names_after(request.GET.get("last", ""))
    page = list(names[: size + 1])
    response = text_response(render_names(repositories=page[:size]), "application/json")
    if size and len(page) > size:
        response["Link"] = next_link("/v2/_catalog", n=size, last=page[size - 1])
    return response


@open_to_all
def list_extensions(request: HttpRequest) -> HttpResponse:
    """List what this registry has beside the specification's endpoints."""
    return text_response(json.dumps(EXTENSIONS).encode(), "application/json")
