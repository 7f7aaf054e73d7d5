"""Request bodies, read piece by piece from the server (DJ-1).

Django's own ``request.read()`` stops at Content-Length and so returns nothing for a
chunked body, and ``request.body`` takes it into memory. Nothing else in Berth reads a
body on the protocol routes.

A body with Content-Length that ends early is an error here. A chunked body that the
client cut off looks like a clean end (Granian, and WSGI, have no word for it), so what
arrived counts, and only a digest or valid JSON makes it a whole.
"""

from collections.abc import Iterator

from django.http import HttpRequest

from distribution.errors import RequestInvalid, SizeInvalid

WAS_READ = "berth.body_was_read"  # set in the environ; see distribution/wsgi.py
PIECE_BYTES = 256 * 1024  # measured: smaller costs calls, larger costs memory


class BodyCutOff(SizeInvalid):
    """The client promised more bytes than it sent."""

    default_message = "the body ended before its Content-Length"


class Body:
    """One request's body; may be iterated over once.

    ``length_bytes`` is None for a chunked body.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._environ = request.META
        self._input = request.META["wsgi.input"]
        chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
        self.length_bytes = None if chunked else _content_length(request)

    @property
    def is_empty(self) -> bool:
        """Tell whether there is surely nothing; a chunked body has to be read."""
        return self.length_bytes == 0

    def __iter__(self) -> Iterator[bytes]:
        left = self.length_bytes
        while left is None or left > 0:
            piece = self._read(PIECE_BYTES if left is None else min(PIECE_BYTES, left))
            if not piece:
                break
            if left is not None:
                left -= len(piece)
            yield piece
        if left:
            raise BodyCutOff
        self._environ[WAS_READ] = True

    def read_whole(self, limit_bytes: int) -> bytes | None:
        """Return the body, or None as soon as it is longer than the limit."""
        if self.length_bytes is not None and self.length_bytes > limit_bytes:
            return None
        pieces: list[bytes] = []
        size_bytes = 0
        for piece in self:
            size_bytes += len(piece)
            if size_bytes > limit_bytes:
                return None
            pieces.append(piece)
        return b"".join(pieces)

    def _read(self, size_bytes: int) -> bytes:
        try:
            piece: bytes = self._input.read(size_bytes)
            return piece
        except OSError as error:  # the connection broke
            raise BodyCutOff from error


def _content_length(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    if not (text.isascii() and text.isdigit()):
        raise RequestInvalid("Content-Length is not a number of bytes")
    return int(text)
