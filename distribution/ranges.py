"""Ranges of a blob: the Range header and the parts of its answer (RFC 9110 §14). Pure.

    Range                        answer for a blob of 2000 bytes
    (none), malformed, lines=…   200, the whole blob
    bytes=0-, bytes=500-1499     206 with Content-Range, also if it is everything
    bytes=0-9,5-14               206 with Content-Range: bytes 0-14/2000
    bytes=0-9,50-59              206 multipart/byteranges with two parts
    bytes=0-9,10-19              the same: podman wants each range that it asked for
    bytes=0-9,5000-              206 with Content-Range: bytes 0-9/2000
    bytes=5000-, bytes=9-3       416 with Content-Range: bytes */2000
    more than RANGES_MAX parts   200, the whole blob

``parse_ranges`` returns spans; ``Multipart`` returns what a body of several spans
consists of; ``MultipartPieces`` reads it. Views open files, this module does not.
"""

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

_SPECIFIER = re.compile(r"[ \t]*([A-Za-z]+)[ \t]*=(.*)", re.DOTALL)
_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
_WHITESPACE = " \t"  # RFC 9110 OWS; str.strip() would take more

RANGES_MAX = 64  # stargz-snapshotter and podman send dozens; podman needs 64
NUMBER_MAX_DIGITS = 18  # no blob is longer, and int() stays quick
_BEHIND_EVERY_END: int = 10**NUMBER_MAX_DIGITS


class RangeUnsatisfiable(ValueError):
    """No range of the header overlaps the blob."""


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive bytes of a blob; never empty."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """The position behind the last byte."""
        return self.start + self.length

    def content_range(self, size_bytes: int) -> str:
        """Return the value of Content-Range for a blob of this size."""
        return f"bytes {self.start}-{self.end - 1}/{size_bytes}"


def ranges_of(
    environ: Mapping[str, str], etag: str, size_bytes: int
) -> list[Span] | None:
    """Return the spans that a GET asks for; None means the whole blob.

    A Range next to an If-Range counts only if that is the blob's own strong entity tag.
    A weak one, another one and any date do not match (RFC 9110 §13.1.5).
    """
    header = environ.get("HTTP_RANGE")
    condition = environ.get("HTTP_IF_RANGE")
    if header is None:
        return None
    if condition is not None and condition.strip(_WHITESPACE) != etag:
        return None
    return parse_ranges(header, size_bytes)


def parse_ranges(header: str, size_bytes: int) -> list[Span] | None:
    """Return the spans of a Range header, in its order; None means the whole blob.

    Overlapping spans become one, at the place of the first of them. Adjacent ones stay
    apart: podman takes the n-th part for the n-th range that it asked for. Only if
    there are more than RANGES_MAX, adjacent ones become one, too.
    Ranges behind the end, and those that end before they begin (BLOB-3), are left out;
    if no range is left, RangeUnsatisfiable is raised.
    """
    specifier = _SPECIFIER.fullmatch(header)
    if specifier is None or specifier[1].lower() != "bytes":
        return None
    members = [member.strip(_WHITESPACE) for member in specifier[2].split(",")]
    members = [member for member in members if member]
    spans: list[Span] = []
    for member in members:
        match = _RANGE.fullmatch(member)
        if match is None or member == "-":
            return None
        span = _span(match[1], match[2], size_bytes)
        if span is not None:
            spans.append(span)
    if not members:
        return None
    if not spans:
        raise RangeUnsatisfiable
    merged = _merge(spans)
    if len(merged) > RANGES_MAX:
        merged = _merge(spans, with_adjacent=True)
    return merged if len(merged) <= RANGES_MAX else None


@dataclass(frozen=True, slots=True)
class Multipart:
    """The body of a 206 with several spans (RFC 9110 §14.6)."""

    spans: list[Span]
    size_bytes: int
    content_type: str
    boundary: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def header(self) -> str:
        """The answer's Content-Type."""
        return f"multipart/byteranges; boundary={self.boundary}"

    @property
    def length_bytes(self) -> int:
        """The answer's Content-Length."""
        delimiters = [part for part in self if isinstance(part, bytes)]
        length = sum(len(delimiter) for delimiter in delimiters)
        return length + sum(span.length for span in self.spans)

    def __iter__(self) -> Iterator[bytes | Span]:
        """Yield the body: bytes as they are, and spans whose bytes belong there."""
        delimiter = f"--{self.boundary}"
        for span in self.spans:
            yield (
                f"{delimiter}\r\nContent-Type: {self.content_type}\r\n"
                f"Content-Range: {span.content_range(self.size_bytes)}\r\n\r\n"
            ).encode("ascii")
            yield span
            delimiter = f"\r\n--{self.boundary}"
        yield f"\r\n--{self.boundary}--\r\n".encode("ascii")


class MultipartPieces(Iterator[bytes]):
    """A multipart body, read piece by piece; one span at a time is open.

    ``open_span`` returns the bytes of a span as an iterator with ``close()``. The first
    span is opened at once, so that a failure shows before the answer begins.
    """

    def __init__(
        self, body: Multipart, open_span: Callable[[Span], Iterator[bytes]]
    ) -> None:
        self._parts = iter(body)
        self._open_span = open_span
        self._opened: Iterator[bytes] | None = open_span(body.spans[0])
        self._is_reading = False

    def __next__(self) -> bytes:
        while True:
            if self._is_reading and self._opened is not None:
                piece = next(self._opened, None)
                if piece is not None:
                    return piece
                self.close()
            part = next(self._parts)
            if isinstance(part, bytes):
                return part
            if self._opened is None:
                self._opened = self._open_span(part)
            self._is_reading = True

    def close(self) -> None:
        """Close the span that is open."""
        opened, self._opened = self._opened, None
        self._is_reading = False
        if opened is not None and hasattr(opened, "close"):
            opened.close()


def _span(first: str, last: str, size_bytes: int) -> Span | None:
    """Return one range within the blob; None if no byte of the blob is in it."""
    if not first:
        length = min(_number(last), size_bytes)
        return Span(size_bytes - length, length) if length else None
    start = _number(first)
    end = min(_number(last) + 1, size_bytes) if last else size_bytes
    return Span(start, end - start) if start < end else None


def _number(digits: str) -> int:
    digits = digits.lstrip("0")
    if len(digits) > NUMBER_MAX_DIGITS:
        return _BEHIND_EVERY_END
    return int(digits or "0")


def _merge(spans: list[Span], *, with_adjacent: bool = False) -> list[Span]:
    """Return the spans without overlaps; each keeps the place of its first member."""
    by_start = sorted(range(len(spans)), key=lambda place: spans[place].start)
    merged: list[tuple[int, Span]] = []
    for place in by_start:
        span = spans[place]
        if merged and span.start < merged[-1][1].end + with_adjacent:
            first_place, before = merged.pop()
            end = max(before.end, span.end)
            place = min(place, first_place)
            span = Span(before.start, end - before.start)
        merged.append((place, span))
    return [span for _, span in sorted(merged, key=lambda entry: entry[0])]
