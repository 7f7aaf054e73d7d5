"""Former names that one can free (/former-names)."""

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.accounts.access import full_person
from api.kit.views import ApiView
from repositories.former_names import former_names_of, free_name


class FormerNameSerializer(serializers.Serializer[Any]):
    """``leads_to`` is null where what had the name is gone."""

    name = serializers.CharField()
    leads_to = serializers.CharField(allow_null=True)
    since = serializers.DateTimeField()


class FormerNamesSerializer(serializers.Serializer[Any]):
    """All of them at once."""

    results = FormerNameSerializer(many=True)


class FormerNamesView(ApiView):
    """Former names of what one administers; for site administrators, all of them."""

    serializer_class = FormerNamesSerializer

    def get(self, request: Request) -> Response:
        full_person(self.actor)
        names = former_names_of(self.actor)
        return Response({"results": FormerNameSerializer(names, many=True).data})


class FormerNameView(ApiView):
    serializer_class = FormerNameSerializer

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Free it: others can take it, and until then it leads where it did."""
        full_person(self.actor)
        if not free_name(name, actor=self.actor):
            raise Http404
        return Response(status=status.HTTP_204_NO_CONTENT)
