"""The Range header of a request (RFC 9110 §14). Pure."""

import re

_range = re.compile(r"bytes=\s*([0-9]*)-([0-9]*)\s*")
NUMBER_MAX_LENGTH = 18  # digits; no blob is longer, and int() stays quick


class RangeUnsatisfiable(ValueError):
    """A range that begins behind the end, or ends before it begins."""


def parse_range(header: str, size_bytes: int) -> tuple[int, int] | None:
    """Return start and length of the one range that is asked for.

    None means that the whole is to be sent: no bytes range, several of them, or one
    that cannot be read. ``a > b`` is answered like a start behind the end (BLOB-3).
    """
    match = _range.fullmatch(header.strip())
    if match is None:
        return None
    first, last = match.groups()
    if (not first and not last) or max(len(first), len(last)) > NUMBER_MAX_LENGTH:
        return None
    if not first:
        length = min(int(last), size_bytes)
        if length == 0:
            raise RangeUnsatisfiable
        return size_bytes - length, length
    start = int(first)
    end = int(last) if last else size_bytes - 1
    if start >= size_bytes or end < start:
        raise RangeUnsatisfiable
    return start, min(end, size_bytes - 1) - start + 1
