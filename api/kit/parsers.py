"""Reads the bodies of the API: JSON as RFC 8259 has it, in UTF-8, and nothing else.

Python's reader takes more than JSON, and less than a client can send. What is refused
here can be stored nowhere, or means one thing to Berth and another to the next reader:

    NaN, Infinity, 1e999         no JSON, or no number that JSON can write
    a member given twice         readers differ in which one counts
    half of a surrogate pair     no text: UTF-8 cannot write it
    NUL                          PostgreSQL takes none
    a number beyond 64 bits      no column holds it
    more than DEPTH_MAX levels   no field of the API has ten
"""

import json
import math
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

DEPTH_MAX = 64
INTEGER_MAX = 2**63 - 1


class StrictJSONParser(JSONParser):
    """The parser of every view of the API."""

    def parse(
        self, stream: Any, media_type: Any = None, parser_context: Any = None
    ) -> Any:
        """Return the body; raise ParseError, which is answered with 400."""
        try:
            return read_json(stream.read())
        except ValueError as error:
            raise ParseError(f"the body is not JSON: {str(error)[:200]}") from error


class AnyJSONParser(StrictJSONParser):
    """Takes JSON whatever its Content-Type: receivers do not all say what they send."""

    media_type = "*/*"


def read_json(content: bytes) -> Any:
    """Return what JSON says. Raises ValueError with a reason."""
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_of_64_bits,
        )
        _check(value, 0)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value


def _check(value: Any, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise ValueError("it is nested too deeply")
    match value:
        case dict():
            for name, inner in value.items():
                _check_text(name)
                _check(inner, depth + 1)
        case list():
            for inner in value:
                _check(inner, depth + 1)
        case str():
            _check_text(value)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise ValueError("a text has a NUL character")
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("a text has half of a surrogate pair")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _of_64_bits(text: str) -> int:
    if len(text) > 20 or abs(number := int(text)) > INTEGER_MAX:
        raise ValueError("a number is too large")
    return number
