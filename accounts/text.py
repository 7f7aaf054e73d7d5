"""The grammar of text that people read: names, descriptions, labels. Pure.

What stands for a person or a thing has to be what it looks like. So text that people
enter is refused when it contains

    control and format characters      line breaks in a name, U+202E, U+200B, U+FEFF
    characters that look like nothing  Hangul fillers, the blank Braille pattern
    characters without a meaning       surrogates, private use, unassigned
    variation selectors                but for the one that makes a symbol an emoji
    combining marks without a letter   or more than MARKS_MAX on one letter

Joiners (U+200D, U+200C) are allowed where they change what is shown: in emoji, in
Arabic and after a virama. The rest is normalized: NFC, each space a plain one, no two
in a row, none at the ends. So texts that look equal are equal, except for letters of
two alphabets that look alike, which are not refused.

    clean_line(text)       a name or a label; raises TextUnclear
    clean_summary(text)    a short description; line breaks become spaces
    clean_paragraphs(text) a description; line breaks are allowed
    reveal(text)           text of others, with ⟨U+202E⟩ for what hides
"""

import re
import unicodedata

MARKS_MAX = 6  # on one letter; Tibetan and pointed Hebrew have up to five
ZERO_WIDTH_NON_JOINER, ZERO_WIDTH_JOINER = "\u200c", "\u200d"
EMOJI_SELECTORS = "\ufe0e\ufe0f"  # as text, as an emoji
KEYCAP = "\u20e3"
VIRAMA_CLASS = 9  # canonical combining class

# Default_Ignorable_Code_Point beyond category Cf, and what looks like a space.
_BLANK = frozenset(
    [
        *"\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc\ufffd",
        *map(chr, range(0x180B, 0x1810)),
        *map(chr, range(0xFE00, 0xFE10)),
        *map(chr, range(0xFFF0, 0xFFF9)),
        *map(chr, range(0x13430, 0x13456)),
        *map(chr, range(0x1BCA0, 0x1BCA4)),
        "\U0001d159",
        *map(chr, range(0x1D173, 0x1D17B)),
        *map(chr, range(0xE0000, 0xE1000)),
    ]
)
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SYMBOLS = frozenset("\u00a9\u00ae\u203c\u2049\u2122\u2139\u3030\u303d\u3297\u3299")
_FLAGS = re.compile(  # England, Scotland, Wales: the tags behind a black flag
    "\U0001f3f4"
    "(?:\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|"
    "\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073))\U000e007f"
)


class TextUnclear(ValueError):
    """Text with characters that hide or reorder; the message names the first."""


def clean_line(text: str) -> str:
    """Return a name or a label in its normal form, else raise TextUnclear."""
    text = " ".join(word for word in _normalized(text).split(" ") if word)
    _check(text, also_allowed="")
    return text


def clean_summary(text: str) -> str:
    """Return text of one line; line breaks become spaces. Else raise TextUnclear."""
    return clean_line(" ".join(text.splitlines()) if "\n" in text else text)


def clean_paragraphs(text: str) -> str:
    """Return text of several lines in its normal form, else raise TextUnclear."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = [_normalized(line).rstrip() for line in text.split("\n")]
    text = "\n".join(lines).strip()
    _check(text, also_allowed="\n")
    return text


def reveal(text: str) -> str:
    """Return the text with ⟨U+202E⟩ in the place of each character that is refused."""
    if text.isascii() and text.isprintable():
        return text
    refused = set(_refused(text, also_allowed="\n\t"))
    return "".join(
        f"⟨U+{ord(letter):04X}⟩" if position in refused else letter
        for position, letter in enumerate(text)
    )


def repair(text: str) -> str:
    """Return the text without the characters that are refused; for rows of before."""
    text = unicodedata.normalize("NFC", text)
    while refused := set(_refused(text, also_allowed="\n\t")):
        text = "".join(c for at, c in enumerate(text) if at not in refused)
    return text


def _normalized(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    return "".join(
        " " if c == "\t" or unicodedata.category(c) == "Zs" else c for c in text
    )


def _check(text: str, *, also_allowed: str) -> None:
    for position in _refused(text, also_allowed=also_allowed):
        letter = text[position]
        name = unicodedata.name(letter, "").lower() or "a character without a name"
        raise TextUnclear(
            f"U+{ord(letter):04X} ({name}) at position {position + 1} is not allowed: "
            "it is invisible, changes the direction of the text, or has no meaning here"
        )


def _refused(text: str, *, also_allowed: str) -> list[int]:
    """Return the positions of the characters that are refused."""
    if text.isascii() and text.isprintable():
        return []
    in_flags = {
        position
        for match in _FLAGS.finditer(text)
        for position in range(match.start() + 1, match.end())
    }
    refused = []
    marks = 0
    for position, letter in enumerate(text):
        is_mark = unicodedata.category(letter).startswith("M")
        marks = marks + 1 if is_mark else 0
        if letter in also_allowed or position in in_flags:
            continue
        if not _is_clear(text, position, letter) or (
            is_mark and (marks > MARKS_MAX or not _has_base(text, position))
        ):
            refused.append(position)
    return refused


def _is_clear(text: str, position: int, letter: str) -> bool:
    if letter in EMOJI_SELECTORS:
        return _is_emoji_selected(text, position)
    if letter == ZERO_WIDTH_JOINER:
        return _is_joined_emoji(text, position) or _follows_virama(text, position)
    if letter == ZERO_WIDTH_NON_JOINER:
        return _is_between_arabic(text, position) or _follows_virama(text, position)
    if letter in _BLANK:
        return False
    category = unicodedata.category(letter)
    if category == "Cn":  # new emoji and ideographs are newer than this Python
        return 0x1F000 <= ord(letter) < 0x1FB00 or 0x20000 <= ord(letter) < 0x3FFFE
    return category not in _REFUSED_CATEGORIES


def _is_pictograph(letter: str) -> bool:
    number = ord(letter) if letter else 0
    return (
        0x2190 <= number < 0x2C00 or 0x1F000 <= number < 0x1FB00 or letter in _SYMBOLS
    ) and letter not in _BLANK


def _is_emoji_selected(text: str, position: int) -> bool:
    before, after = text[position - 1 : position], text[position + 1 : position + 2]
    is_keycap = before != "" and before in "0123456789#*" and after == KEYCAP
    return is_keycap or _is_pictograph(before)


def _is_joined_emoji(text: str, position: int) -> bool:
    before = text[position - 1 : position]
    if before == "\ufe0f":
        before = text[position - 2 : position - 1]
    return _is_pictograph(before) and _is_pictograph(text[position + 1 : position + 2])


def _is_between_arabic(text: str, position: int) -> bool:
    def is_arabic(letter: str) -> bool:
        return letter != "" and unicodedata.bidirectional(letter) == "AL"

    before = text[max(0, position - MARKS_MAX) : position].rstrip(
        "\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652"
    )
    return is_arabic(before[-1:]) and is_arabic(text[position + 1 : position + 2])


def _follows_virama(text: str, position: int) -> bool:
    before, after = text[position - 1 : position], text[position + 1 : position + 2]
    return (
        before != ""
        and unicodedata.combining(before) == VIRAMA_CLASS
        and after != ""
        and unicodedata.category(after).startswith("L")
    )


def _has_base(text: str, position: int) -> bool:
    """Return whether a combining mark stands on a visible character."""
    before = text[position - 1 : position] if position else ""
    if before in {ZERO_WIDTH_JOINER, ZERO_WIDTH_NON_JOINER}:
        return True  # where they are allowed
    return before != "" and unicodedata.category(before)[0] in "LNSPM"
