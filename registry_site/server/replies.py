"""Sends answers, none of which holds a thread of the pool while the client reads.

bytes at hand    go to Granian in one piece
small files      likewise, while whole_files.py has room for them
other files      are read by Granian as the client reads
streams          come from a thread of their own through a pipe, which fills up when
                 the client is slow; there are few of them, such as exports
"""

import logging
import os
import select
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db import connections
from django.http import HttpResponse
from django.http.response import HttpResponseBase

from distribution.storage.base import FileSpan
from distribution.wsgi import LINGER_SECONDS
from registry_site.server.deadlines import deadlines
from registry_site.server.whole_files import buffers, whole_files

log = logging.getLogger(__name__)

Headers = list[tuple[str, str]]

WHOLE_MAX_BYTES = 2 * 1024 * 1024  # sent in one piece, as the largest page is
STREAMS_MAX = 64  # threads; each has a connection to the database while it runs
STREAM_PIECE_BYTES = 64 * 1024  # what a pipe holds
OPENING_SECONDS = 10.0

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


# --- streams


def _send_stream(proto: Any, status: int, headers: Headers, pieces: Any) -> None:
    if not _streams.acquire(blocking=False):
        pieces.close()
        busy = [("retry-after", "10"), ("content-type", "text/plain; charset=utf-8")]
        proto.response_str(503, busy, "Too many downloads at once. Try again.\n")
        return
    receiver, sender = os.pipe()
    os.set_blocking(sender, False)
    proto.response_file(status, headers, f"/dev/fd/{receiver}")
    threading.Thread(
        target=_stream, args=(pieces, receiver, sender), name="stream", daemon=True
    ).start()


def _stream(pieces: Any, receiver: int, sender: int) -> None:
    try:
        pipe = _Pipe(receiver, sender)
        try:
            for piece in _in_pieces(pieces):
                if not pipe.write(piece):
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


class _Pipe:
    """Writes to a pipe that Granian reads from, as fast as the client takes it."""

    def __init__(self, receiver: int, sender: int) -> None:
        self._receiver = receiver
        self._sender = sender
        self._window_started = time.monotonic()
        self._window_bytes = 0
        self._poll = select.poll()
        self._poll.register(sender, select.POLLOUT)

    def write(self, piece: bytes) -> bool:
        """Write all of it; False when the client went away or is too slow."""
        view = memoryview(piece)
        while view:
            try:
                written = os.write(self._sender, view)
            except BlockingIOError:
                if not self._wait():
                    return False
                continue
            except BrokenPipeError:
                return False
            self._window_bytes += written
            view = view[written:]
        return True

    def close(self) -> None:
        """End the stream."""
        os.close(self._sender)
        if self._receiver >= 0:
            # Granian may not have opened its own end yet.
            deadlines.enter(OPENING_SECONDS, self._close_receiver)

    def _wait(self) -> bool:
        window = settings.BERTH_TRANSFER_SECONDS
        left = self._window_started + window - time.monotonic()
        if left <= 0:
            if self._window_bytes < window * settings.BERTH_TRANSFER_RATE:
                return False
            self._window_started, self._window_bytes = time.monotonic(), 0
            left = window
        if self._poll.poll(left * 1000) and self._receiver >= 0:
            # Something was read: with our end closed, we notice when Granian's is.
            self._close_receiver()
        return True

    def _close_receiver(self) -> None:
        receiver, self._receiver = self._receiver, -1
        os.close(receiver)
