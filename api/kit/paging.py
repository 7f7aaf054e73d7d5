"""Lists by cursor: ``{"results": […], "next": url | null}`` (interfaces.md)."""

import re
from typing import Any

from django.core.exceptions import ValidationError as InvalidPosition
from django.db import DataError
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response


def page_size_of(request: Request, *, default: int, most: int) -> int:
    """Return how many rows are asked for, at most so many; else ValidationError."""
    text = request.query_params.get("page_size")
    if text is None:
        return default
    if not re.fullmatch(r"0*[1-9][0-9]{0,99}", text):
        raise ValidationError({"page_size": "this is not a number of rows"})
    return min(int(text), most)


class ByCursor(CursorPagination):
    """Pages that stay right while rows come and go."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    ordering = "pk"

    def get_page_size(self, request: Request) -> int:
        return page_size_of(request, default=self.page_size, most=self.max_page_size)

    def paginate_queryset(
        self, queryset: Any, request: Request, view: Any = None
    ) -> list[Any] | None:
        """Return the page; a cursor that was not ours, or was tampered with, is 404."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, OverflowError, InvalidPosition, DataError) as error:
            raise NotFound(self.invalid_cursor_message) from error

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {"type": "string", "nullable": True, "format": "uri"},
            },
        }
