"""The protocol's own way from the server to its views, without middleware (DJ-3).

Every pull passes here several times, so what Django does for pages and nobody here asks
for is left out: the resolver's bookkeeping, the parsing of content types and forms, and
the signals around a request. An answer that is at hand goes back as a list, which
Granian sends in one piece; anything else it has to stream (docs/performance.md).
"""

from collections.abc import Callable, Iterable
from functools import cache
from re import Match
from typing import Any

from django.core.handlers.wsgi import WSGIRequest, get_path_info
from django.http import HttpResponse
from django.http.response import HttpResponseBase

from distribution import urls
from distribution.endpoints import Resource
from repositories.sql import this_threads_connection

_nothing = Resource()


class ProtocolRequest(WSGIRequest):
    """A request of which only what the protocol needs has been looked at.

    Bodies are for distribution/bodies.py alone; ``GET`` is parsed when asked for.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = self.META = environ
        self.method = environ["REQUEST_METHOD"].upper()
        self.path = self.path_info = get_path_info(environ)


def answer_protocol(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    """Answer one request to a protocol route (PEP 3333)."""
    this_threads_connection().close_if_unusable_or_obsolete()
    request = ProtocolRequest(environ)
    response = _respond(request)
    status = response.status_code
    if status in {204, 304}:
        del response["Content-Type"]
    elif isinstance(response, HttpResponse) and "Content-Length" not in response:
        response["Content-Length"] = str(len(response.content))
    if status >= 400 and request.method in {"PATCH", "POST", "PUT"}:
        # Its body may not have been read, and then the server hangs up: a client that
        # is not told would send its next request into a closed connection.
        response["Connection"] = "close"
    start_response(f"{status} {response.reason_phrase}", list(response.items()))
    if isinstance(response, HttpResponse):
        return [] if request.method == "HEAD" else [response.content]
    return response  # iterable, with close()


def _respond(request: ProtocolRequest) -> HttpResponseBase:
    path = request.path_info[1:]  # the routes begin behind the first slash
    for match_route, resource in _routes():
        match = match_route(path)
        if match is not None:
            return resource(request, **match.groupdict())
    return _nothing(request)


@cache
def _routes() -> list[tuple[Callable[[str], Match[str] | None], Resource]]:
    """Return the routes of urls.py in their order, each with its compiled pattern."""
    return [
        (pattern.pattern.regex.match, pattern.callback)  # type: ignore[misc]
        for pattern in urls.urlpatterns
    ]
