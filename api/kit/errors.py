"""Errors of the API: ``{"errors": [{"code", "message", "field"}]}`` (interfaces.md)."""

from typing import Any

from django.conf import settings
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import IntegrityError
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions, status
from rest_framework.exceptions import ErrorDetail
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from accounts.former_names import Moved
from accounts.hashing import HashingBusy
from accounts.models import NameReserved
from accounts.signin_limits import TooManyAttempts
from accounts.tokens import OutlivesMaker


class Conflict(exceptions.APIException):
    """The request is right, and what is there is in its way."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"
    default_detail = "this already exists"


def name_conflict(error: IntegrityError) -> Conflict:
    """Return what is said of a name that is taken, or reserved."""
    reserved = isinstance(error, NameReserved)
    return Conflict(str(error) if reserved else "this name is taken")


class BodyTooLarge(exceptions.APIException):
    """More was sent than any field holds."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the body has more than {limit_bytes:,} bytes")


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Render an error; None for a fault of Berth, which is then a 500."""
    match error:
        case TooManyAttempts():
            set_rollback()
            return Response(
                {"errors": [_entry("throttled", str(error))]},
                status=status.HTTP_429_TOO_MANY_REQUESTS,
                headers={"Retry-After": str(error.retry_after_seconds)},
            )
        case HashingBusy():
            set_rollback()
            return Response(
                {"errors": [_entry("busy", str(error))]},
                status=status.HTTP_503_SERVICE_UNAVAILABLE,
                headers={"Retry-After": str(error.retry_after_seconds)},
            )
        case exceptions.Throttled():
            wait = getattr(error, "wait", None) or 1
            message = f"too many requests: try again in {wait:.0f} seconds"
            error = exceptions.Throttled(wait)
            error.detail = ErrorDetail(message, error.default_code)
        case Moved():
            return _send_on(error, context)
        case RequestDataTooBig():
            error = BodyTooLarge(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        case SuspiciousOperation():  # more parameters than anybody needs, for example
            error = exceptions.ParseError(str(error) or None)
        case UnreadablePostError():
            error = exceptions.ParseError("the body ended too early")
        case Http404():
            error = exceptions.NotFound()
        case OutlivesMaker():
            error = exceptions.PermissionDenied(str(error))
        case PermissionDenied():
            error = exceptions.PermissionDenied()
    response = exception_handler(error, context)
    if response is not None:
        assert isinstance(error, exceptions.APIException), "others were turned into one"
        response.data = {"errors": list(_entries(error.get_full_details(), ""))}
    return response


def _send_on(moved: Moved, context: dict[str, Any]) -> Response:
    """Answer 308 with the path of today: method and body stay; a cache forgets it."""
    location = moved.location(context["request"]._request)
    if location is None:
        response = handle(exceptions.NotFound(), context)
        assert response is not None, "it is one of the API's own"
        return response
    return Response(
        {"location": location},
        status=status.HTTP_308_PERMANENT_REDIRECT,
        headers={"Location": location, "Cache-Control": "no-store"},
    )


def _entry(code: str, message: str, field: str | None = None) -> dict[str, str | None]:
    return {"code": code, "message": message, "field": field}


def _entries(detail: Any, field: str) -> Any:
    """Walk through what DRF says of fields, lists and members."""
    if isinstance(detail, dict) and set(detail) == {"message", "code"}:
        yield _entry(str(detail["code"]), str(detail["message"]), field or None)
    elif isinstance(detail, dict):
        for name, inner in detail.items():
            plain = "" if name == "non_field_errors" else str(name)
            yield from _entries(inner, ".".join(filter(None, [field, plain])))
    else:
        for inner in detail:
            yield from _entries(inner, field)
