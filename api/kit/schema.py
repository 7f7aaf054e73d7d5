"""How the API describes itself (OpenAPI, /api/schema/)."""

from http import HTTPStatus
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent


class ApiSchema(AutoSchema):
    """Recognizes a list by its view's declaration, not by the base class."""

    def _is_list_view(self, serializer: Any = None) -> bool:
        return self.method == "GET" and bool(getattr(self.view, "is_list", False))

    view: Any  # an ApiView (api/kit/views.py)

    def get_override_parameters(self) -> list[Any]:
        """Describe what the view says that it takes."""
        return list(self.view.parameters) if self.method == "GET" else []

    def get_filter_backends(self) -> list[Any]:
        """Describe the filters of what is no list too: exports are narrowed alike."""
        if self.method != "GET" or self.view.filterset_class is None:
            return []
        return list(self.view.filter_backends)

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        """Report that a body has no other fields, since others are refused."""
        schema: Any = super()._map_basic_serializer(  # type: ignore[no-untyped-call]
            serializer, direction
        )
        if direction == "request" and not self.view.takes_unknown:
            schema["additionalProperties"] = False
        return schema

    def get_auth(self) -> list[dict[str, Any]]:
        """Report that signing in is optional where those who did not may read."""
        auth: list[dict[str, Any]] = super().get_auth()
        flag = "for_anonymous" if self.method == "GET" else "takes_from_anonymous"
        is_open = getattr(self.view, flag, False)
        return [*auth, {}] if is_open else auth

    def get_operation(self, *arguments: Any, **options: Any) -> Any:
        """Add the refusals, which are the same for every operation of a kind."""
        operation: Any = super().get_operation(*arguments, **options)
        if operation is None:  # one that is left out, such as the schema's own
            return None
        for parameter in operation.get("parameters", ()):
            if parameter["name"] == "page_size":
                parameter["schema"] |= {"type": "integer", "minimum": 1}
        # 405: what is no id below a repository reads as part of a longer name.
        statuses = [400, 401, 403, 404, 405, 406, 429]
        if self.method != "GET":
            statuses += [409]
        if self.method not in {"GET", "DELETE"}:
            statuses += [413, 415]
        self.registry.register_on_missing(ERROR_COMPONENT)
        self.registry.register_on_missing(ERRORS_COMPONENT)
        for status in statuses:
            operation["responses"].setdefault(
                str(status),
                {
                    "description": HTTPStatus(status).phrase,
                    "content": {"application/json": {"schema": ERRORS_COMPONENT.ref}},
                },
            )
        return operation

    def map_parsers(self) -> list[str]:
        """Describe JSON also where any Content-Type is taken for it."""
        types: list[str] = super().map_parsers()
        return ["application/json" if type == "*/*" else type for type in types]


def leave_out_exact_paths(endpoints: list[Any]) -> list[Any]:
    """Describe each path once: with ``/-`` behind the name it is the same."""
    return [endpoint for endpoint in endpoints if "/-" not in endpoint[0]]


ERROR_COMPONENT = ResolvedComponent(  # type: ignore[no-untyped-call]
    name="Error",
    type=ResolvedComponent.SCHEMA,
    object="Error",
    schema={
        "type": "object",
        "required": ["code", "message", "field"],
        "additionalProperties": False,
        "properties": {
            "code": {"type": "string"},
            "message": {"type": "string"},
            "field": {"type": "string", "nullable": True},
        },
    },
)
# One for all refusals of all operations: a generated client has it once.
ERRORS_COMPONENT = ResolvedComponent(  # type: ignore[no-untyped-call]
    name="Errors",
    type=ResolvedComponent.SCHEMA,
    object="Errors",
    schema={
        "type": "object",
        "required": ["errors"],
        "additionalProperties": False,
        "properties": {
            "errors": {"type": "array", "minItems": 1, "items": ERROR_COMPONENT.ref}
        },
    },
)


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "api.kit.authentication.TokenAuthentication"
    name = "accessToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
