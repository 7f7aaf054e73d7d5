"""Refuses names and types in a body that no field has."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rest_framework import exceptions
from rest_framework.exceptions import ErrorDetail
from rest_framework.serializers import (
    BooleanField,
    CharField,
    ChoiceField,
    DateTimeField,
    Field,
    IntegerField,
    ListField,
    Serializer,
)

JSON_TYPES: list[tuple[tuple[type[Field[Any, Any, Any, Any]], ...], set[type], str]] = [
    ((CharField, ChoiceField, DateTimeField), {str}, "this is not text"),
    ((BooleanField,), {bool}, "must be true or false"),
    ((IntegerField,), {int}, "this is not a whole number"),
]
# What changes without anybody's PATCH: sent back, it may be old already.
CHANGES_BY_ITSELF = ("_count", "_bytes", "_at")
NAMES_MAX = 10  # unknown names in one answer
NAME_SHOWN_MAX = 100  # characters of an unknown name


def check_names(reader: Serializer[Any], shown: Mapping[str, Any]) -> None:
    """Raise ValidationError for fields that no one would listen to.

    A misspelt limit would be no limit: ``tag`` for ``tags`` is all tags.
    """
    errors = _wrong_names(reader, reader.initial_data, shown)
    if errors:
        raise exceptions.ValidationError(errors)


def _wrong_names(
    reader: Serializer[Any], body: Any, shown: Mapping[str, Any]
) -> dict[str, Any]:
    if not isinstance(body, dict):
        return {}  # the serializer says so
    fields = {n: f for n, f in reader.fields.items() if not f.read_only}
    only_read = set(shown) | {n for n, f in reader.fields.items() if f.read_only}
    unknown: list[str] = []
    errors: dict[str, Any] = {}
    for name, value in body.items():
        field = fields.get(name)
        if isinstance(field, Serializer):
            inner = _wrong_names(field, value, {})
            if inner:
                errors[name] = inner
        elif field is None and name not in only_read:
            unknown.append(name)
        elif field is None and not _is_as_shown(name, value, shown):
            message = "this field is read-only"
            errors[name] = [ErrorDetail(message, "read_only")]
    return errors | unknown_names(unknown, fields, "unknown_field", "field")


def _is_as_shown(name: str, value: Any, shown: Mapping[str, Any]) -> bool:
    if name not in shown:
        return False
    return value == shown[name] or name.endswith(CHANGES_BY_ITSELF)


def unknown_names(
    names: list[str], known: Iterable[str], code: str, what: str
) -> dict[str, Any]:
    """Return an error for each name, with what is known instead."""
    instead = ", ".join(sorted(known)) or "none"
    message = f"there is no such {what}; known here: {instead}"
    return {
        _printable(name): [ErrorDetail(message, code)] for name in names[:NAMES_MAX]
    }


def _printable(name: str) -> str:
    """Return a name as it can be sent; JSON lets half a character through."""
    return name[:NAME_SHOWN_MAX].encode(errors="replace").decode()


def check_types(reader: Serializer[Any]) -> None:
    """Raise ValidationError for a number where text belongs, and the like.

    JSON has types; serializers, which also read forms, would take the one for the
    other.
    """
    errors = dict(_wrong_types(reader, reader.initial_data))
    if errors:
        raise exceptions.ValidationError(errors)


def _wrong_types(reader: Serializer[Any], body: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(body, dict):
        return  # the serializer says so
    for name, field in reader.fields.items():
        value = body.get(name)
        if value is None or field.read_only:
            continue
        if isinstance(field, Serializer):
            inner = dict(_wrong_types(field, value))
            if inner:
                yield name, inner
            continue
        values, one = [value], field
        if isinstance(field, ListField) and isinstance(value, list):
            values, one = value, field.child
        for kinds, wanted, told in JSON_TYPES:
            if isinstance(one, kinds) and not all(type(v) in wanted for v in values):
                yield name, [told]
