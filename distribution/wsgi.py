"""The protocol's own way from the server to its views, without middleware (DJ-3).

Every pull passes here several times, so what Django does for pages and no one here asks
for is left out: the resolver's bookkeeping, the parsing of content types and forms, and
the signals around a request.

    begin(request)      a response, or a generator that takes the body first
    complete(request, response)     its last headers
    answer_protocol     both, for a server that speaks plain WSGI (PEP 3333)
"""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from re import Match
from typing import Any

from django.core.handlers.wsgi import WSGIRequest, get_path_info
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from database.sql import this_threads_connection
from distribution import urls
from distribution.bodies import WAS_READ, receive
from distribution.endpoints import OTHER_ENDPOINT, Answer, Resource

BUFFERED_BYTES = 64 * 1024
LINGER_SECONDS = 0.3  # while a client needs to look up

_nothing = Resource()


class ProtocolRequest(WSGIRequest):
    """A request of which only what the protocol needs has been looked at.

    Bodies are for distribution/bodies.py alone; ``GET`` is parsed when asked for.
    ``endpoint`` is the name of its route in metrics.
    """

    endpoint = OTHER_ENDPOINT

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = self.META = environ
        self.method = environ["REQUEST_METHOD"]  # case-sensitive (RFC 9110 §9.1)
        self.path = self.path_info = get_path_info(environ)


def begin(request: ProtocolRequest) -> Answer:
    """Return a response, or a generator that has yet to run and reads the body."""
    this_threads_connection().close_if_unusable_or_obsolete()
    path = request.path_info[1:]  # the routes begin behind the first slash
    for match_route, resource in _routes():
        match = match_route(path)
        if match is not None:
            request.endpoint = resource.endpoint
            return resource.answer(request, **match.groupdict())
    return _nothing.answer(request)


def complete(request: ProtocolRequest, response: HttpResponseBase) -> bool:
    """Set the headers that depend on the whole; return whether to linger.

    A client in the middle of a large body would find the connection reset before it has
    read why it was refused. So the refusal has no length, and the connection stays open
    for LINGER_SECONDS after it. Go's server waits in the same way; the body stays
    unread.
    """
    status = response.status_code
    if status in {204, 304}:
        del response["Content-Type"]
    elif isinstance(response, HttpResponse) and "Content-Length" not in response:
        response["Content-Length"] = str(len(response.content))
    if status < 400 or request.method not in {"PATCH", "POST", "PUT"}:
        return False
    # Its body may not have been read, and then the server hangs up: a client that is
    # not told would send its next request into a closed connection.
    response["Connection"] = "close"
    if not isinstance(response, HttpResponse) or not _is_still_sending(request.environ):
        return False
    del response["Content-Length"]
    return True


def answer_protocol(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    """Answer one request to a protocol route (PEP 3333)."""
    request = ProtocolRequest(environ)
    answer = begin(request)
    if isinstance(answer, HttpResponseBase):
        response = answer
    else:
        response = receive(answer, environ["wsgi.input"].read)
    lingers = complete(request, response)
    start_response(
        f"{response.status_code} {response.reason_phrase}", list(response.items())
    )
    if isinstance(response, StreamingHttpResponse):
        return response  # iterable, with close()
    assert isinstance(response, HttpResponse), "there are two sorts"
    if lingers:
        return _linger(response.content)
    return [] if request.method == "HEAD" else [response.content]


def _is_still_sending(environ: dict[str, Any]) -> bool:
    """Return whether more of the body is on its way than the sockets hold."""
    if environ.get(WAS_READ):
        return False
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        return True
    length = environ.get("CONTENT_LENGTH") or "0"
    return length.isdigit() and int(length) > BUFFERED_BYTES


def _linger(content: bytes) -> Iterator[bytes]:
    yield content
    time.sleep(LINGER_SECONDS)


@cache
def _routes() -> list[tuple[Callable[[str], Match[str] | None], Resource]]:
    """Return the routes of urls.py in their order, each with its compiled pattern."""
    return [
        (pattern.pattern.regex.match, pattern.callback)  # type: ignore[misc]
        for pattern in urls.urlpatterns
    ]
