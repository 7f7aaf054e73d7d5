"""Sends answers, none of which holds a thread of the pool while the client reads.

bytes at hand    go to Granian in one piece
small files      likewise, while whole_files.py has room for them
other files      are read by Granian as the client reads
blobs of S3      come in pieces (streams.py), small ones whole like small files
other streams    come from a thread of their own through a pipe, which fills up when
                 the client is slow; there are few of them, such as exports
"""

import logging
import select
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connections
from django.http import HttpResponse
from django.http.response import HttpResponseBase

from distribution.endpoints import as_registry_error
from distribution.errors import render
from distribution.storage.base import FileSpan, StoreError
from distribution.wsgi import LINGER_SECONDS
from registry_site.server.deadlines import deadlines
from registry_site.server.pipes import Pipe
from registry_site.server.streams import streams
from registry_site.server.whole_files import buffers, whole_files

log = logging.getLogger(__name__)

Headers = list[tuple[str, str]]

WHOLE_MAX_BYTES = 2 * 1024 * 1024  # sent in one piece, as the largest page is
STREAMS_MAX = 64  # threads; each has a connection to the database while it runs
STREAM_PIECE_BYTES = 64 * 1024

_streams = threading.BoundedSemaphore(STREAMS_MAX)


def send_text(proto: Any, status: int, text: str) -> None:
    """Answer with a sentence, where no view is there to do so, and hang up."""
    headers = [("content-type", "text/plain; charset=utf-8"), ("connection", "close")]
    proto.response_str(status, headers, text + "\n")


def send_response(
    proto: Any,
    method: str | None,
    response: HttpResponseBase,
    *,
    client: str,
    lingers: bool,
) -> None:
    """Send a response of the protocol to a client, which whole_files.py named."""
    headers = list(response.items())
    span: FileSpan | None = getattr(response, "file_span", None)
    if isinstance(response, HttpResponse):
        if lingers:
            _send_and_linger(proto, response.status_code, headers, response.content)
        elif method == "HEAD":
            proto.response_empty(response.status_code, headers)
        else:
            proto.response_bytes(response.status_code, headers, response.content)
    elif method == "HEAD":
        response.close()
        proto.response_empty(response.status_code, headers)
    elif span is not None:
        try:
            _send_file(proto, response.status_code, headers, span, client)
        finally:
            response.close()
    elif getattr(response, "is_remote", False):
        _send_remote(proto, response, headers, client)
    else:
        _send_stream(proto, response.status_code, headers, response)


def send_wsgi(
    proto: Any, method: str, status: int, headers: Headers, result: Any
) -> None:
    """Send what a WSGI application returned."""
    if method == "HEAD":
        result.close()
        proto.response_empty(status, headers)
        return
    if getattr(result, "streaming", False) and not _is_short(result):
        _send_stream(proto, status, headers, result)
        return
    try:
        body = b"".join(result)
    finally:
        result.close()
    proto.response_bytes(status, headers, body)


def _is_short(response: Any) -> bool:
    """Return whether a stream is a file of our own pages, such as a style sheet."""
    length = response.headers.get("Content-Length", "")
    return bool(length.isdigit()) and int(length) <= WHOLE_MAX_BYTES


def _send_and_linger(proto: Any, status: int, headers: Headers, body: bytes) -> None:
    transport = proto.response_stream(status, headers)
    transport.send_bytes(body)
    proto.sent_counter()(len(body))
    # The stream ends when no one has the transport any more.
    deadlines.enter(LINGER_SECONDS, lambda held=transport: None)  # type: ignore[misc]


# --- files


def _send_file(
    proto: Any, status: int, headers: Headers, span: FileSpan, client: str
) -> None:
    size_bytes = span.end - span.start
    if not size_bytes:
        proto.response_empty(status, headers)
        return
    if whole_files.enter(client, size_bytes):
        try:
            with buffers.borrow(size_bytes) as buffer:
                if _is_read_whole(span, buffer):
                    proto.response_bytes(status, headers, buffer)
                    return
        finally:
            whole_files.sent(client)
    proto.response_file_range(status, headers, span.path, span.start, span.end)


def _is_read_whole(span: FileSpan, buffer: bytearray) -> bool:
    """Read the file; False if that fails, as Granian will, which cuts the answer."""
    try:
        return span.read_into(buffer) == len(buffer)
    except OSError:
        return False


# --- blobs from elsewhere


def _send_remote(proto: Any, response: Any, headers: Headers, client: str) -> None:
    status, size_bytes = response.status_code, int(response["Content-Length"])
    if size_bytes <= WHOLE_MAX_BYTES and whole_files.enter(client, size_bytes):
        try:
            content = b"".join(response)  # waits for S3, not for the client
            proto.response_bytes(status, headers, content)
        except StoreError as error:
            refused = render(as_registry_error(error))
            proto.response_bytes(
                refused.status_code, list(refused.items()), refused.content
            )
        finally:
            whole_files.sent(client)
            response.close()
        return
    if not streams().enter():
        response.close()
        _refuse(proto)
        return
    try:
        pipe = Pipe(proto.sent_counter())
    except OSError:  # no descriptor is left
        streams().leave()
        response.close()
        _refuse(proto)
        return
    proto.response_file(status, headers, pipe.path)
    streams().begin(response, pipe)


# --- streams


def _send_stream(proto: Any, status: int, headers: Headers, pieces: Any) -> None:
    if not _streams.acquire(blocking=False):
        pieces.close()
        _refuse(proto)
        return
    try:
        pipe = Pipe(proto.sent_counter())
    except OSError:  # no descriptor is left
        _streams.release()
        pieces.close()
        _refuse(proto)
        return
    proto.response_file(status, headers, pipe.path)
    threading.Thread(
        target=_stream, args=(pieces, pipe), name="stream", daemon=True
    ).start()


def _refuse(proto: Any) -> None:
    busy = [("retry-after", "10"), ("content-type", "text/plain; charset=utf-8")]
    proto.response_str(503, busy, "Too many downloads at once. Try again.\n")


def _stream(pieces: Any, pipe: Pipe) -> None:
    try:
        try:
            for piece in _in_pieces(pieces):
                if not _write(pipe, piece):
                    break
        finally:
            pipe.close()
            pieces.close()
    except Exception:
        log.exception("a stream ended early")
    finally:
        connections.close_all()
        _streams.release()


def _in_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), STREAM_PIECE_BYTES):
            yield piece[start : start + STREAM_PIECE_BYTES]


def _write(pipe: Pipe, piece: bytes) -> bool:
    """Write all of it; False when the client went away or is too slow."""
    view = memoryview(piece)
    while view:
        try:
            view = view[pipe.write_some(view) :]
        except BlockingIOError:
            if not (left := pipe.seconds_left()):
                return False
            poll = select.poll()
            poll.register(pipe.sender, select.POLLOUT)
            if poll.poll(left * 1000):
                pipe.was_read()
        except BrokenPipeError:
            return False
    return True
