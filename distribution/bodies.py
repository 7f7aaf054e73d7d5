"""Request bodies, taken piece by piece without waiting for the network (DJ-1).

Django's own ``request.read()`` stops at Content-Length and so returns nothing for a
chunked body, and ``request.body`` takes it into memory. Nothing else in Berth reads a
body on the protocol routes.

What reads a body is a generator. It yields how many bytes it would like and is sent
them; ``b""`` is the end. Between two pieces it runs in no thread, so a slow client
holds none, and the next piece may come in another thread: no transaction is open and
nothing of a thread is kept while it waits.

    def put_manifest(call, reference):
        payload = yield from Body(call.request).read_whole(limit)

The server (registry_site/server/) sends the pieces. ``receive`` does it for a file that
blocks, as plain WSGI servers have it.

A body with Content-Length that ends early is an error here. A chunked body that the
client cut off looks like a clean end (Granian has no word for it), so what arrived
counts, and only a digest or valid JSON makes it a whole.
"""

from collections.abc import Callable, Generator
from typing import TypeVar

from django.http import HttpRequest

from distribution.errors import RequestInvalid, RequestTimeout, SizeInvalid

T = TypeVar("T")
Receiving = Generator[int, bytes, T]

WAS_READ = "berth.body_was_read"  # set in the environ; see distribution/wsgi.py
PIECE_BYTES = 256 * 1024  # measured: smaller costs calls, larger costs memory


class BodyCutOff(SizeInvalid):
    """The client promised more bytes than it sent."""

    default_message = "the body ended before its Content-Length"


class BodyTooSlow(RequestTimeout, BodyCutOff):
    """The client stopped sending, or sent less than the least rate."""

    default_message = "the body arrived too slowly"


class Body:
    """One request's body; may be read once.

    ``length_bytes`` is None for a chunked body.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._environ = request.META
        chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
        self.length_bytes = None if chunked else _content_length(request)
        self._left = self.length_bytes

    @property
    def is_empty(self) -> bool:
        """Return whether there is surely nothing; a chunked body has to be read."""
        return self.length_bytes == 0

    def next_piece(self) -> Receiving[bytes]:
        """Return the next bytes, none at the end; raises BodyCutOff."""
        if self._left == 0:
            self._environ[WAS_READ] = True
            return b""
        wanted = self._left or PIECE_BYTES
        piece = yield min(PIECE_BYTES, wanted)
        if self._left is not None:
            if not piece:
                raise BodyCutOff
            self._left -= len(piece)
        if not piece or self._left == 0:
            self._environ[WAS_READ] = True
        return piece

    def read_whole(self, limit_bytes: int) -> Receiving[bytes | None]:
        """Return the body, or None as soon as it is longer than the limit."""
        if self.length_bytes is not None and self.length_bytes > limit_bytes:
            return None
        pieces: list[bytes] = []
        size_bytes = 0
        while piece := (yield from self.next_piece()):
            pieces.append(piece)
            size_bytes += len(piece)
            if size_bytes > limit_bytes:
                return None
        return b"".join(pieces)


def receive(receiving: Receiving[T], read: Callable[[int], bytes]) -> T:
    """Run what reads a body to its end with a function that waits for bytes."""
    try:
        wanted = next(receiving)
        while True:
            try:
                piece = read(wanted)
            except OSError:  # the connection broke
                piece = b""
            wanted = receiving.send(piece)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        receiving.close()


def _content_length(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    if not (text.isascii() and text.isdigit()):
        raise RequestInvalid("Content-Length is not a number of bytes")
    return int(text)
