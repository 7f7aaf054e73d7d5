"""Cuts long lists to what a page has room for, and counts what is left out. Pure.

What an image contains is while its pusher likes. A page shows a part and says
"and N more"; the exact bytes are one link away.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

ENTRIES_MAX = 100
CHARACTERS_MAX = 20_000  # of one list, so that a page of all lists stays small
TEXT_MAX_LENGTH = 1_000  # of one text

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Cut(Generic[Row]):
    """The first rows of a list, and how many are behind them."""

    rows: list[Row]
    more: int = 0

    @property
    def count(self) -> int:
        return len(self.rows) + self.more

    def __bool__(self) -> bool:
        return bool(self.rows)


def cut(
    rows: Iterable[Row],
    length_of: Callable[[Row], int] = lambda row: 0,
    *,
    most: int = ENTRIES_MAX,
) -> Cut[Row]:
    """Keep rows while there is room for their number and their text."""
    every = list(rows)
    room = CHARACTERS_MAX
    kept: list[Row] = []
    for row in every[:most]:
        room -= length_of(row)
        if room < 0:
            break
        kept.append(row)
    return Cut(kept, len(every) - len(kept))


def cut_pairs(pairs: Iterable[tuple[str, str]]) -> Cut[tuple[str, str]]:
    """Keep names with their values, and long ones in part."""
    short = ((cut_text(name), cut_text(value)) for name, value in pairs)
    return cut(short, lambda pair: len(pair[0]) + len(pair[1]))


def cut_texts(texts: Iterable[str]) -> Cut[str]:
    """Keep texts, and long ones in part."""
    return cut((cut_text(text) for text in texts), len)


def cut_text(text: str, most: int = TEXT_MAX_LENGTH) -> str:
    """Return a text, or its beginning and an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
