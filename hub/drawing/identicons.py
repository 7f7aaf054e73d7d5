"""The picture of a repository: containers on a quay, drawn from its name. Pure.

Four columns of one to four containers, each at one of three strengths, in one of eight
paints; the same name has the same picture everywhere, and no one uploads anything.
"""

import hashlib

PAINTS = 8
_COLUMNS, _HIGHEST = 4, 4
_STRENGTHS = ("", ' opacity=".62"', ' opacity=".34"')


def paint_of(name: str) -> int:
    """Return the number of the paint, 1 to 8, that a name always has."""
    return hashlib.sha256(name.encode()).digest()[0] % PAINTS + 1


def draw_mark(name: str) -> str:
    """Return the rectangles of a name's mark, for a box of 40 by 40."""
    chance = iter(hashlib.sha256(name.encode()).digest()[1:])
    rectangles = []
    for column in range(_COLUMNS):
        height = next(chance) % _HIGHEST + 1
        for level in range(height):
            x, y = 4.5 + 8 * column, 28 - 7 * level
            strength = _STRENGTHS[next(chance) % len(_STRENGTHS)]
            rectangles.append(
                f'<rect x="{x}" y="{y}" width="7" height="6" rx="1"{strength}/>'
            )
    return "".join(rectangles)
