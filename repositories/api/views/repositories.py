"""Repositories (/repositories, /search)."""

from django.db import IntegrityError
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import PermissionDenied
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actions import Action
from accounts.api.base import ApiView
from accounts.api.errors import Conflict
from repositories.access import find_namespace, visible_repository
from repositories.api.access import permitted_repository
from repositories.api.serializers import (
    NewRepositorySerializer,
    RepositorySerializer,
)
from repositories.lifecycle import (
    change_visibility,
    create_repository,
    delete_repository,
    describe_repository,
)
from repositories.models import Repository
from repositories.permissions import decide, may_create
from repositories.search import search_repositories


class RepositoriesView(ApiView):
    """The repositories that one may see."""

    serializer_class = RepositorySerializer
    is_list = True
    for_anonymous = True

    @extend_schema(parameters=[OpenApiParameter("namespace", OpenApiTypes.STR)])
    def get(self, request: Request) -> Response:
        rows = Repository.objects.visible_to(self.actor).with_full_name()
        namespace = request.query_params.get("namespace")
        if namespace:
            rows = rows.filter(namespace__name=namespace.replace("\0", ""))
        return self.answer_list(rows, RepositorySerializer)

    @extend_schema(
        request=NewRepositorySerializer, responses={201: RepositorySerializer}
    )
    def post(self, request: Request) -> Response:
        fields = self.read(NewRepositorySerializer)
        namespace = find_namespace(fields["namespace"])
        if namespace is None:
            raise PermissionDenied(f"there is no namespace {fields['namespace']}")
        decision = may_create(self.actor, namespace)
        if not decision:
            raise PermissionDenied(decision.reason)
        try:
            repository = create_repository(
                namespace=namespace,
                name=fields["name"],
                actor=self.actor,
                visibility=fields["visibility"],
            )
        except IntegrityError as error:
            raise Conflict("there is a repository of this name") from error
        if fields.get("description"):
            describe_repository(
                repository=repository,
                actor=self.actor,
                description=fields["description"],
            )
        return Response(
            RepositorySerializer(repository).data, status=status.HTTP_201_CREATED
        )


class RepositoryView(ApiView):
    """One repository."""

    serializer_class = RepositorySerializer
    for_anonymous = True

    def get(self, request: Request, namespace: str, name: str) -> Response:
        repository = visible_repository(self.actor, namespace, name)
        return Response(RepositorySerializer(repository).data)

    def patch(self, request: Request, namespace: str, name: str) -> Response:
        """Change texts (who may describe) and visibility (who may configure)."""
        repository = visible_repository(self.actor, namespace, name)
        reader = RepositorySerializer(repository, data=request.data, partial=True)
        reader.is_valid(raise_exception=True)
        fields = reader.validated_data
        texts = {k: fields[k] for k in ("description", "readme") if k in fields}
        needed = [Action.DESCRIBE] if texts or not fields else []
        if "visibility" in fields:
            needed.append(Action.CONFIGURE)
        for action in needed:
            decision = decide(self.actor, action, repository)
            if not decision:
                raise PermissionDenied(decision.reason)
        describe_repository(repository=repository, actor=self.actor, **texts)
        if "visibility" in fields:
            change_visibility(
                repository=repository,
                visibility=fields["visibility"],
                actor=self.actor,
            )
        return Response(RepositorySerializer(repository).data)

    def delete(self, request: Request, namespace: str, name: str) -> Response:
        repository = permitted_repository(self.actor, namespace, name, Action.DESTROY)
        delete_repository(repository=repository, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class SearchPages(PageNumberPagination):
    """Pages by number: a ranked list has no cursor."""

    page_size = 25
    page_size_query_param = "page_size"
    max_page_size = 100

    def get_paginated_response(self, data: object) -> Response:
        assert self.page is not None, "asked for before a page was made"
        return Response(
            {
                "count": self.page.paginator.count,
                "next": self.get_next_link(),
                "results": data,
            }
        )


class SearchView(ApiView):
    """What `docker search` finds, best first."""

    serializer_class = RepositorySerializer
    is_list = True
    pagination_class = SearchPages
    for_anonymous = True

    @extend_schema(parameters=[OpenApiParameter("q", OpenApiTypes.STR)])
    def get(self, request: Request) -> Response:
        found = search_repositories(self.actor, request.query_params.get("q", ""))
        try:
            return self.answer_list(found, RepositorySerializer)
        except OverflowError as error:  # the number of a page that no database has
            raise Http404 from error
