"""One request and its answer.

    no body             answered at once, in the thread that Granian gave
    body, protocol      the view says when it wants the body (distribution/bodies.py)
    body, all else      gathered whole, up to what Django takes, then answered

What fails here is logged, and the client gets 500; a client that was too slow, 408.
"""

import logging
from collections.abc import Callable
from io import BytesIO
from typing import Any

from django.conf import settings
from django.http.response import HttpResponseBase

from database.sql import this_threads_connection
from distribution import wsgi as protocol_routes
from distribution.bodies import BodyTooSlow, Receiving
from distribution.storage.observation import report_operations
from distribution.wsgi import ProtocolRequest
from registry_site.server import replies
from registry_site.server.bodies import BodyReader, TooSlow
from registry_site.server.environ import Environ, has_body, make_environ
from registry_site.server.request_metrics import (
    MeasuredProtocol,
    count_store_operation,
    group_of_page,
)
from registry_site.server.whole_files import client_name
from registry_site.wsgi import answer_page, is_protocol_path

log = logging.getLogger(__name__)

report_operations(count_store_operation)

BODY_IS_WHOLE = "berth.body_is_whole"  # in the environ of a body that was gathered


def answer(watcher: Any) -> None:
    """Answer a request, now or when its body has arrived; raises nothing."""
    proto = MeasuredProtocol(watcher.proto)
    try:
        environ = make_environ(watcher.scope)
        if is_protocol_path(environ["PATH_INFO"]):
            _answer_protocol(proto, environ)
        else:
            group = group_of_page(environ["PATH_INFO"])
            proto.count_as(group, environ["REQUEST_METHOD"])
            if has_body(environ):
                _GatheredBody(proto, environ).begin()
            else:
                _answer_page(proto, environ)
    except BaseException:
        _fail(proto)


def _fail(proto: MeasuredProtocol) -> None:
    log.exception("a request could not be answered")
    replies.send_text(proto, 500, "Something went wrong.")


# --- the protocol


def _answer_protocol(proto: MeasuredProtocol, environ: Environ) -> None:
    request = ProtocolRequest(environ)
    answer = protocol_routes.begin(request)
    proto.count_as(request.endpoint, environ["REQUEST_METHOD"])
    if isinstance(answer, HttpResponseBase):
        _send_protocol(proto, request, answer)
    else:
        _StreamedBody(proto, request, answer).begin()


def _send_protocol(
    proto: MeasuredProtocol, request: ProtocolRequest, response: HttpResponseBase
) -> None:
    lingers = protocol_routes.complete(request, response)
    environ = request.environ
    client = client_name(environ["REMOTE_ADDR"], environ["REMOTE_PORT"])
    replies.send_response(
        proto, request.method, response, client=client, lingers=lingers
    )


class _StreamedBody:
    """A view of the protocol that takes its body piece by piece."""

    def __init__(
        self,
        proto: MeasuredProtocol,
        request: ProtocolRequest,
        receiving: Receiving[HttpResponseBase],
    ) -> None:
        self._proto = proto
        self._request = request
        self._receiving = receiving
        self._reader: BodyReader | None = None
        self._is_upload = "/blobs/" in request.path_info

    def begin(self) -> None:
        try:
            self._run(lambda: next(self._receiving))
        except BaseException:
            self._let_go()
            raise

    def _resume(self, piece: bytes | None) -> None:
        try:
            self._proto.count_received(len(piece or b""))
            this_threads_connection().close_if_unusable_or_obsolete()
            self._run(_step(self._receiving, piece))
        except BaseException:
            _fail(self._proto)
            self._let_go()

    def _run(self, step: Callable[[], int]) -> None:
        """Run the view until it has to wait or is done."""
        try:
            while True:
                wanted_bytes = step()
                if self._reader is None:
                    self._reader = self._begin_to_read()
                try:
                    piece = self._reader.gather(wanted_bytes)
                    if piece is None:
                        return
                    self._proto.count_received(len(piece))
                except TooSlow:
                    piece = None
                step = _step(self._receiving, piece)
        except StopIteration as done:
            _send_protocol(self._proto, self._request, done.value)
        self._let_go()

    def _begin_to_read(self) -> BodyReader:
        if self._is_upload:
            self._proto.count_upload(1)
        return BodyReader(self._proto, self._resume, is_blob=self._is_upload)

    def _let_go(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.let_go()
            if self._is_upload:
                self._proto.count_upload(-1)


def _step(
    receiving: Receiving[HttpResponseBase], piece: bytes | None
) -> Callable[[], int]:
    if piece is None:
        return lambda: receiving.throw(BodyTooSlow())
    return lambda: receiving.send(piece)


# --- pages and the API


def _answer_page(proto: MeasuredProtocol, environ: Environ) -> None:
    status, headers = 500, []

    def start_response(line: str, pairs: list[tuple[str, str]], *_: Any) -> Any:
        nonlocal status, headers
        status, headers = int(line[:3]), pairs

    result = answer_page(environ, start_response)
    replies.send_wsgi(proto, environ["REQUEST_METHOD"], status, headers, result)


class _GatheredBody:
    """A request of a page or the API, whose body is small and comes first."""

    def __init__(self, proto: MeasuredProtocol, environ: Environ) -> None:
        self._proto = proto
        self._environ = environ
        self._limit_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1

    def begin(self) -> None:
        wanted_bytes = self._limit_bytes
        length = self._environ.get("CONTENT_LENGTH", "")
        if length.isdigit():
            wanted_bytes = int(length)
            if wanted_bytes >= self._limit_bytes:
                # Django refuses it by its length, without a look at it.
                _answer_page(self._proto, self._environ)
                return
        self._reader = BodyReader(self._proto, self._resume, is_blob=False)
        body = self._reader.gather(wanted_bytes)
        if body is not None:
            self._reader.let_go()
            self._answer(body)

    def _resume(self, body: bytes | None) -> None:
        try:
            is_over = self._reader.is_over
            self._reader.let_go()
            if body is None or is_over:
                replies.send_text(self._proto, 408, "The request arrived too slowly.")
            else:
                self._answer(body)
        except BaseException:
            _fail(self._proto)

    def _answer(self, body: bytes) -> None:
        self._proto.count_received(len(body))
        promised = self._environ.get("CONTENT_LENGTH")
        if promised is not None and int(promised) != len(body):
            replies.send_text(self._proto, 400, "The request ended early.")
            return
        self._environ.pop("HTTP_TRANSFER_ENCODING", None)
        self._environ["CONTENT_LENGTH"] = str(len(body))
        self._environ["wsgi.input"] = BytesIO(body)
        self._environ[BODY_IS_WHOLE] = len(body) < self._limit_bytes
        _answer_page(self._proto, self._environ)
