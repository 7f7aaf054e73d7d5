"""Globs that limit to tags: ``*``, ``?``, ``[abc]``, ``[a-z]`` and ``[!a]``. Pure.

A glob is as people with a role write it, and each tag is compared with each glob. The
comparison remembers only the last star, so it takes at most as many steps as glob and
tag have pairs of characters, and it compiles and keeps nothing.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Set:
    """The characters between brackets."""

    members: str
    ranges: tuple[tuple[str, str], ...]
    is_negated: bool

    def has(self, letter: str) -> bool:
        is_in = letter in self.members or any(
            first <= letter <= last for first, last in self.ranges
        )
        return is_in is not self.is_negated


_STAR, _ANY = object(), object()


def matches(glob: str, text: str) -> bool:
    """Return whether the whole text is as the glob says; case counts."""
    parts = _parts_of(glob)
    at = place = 0
    star, retried_at = -1, 0
    while at < len(text):
        if place < len(parts) and parts[place] is _STAR:
            star, retried_at = place, at
            place += 1
        elif place < len(parts) and _is_matched(parts[place], text[at]):
            place += 1
            at += 1
        elif star >= 0:
            place, retried_at = star + 1, retried_at + 1
            at = retried_at
        else:
            return False
    return all(part is _STAR for part in parts[place:])


def _is_matched(part: object, letter: str) -> bool:
    if isinstance(part, _Set):
        return part.has(letter)
    return part is _ANY or part == letter


def _parts_of(glob: str) -> list[object]:
    parts: list[object] = []
    place = 0
    while place < len(glob):
        letter = glob[place]
        place += 1
        if letter == "*":
            if not parts or parts[-1] is not _STAR:
                parts.append(_STAR)
        elif letter == "?":
            parts.append(_ANY)
        elif letter == "[" and (end := _end_of_set(glob, place)) >= 0:
            parts.append(_set_of(glob[place:end]))
            place = end + 1
        else:
            parts.append(letter)
    return parts


def _end_of_set(glob: str, place: int) -> int:
    """Return where the bracket closes; a first one inside stands for itself."""
    inside = place + glob.startswith("!", place)
    return glob.find("]", inside + 1)


def _set_of(text: str) -> _Set:
    is_negated = text.startswith("!")
    text = text.removeprefix("!")
    members, ranges = "", []
    place = 0
    while place < len(text):
        if text[place + 1 : place + 2] == "-" and place + 2 < len(text):
            ranges.append((text[place], text[place + 2]))
            place += 3
        else:
            members += text[place]
            place += 1
    return _Set(members, tuple(ranges), is_negated)
