"""The API as a page, /api/docs/: what the OpenAPI document says, for people to read.

It depends on the code alone, as the document does, so it is made for the first reader
of a process and kept. It needs no script, and its links lead to its own places:

    #operation-user_tokens_create    an operation, within its group
    #object-IssuedToken              what a body consists of
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from api.kit.description import api_document

JSON = "application/json"
_CODE = re.compile(r"``?([^`]+)``?")
_CHOICE = re.compile(r"^\* `.*\n?", re.MULTILINE)  # of an enum, which has them already


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a member of an object."""

    name: str
    kind: SafeString
    notes: SafeString
    is_required: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    id: str
    method: str
    path: str
    summary: SafeString
    details: list[SafeString]
    is_open: bool
    parameters: list[Field]
    body: SafeString
    answers: list[tuple[str, SafeString]]
    refusals: list[str]


@require_safe
def show_reference(request: HttpRequest) -> HttpResponse:
    """Show all operations and objects of the API."""
    return render(request, "api_reference.html", {"reference": _render_reference()})


@lru_cache(maxsize=1)
def _render_reference() -> SafeString:
    return render_to_string("api_reference_parts.html", read_document(api_document()))


def read_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the groups of operations, and the objects by name, for the page."""
    schemas = document["components"]["schemas"]
    kinds = _Kinds(schemas)
    groups: dict[str, list[Operation]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            operation = _read_operation(method, path, described, kinds)
            groups[described["tags"][0]].append(operation)
    objects = {
        name: (_paragraphs(schema.get("description", "")), _members(schema, kinds))
        for name, schema in schemas.items()
        if kinds.has_place(name)
    }
    return {"groups": dict(groups), "objects": objects}


def _read_operation(
    method: str, path: str, described: Mapping[str, Any], kinds: "_Kinds"
) -> Operation:
    summary, *details = _paragraphs(described.get("description", "")) or [SafeString()]
    answers = described["responses"]
    return Operation(
        id=described["operationId"],
        method=method.upper(),
        path=path,
        summary=summary,
        details=details,
        is_open={} in described.get("security", []),
        parameters=[
            Field(
                name=parameter["name"],
                kind=kinds.name(parameter["schema"]),
                notes=_notes(parameter | {"in": _place(parameter["in"])}),
                is_required=parameter.get("required", False),
            )
            for parameter in described.get("parameters", [])
        ],
        body=kinds.name_content(described.get("requestBody", {})),
        answers=[
            (status, kinds.name_content(answer))
            for status, answer in answers.items()
            if status < "400"
        ],
        refusals=sorted(status for status in answers if status >= "400"),
    )


def _place(place: str) -> str:
    return _("in the path") if place == "path" else _("in the query")


def _members(schema: Mapping[str, Any], kinds: "_Kinds") -> list[Field]:
    required = schema.get("required", [])
    return [
        Field(name, kinds.name(member), _notes(member), name in required)
        for name, member in schema.get("properties", {}).items()
    ]


class _Kinds:
    """Says of a schema what it takes, with a link where that is an object."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self.schemas = schemas

    def has_place(self, name: str) -> bool:
        """Pages of a list and choices are said where they are used."""
        schema = self.schemas[name]
        return "enum" not in schema and self._listed(schema) is None

    def name_content(self, described: Mapping[str, Any]) -> SafeString:
        """Describe what a body consists of; its media type if that is not JSON."""
        content = described.get("content", {})
        if JSON in content:
            return self.name(content[JSON].get("schema", {}))
        return _joined(", ", content)

    def name(self, schema: Mapping[str, Any]) -> SafeString:
        """Return "list of Tag", "string", "one of read, write" and the like."""
        if "$ref" in schema:
            return self._name_component(schema["$ref"].rpartition("/")[2])
        for key in ("allOf", "oneOf", "anyOf"):
            if key in schema:
                return _joined(f" {_('or')} ", map(self.name, schema[key]))
        if "enum" in schema:
            choices = (choice for choice in schema["enum"] if choice not in {"", None})
            pieces = _joined(", ", (format_html("<code>{}</code>", c) for c in choices))
            return pieces and format_html(_("one of {}"), pieces)
        if "items" in schema:
            return format_html(_("list of {}"), self.name(schema["items"]))
        named = schema.get("format") or schema.get("type") or _("anything")
        return format_html("{}", named)

    def _name_component(self, name: str) -> SafeString:
        schema = self.schemas[name]
        listed = self._listed(schema)
        if listed is not None:
            return format_html(_("page of a list of {}"), self.name(listed))
        if "enum" in schema:
            return self.name(schema)
        return format_html('<a href="#object-{}">{}</a>', name, name)

    @staticmethod
    def _listed(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
        members = schema.get("properties", {})
        if members.keys() != {"next", "results"}:
            return None
        found: Mapping[str, Any] = members["results"]["items"]
        return found


def _notes(schema: Mapping[str, Any]) -> SafeString:
    """Describe in a line what else holds for a value."""
    inner = schema.get("schema", schema)
    limits = {
        _("at least {}"): inner.get("minimum"),
        _("at most {}"): inner.get("maximum"),
        _("length at least {}"): inner.get("minLength"),
        _("length at most {}"): inner.get("maxLength"),
        _("number of entries at least {}"): inner.get("minItems"),
        _("number of entries at most {}"): inner.get("maxItems"),
        _("pattern {}"): inner.get("pattern"),
        _("default {}"): inner.get("default"),
    }
    said = [
        *([schema["in"]] if "in" in schema else []),
        *([_("only shown")] if inner.get("readOnly") else []),
        *([_("can be null")] if inner.get("nullable") else []),
        *(
            format_html(text, format_html("<code>{}</code>", value))
            for text, value in limits.items()
            if value is not None
        ),
    ]
    words = _joined(" ", _paragraphs(schema.get("description", "")))
    return _joined(". ", filter(None, [_joined(", ", said), words]))


def _paragraphs(text: str) -> list[SafeString]:
    """Return the paragraphs of a docstring, with its code as code."""
    return [
        format_html_join(
            "",
            "{}{}{}",
            (
                (mark_safe("<code>"), piece, mark_safe("</code>"))
                if number % 2
                else ("", piece, "")
                for number, piece in enumerate(_CODE.split(part.strip()))
            ),
        )
        for part in _CHOICE.sub("", text).split("\n\n")
        if part.strip()
    ]


def _joined(separator: str, pieces: Iterable[str]) -> SafeString:
    return format_html_join(separator, "{}", ((piece,) for piece in pieces))
