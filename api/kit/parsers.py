"""Reads the bodies of the API: JSON as RFC 8259 has it, in UTF-8, and nothing else.

repositories/oci/strict_json.py refuses what parsers read differently, what is not text
and what is nested too deeply. The API also refuses integers that no column of a
database holds: more than 64 bits with the sign.
"""

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from repositories.oci.strict_json import JsonRefused, parse_json

INTEGER_MAX = 2**63 - 1


class StrictJSONParser(JSONParser):
    """The parser of every view of the API."""

    def parse(
        self, stream: Any, media_type: Any = None, parser_context: Any = None
    ) -> Any:
        """Return the body; raise ParseError, which is answered with 400."""
        try:
            return read_json(stream.read())
        except JsonRefused as error:
            reason = str(error).removeprefix("not valid JSON: ")
            raise ParseError(f"the body is not JSON: {reason[:200]}") from error


class AnyJSONParser(StrictJSONParser):
    """Takes JSON whatever its Content-Type: receivers do not all say what they send."""

    media_type = "*/*"


def read_json(content: bytes) -> Any:
    """Return the value of a body, else JsonRefused.

    Keys may differ only by case: the names of headers, for example, are data.
    """
    value = parse_json(content, are_keys_data=True)
    _refuse_large_integers(value)
    return value


def _refuse_large_integers(value: Any) -> None:
    match value:
        case dict():
            for inner in value.values():
                _refuse_large_integers(inner)
        case list():
            for inner in value:
                _refuse_large_integers(inner)
        case int() if abs(value) > INTEGER_MAX:
            raise JsonRefused("a number is too large")
