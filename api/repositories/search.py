"""Search and stars (/search, /user/stars, …/star)."""

from collections.abc import Callable

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from accounts.actions import Action
from accounts.actors import Actor
from accounts.models import User
from accounts.rates import take
from api.kit.paging import page_size_of
from api.kit.views import ApiView
from api.repositories.readings import RepositoryPathView
from api.repositories.serializers import (
    FoundPageSerializer,
    FoundRepositorySerializer,
    ListedRepositorySerializer,
    StarredSerializer,
)
from repositories.models import Repository
from repositories.rights.access import visible_repository
from repositories.stars import star, unstar
from search.query import PAGE_SIZE, Sort
from search.results import read_query, search_with_total

PAGE_SIZE_MAX = 100
TYPES = ("official", "verified", "starred")  # search/query.py

SEARCH_PARAMETERS = [
    OpenApiParameter("q", OpenApiTypes.STR),
    OpenApiParameter("type", OpenApiTypes.STR, many=True, enum=TYPES),
    OpenApiParameter("os", OpenApiTypes.STR, many=True),
    OpenApiParameter("arch", OpenApiTypes.STR, many=True),
    OpenApiParameter("category", OpenApiTypes.STR, many=True),
    OpenApiParameter("sort", OpenApiTypes.STR, enum=[sort.value for sort in Sort]),
    OpenApiParameter("page", {"type": "integer", "minimum": 1}),
    OpenApiParameter("page_size", OpenApiTypes.INT),
]


class SearchView(ApiView):
    """Search repositories like the search page, best match first.

    Pages go by number, since a ranked list has no cursor. ``count`` ends at 10,000, and
    so do the pages.
    """

    serializer_class = FoundRepositorySerializer
    pagination_class = None  # it has its own, by number
    for_anonymous = True
    parameters = SEARCH_PARAMETERS

    @extend_schema(responses=FoundPageSerializer)
    def get(self, request: Request) -> Response:
        take("searches", self.actor)
        given = dict(request.query_params.lists())
        for sort in given.get("sort", ()):
            if sort not in list(Sort):
                raise ValidationError({"sort": f"'{sort[:40]}' is no order"})
        for kind in given.get("type", ()):
            if kind.strip().lower() not in {"", *TYPES}:  # as a form sends none
                raise ValidationError({"type": f"one of {', '.join(TYPES)}"})
        for number in given.get("page", ()):
            if not (number.isascii() and number.isdigit() and int(number[:9])):
                raise ValidationError({"page": "this is not the number of a page"})
        query = read_query(request.query_params.get("q", ""), given)
        size = page_size_of(request, default=PAGE_SIZE, most=PAGE_SIZE_MAX)
        results, count = search_with_total(self.actor, query, size=size)
        if not results.repositories and query.page > 1:
            raise Http404
        url = request.build_absolute_uri()
        return Response(
            {
                "count": count.value,
                "count_is_exact": count.is_exact,
                "next": replace_query_param(url, "page", query.page + 1)
                if results.has_next
                else None,
                "results": FoundRepositorySerializer(
                    results.repositories, many=True
                ).data,
            }
        )


class StarView(RepositoryPathView):
    """One's own star on a repository."""

    serializer_class = StarredSerializer

    @extend_schema(request=None, responses=StarredSerializer)
    def put(self, request: Request, namespace: str, name: str) -> Response:
        self.read_nothing()
        return self.answer(namespace, name, star)

    @extend_schema(responses={200: StarredSerializer})
    def delete(self, request: Request, namespace: str, name: str) -> Response:
        return self.answer(namespace, name, unstar)

    def answer(self, namespace: str, name: str, change: Callable[..., int]) -> Response:
        repository = visible_repository(self.actor, namespace, name)
        user = marking_user(self.actor)
        count = change(repository=repository, user=user)
        return Response({"starred": change is star, "star_count": count})


class StarredView(ApiView):
    """The repositories that one starred, and may still see."""

    serializer_class = ListedRepositorySerializer
    is_list = True

    def get(self, request: Request) -> Response:
        user_id = self.actor.user_id
        if user_id is None:
            raise PermissionDenied("a robot has no stars")
        rows = Repository.objects.visible_to(self.actor).with_full_name()
        starred = rows.filter(stars__user=user_id).defer("readme")
        return self.answer_list(starred, ListedRepositorySerializer)


def marking_user(actor: Actor) -> User:
    """Return who stars or watches: a person, with a token only one that may write."""
    if actor.user_id is None:
        raise PermissionDenied("a robot neither stars nor watches")
    if Action.PUSH not in actor.ceiling.actions:
        raise PermissionDenied("this token only reads")
    return User.objects.get(pk=actor.user_id)
