"""Lists by cursor: ``{"results": […], "next": url | null}`` (interfaces.md)."""

from typing import Any

from rest_framework.pagination import CursorPagination
from rest_framework.response import Response


class ByCursor(CursorPagination):
    """Pages that stay right while rows come and go."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    ordering = "pk"

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
