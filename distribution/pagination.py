"""``n`` and ``last``: pages of sorted names (TAG-3)."""

import json
from collections.abc import Mapping

from distribution.errors import PaginationNumberInvalid

PAGE_MAX = 1000  # rows in memory at once; also the page of one who asks for none


def page_size(
    query: Mapping[str, str], default: int = PAGE_MAX, *, largest: int = PAGE_MAX
) -> int:
    """Return how many results to give at most; too large a wish is cut down."""
    text = query.get("n")
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit()):
        raise PaginationNumberInvalid(f"n is not a number of results: '{text[:40]}'")
    return largest if len(text) > 9 else min(int(text), largest)


def render_names(**members: str | list[str]) -> bytes:
    """Return a page's body; a list of nothing is [] and never null (TAG-1)."""
    return json.dumps(members, separators=(",", ":")).encode()
