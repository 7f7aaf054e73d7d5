"""What every view of the API begins with: who asks, and how lists go out."""

from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import Model, QuerySet
from rest_framework import exceptions
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
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

from accounts.actors import Actor
from accounts.api.authentication import actor_of_request
from accounts.decisions import Decision

JSON_TYPES: list[tuple[tuple[type[Field[Any, Any, Any, Any]], ...], set[type], str]] = [
    ((CharField, ChoiceField, DateTimeField), {str}, "this is not text"),
    ((BooleanField,), {bool}, "this is neither true nor false"),
    ((IntegerField,), {int}, "this is not a whole number"),
]


class ApiView(GenericAPIView[Any]):
    """A view that says of itself whether those who did not sign in may read it.

    Fail closed: a view that says nothing wants a signed-in actor, and a method that
    changes something wants one also where anybody may read.
    """

    for_anonymous = False
    takes_from_anonymous = False  # changes too: the URL itself is the secret
    is_list = False  # what GET answers (accounts/api/schema.py)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.actor: Actor = actor_of_request(request)
        is_reading = request.method in SAFE_METHODS
        is_open = self.for_anonymous if is_reading else self.takes_from_anonymous
        if self.actor.is_anonymous and not is_open:
            raise exceptions.NotAuthenticated

    def handle_exception(self, exc: Exception) -> Response:
        """Ask those who did not sign in to do so, instead of refusing them."""
        who = getattr(self, "actor", None)
        if isinstance(exc, exceptions.PermissionDenied) and who and who.is_anonymous:
            exc = exceptions.NotAuthenticated()
        return super().handle_exception(exc)

    def answer_list(
        self,
        rows: QuerySet[Any],
        serializer: type[Serializer[Any]],
        *ordering: str,
    ) -> Response:
        """Answer with one page of rows; by primary key unless ordered otherwise."""
        if ordering:
            self.paginator.ordering = ordering  # type: ignore[union-attr]
        page = self.paginate_queryset(rows)
        assert page is not None, "every list has pages"
        return self.get_paginated_response(serializer(page, many=True).data)

    def read(self, serializer: type[Serializer[Any]]) -> dict[str, Any]:
        """Return the body's fields, else raise ValidationError."""
        reader = serializer(data=self.request.data, context={"view": self})
        check_types(reader)
        reader.is_valid(raise_exception=True)
        fields: dict[str, Any] = reader.validated_data
        return fields

    def change(
        self,
        row: Model,
        serializer: type[Serializer[Any]],
        verb: Callable[..., None],
    ) -> Response:
        """Change a row by PATCH: the verb gets the allowed fields that were sent."""
        reader = serializer(row, data=self.request.data, partial=True)
        check_types(reader)
        reader.is_valid(raise_exception=True)
        verb(**reader.validated_data)
        return Response(serializer(row).data)


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


def require(decision: Decision) -> None:
    """Go on, or answer 403 with the reason."""
    if not decision:
        raise exceptions.PermissionDenied(decision.reason)
