"""The base of API views: authentication and paging."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from accounts.actors import Actor
from accounts.decisions import Decision
from api.kit.authentication import actor_of_request
from api.kit.strict import check_names, check_types, unknown_names

PAGING = {"cursor", "page_size"}  # api/kit/paging.py


class ApiView(GenericAPIView[Any]):
    """A view that says of itself whether those who did not sign in may read it.

    Fail closed: a view that says nothing wants a signed-in actor, and a method that
    changes something wants one also where anybody may read.
    """

    for_anonymous = False
    takes_from_anonymous = False  # changes too: the URL itself is the secret
    is_list = False  # what GET answers (api/kit/schema.py)
    # What GET takes in the query also pages, for the schema too.
    parameters: Sequence[OpenApiParameter | type[Serializer[Any]]] = ()
    filterset_class: Any = None
    takes_unknown = False  # strangers' programs write what they like

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.actor: Actor = actor_of_request(request)
        is_reading = request.method in SAFE_METHODS
        is_open = self.for_anonymous if is_reading else self.takes_from_anonymous
        if self.actor.is_anonymous and not is_open:
            raise exceptions.NotAuthenticated
        if hasattr(self, (request.method or "").lower()):  # else it is 405
            self.check_query()

    def check_query(self) -> None:
        """Raise ValidationError for unknown parameters and for values with a NUL."""
        if self.takes_unknown:
            return
        known = self.known_parameters(self.request.method or "")
        unknown = [name for name in self.request.query_params if name not in known]
        if unknown:
            code, what = "unknown_parameter", "parameter"
            raise exceptions.ValidationError(unknown_names(unknown, known, code, what))
        unusable = [
            name
            for name, values in self.request.query_params.lists()
            if any("\0" in value for value in values)
        ]
        if unusable:  # PostgreSQL takes none in a parameter
            message = "NUL characters are not allowed"
            raise exceptions.ValidationError(dict.fromkeys(unusable, message))

    def known_parameters(self, method: str) -> set[str]:
        """Return the names that a method takes in the query."""
        if method not in SAFE_METHODS:
            return set()
        known = set(PAGING) if self.is_list else set()
        for parameter in self.parameters:
            if isinstance(parameter, OpenApiParameter):
                known.add(parameter.name)
            else:
                known |= set(parameter().fields)
        if self.filterset_class is not None:
            known |= set(self.filterset_class.base_filters)
        return known

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

    def read(
        self,
        serializer: type[Serializer[Any]],
        row: Model | None = None,
        shown: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the body's fields, else raise ValidationError.

        With a row, as for PATCH, no field has to be there. What GET shows of the row
        (``shown``) may be sent back as it is, and then changes nothing.
        """
        reader = serializer(
            row,
            data=self.request.data,
            partial=row is not None,
            context={"view": self},
        )
        if not self.takes_unknown:
            check_names(reader, shown or {})
        check_types(reader)
        reader.is_valid(raise_exception=True)
        fields: dict[str, Any] = reader.validated_data
        return fields

    def read_nothing(self) -> None:
        """Refuse a body where none is listened to."""
        self.read(Serializer)

    def ask(self, serializer: type[Serializer[Any]]) -> dict[str, Any]:
        """Return the query's parameters, else raise ValidationError."""
        reader = serializer(data=self.request.query_params)
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
        verb(**self.read(serializer, row, shown=serializer(row).data))
        return Response(serializer(row).data)


def require(decision: Decision) -> None:
    """Continue, or answer 403 with the reason."""
    if not decision:
        raise exceptions.PermissionDenied(decision.reason)
