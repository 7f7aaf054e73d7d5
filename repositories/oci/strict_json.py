"""Parses JSON that every parser reads in the same way (RFC 8259, RFC 7493). Pure.

Manifests are read by many programs. A document is refused when two of them could see
different things in it:

    a key twice in one object               some take the first value, some the last
    keys that differ only by case           Go's encoding/json takes either of them
    half a surrogate pair, a NUL character  not text; databases refuse it
    integers beyond 64 bits, 1e999, NaN     read as something else, or not at all
    deep nesting, very many values          costs memory and time to walk
"""

import json
import math
import re
from collections.abc import Iterable
from typing import Any

DEPTH_MAX = 64  # manifests of the image-spec have six levels
VALUES_MAX = 50_000  # 2,000 references with two dozen members each
BRACKETS_MAX = 200_000  # also those in texts; what has more is not even parsed
INTEGER_MAX = 2**64 - 1
INTEGER_MIN = -(2**63)

# Maps whose keys are data. Go reads them as maps, which are case-sensitive.
MAPS = frozenset({"annotations"})

# How a text can come to hold what is not text; raw bytes of it are not UTF-8 or JSON.
_escape_of_no_text = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_no_text = re.compile("[\0\ud800-\udfff]")


class JsonRefused(ValueError):
    """A text that is not JSON, or that parsers read differently; says why."""


def parse_json(content: bytes, *, are_keys_data: bool = False) -> Any:
    """Return the value, else JsonRefused.

    With ``are_keys_data``, keys that differ only by case are taken in every object.
    """
    if content.count(b"[") + content.count(b"{") > BRACKETS_MAX:
        raise JsonRefused(f"nested too deeply, or more than {VALUES_MAX} values")
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
        )
    except JsonRefused:
        raise
    except RecursionError as error:
        raise JsonRefused("nested too deeply") from error
    except ValueError as error:  # JSON, UTF-8, or an absurdly long number
        raise JsonRefused(f"not valid JSON: {str(error)[:200]}") from error
    _check(
        value,
        has_escapes=_escape_of_no_text.search(content) is not None,
        are_keys_data=are_keys_data,
    )
    return value


def refuse_other_spellings(
    members: Iterable[str], known: frozenset[str], where: str = ""
) -> None:
    """Refuse a key that only a case-insensitive parser takes for a known member."""
    for member in members:
        if member not in known and member.casefold() in _folded(known):
            place = f"{where}: " if where else ""
            raise JsonRefused(f"{place}'{member[:40]}' is another spelling of a member")


def _folded(names: frozenset[str]) -> frozenset[str]:
    if names not in _folded_names:
        _folded_names[names] = frozenset(name.casefold() for name in names)
    return _folded_names[names]


_folded_names: dict[frozenset[str], frozenset[str]] = {}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JsonRefused("a member is given twice")
    return members


def _refuse_constant(name: str) -> None:
    raise JsonRefused(f"{name} is not JSON")


def _check(value: Any, *, has_escapes: bool, are_keys_data: bool) -> None:
    """Walk all values, level by level."""
    level: list[tuple[str, Any]] = [("", value)]
    count = 0
    for _ in range(DEPTH_MAX):
        below: list[tuple[str, Any]] = []
        for name, found in level:
            if not isinstance(found, (dict, list)):
                _check_leaf(found, has_escapes)
                continue
            count += len(found)
            if count > VALUES_MAX:
                raise JsonRefused(f"more than {VALUES_MAX} values")
            if isinstance(found, dict):
                _check_keys(found, has_escapes, are_keys_data or name in MAPS)
                below += found.items()
            else:
                below += [("", item) for item in found]
        if not below:
            return
        level = below
    raise JsonRefused(f"nested too deeply: more than {DEPTH_MAX} levels")


def _check_keys(
    members: dict[str, Any], has_escapes: bool, may_differ_by_case: bool
) -> None:
    if has_escapes:
        for member in members:
            _check_text(member)
    if may_differ_by_case:
        return
    if len({member.casefold() for member in members}) != len(members):
        raise JsonRefused("two members differ only by case")


def _check_leaf(value: Any, has_escapes: bool) -> None:
    if isinstance(value, str):
        if has_escapes:
            _check_text(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise JsonRefused("a number is out of range")
    elif isinstance(value, int) and not INTEGER_MIN <= value <= INTEGER_MAX:
        raise JsonRefused("an integer has more than 64 bits")


def _check_text(text: str) -> None:
    if _no_text.search(text):
        raise JsonRefused("a text holds a NUL character or half of a surrogate pair")
