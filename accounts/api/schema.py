"""How the API describes itself (OpenAPI, /api/schema/)."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class ApiSchema(AutoSchema):
    """Knows a list by what the view says of itself, and not by its base class."""

    def _is_list_view(self, serializer: Any = None) -> bool:
        return self.method == "GET" and bool(getattr(self.view, "is_list", False))


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.api.authentication.TokenAuthentication"
    name = "accessToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
