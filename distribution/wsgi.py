"""The protocol's own way from the server to its views, without middleware (DJ-3)."""

from collections.abc import Callable, Iterable
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.db import connections
from django.http.response import HttpResponse, HttpResponseBase
from django.urls import Resolver404, get_resolver

from distribution import urls
from distribution.endpoints import Resource

_nothing = Resource()


def answer_protocol(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    """Answer one request to a protocol route (PEP 3333)."""
    for connection in connections.all(initialized_only=True):
        connection.close_if_unusable_or_obsolete()
    request = WSGIRequest(environ)
    response = _respond(request)
    if response.status_code in {204, 304}:
        del response["Content-Type"]
    elif isinstance(response, HttpResponse) and "Content-Length" not in response:
        response["Content-Length"] = str(len(response.content))
    start_response(
        f"{response.status_code} {response.reason_phrase}", list(response.items())
    )
    if request.method == "HEAD":
        response.close()
        return ()
    return response


def _respond(request: WSGIRequest) -> HttpResponseBase:
    try:
        match = get_resolver(urls.__name__).resolve(request.path_info)
    except Resolver404:
        return _nothing(request)
    response: HttpResponseBase = match.func(request, **match.kwargs)
    return response
