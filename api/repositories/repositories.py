"""Repositories (/repositories, /deleted-repositories)."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actions import Action
from accounts.models import NameReserved, Namespace
from api.kit.errors import Conflict
from api.kit.views import ApiView, require
from api.repositories.access import permitted_repository
from api.repositories.readings import RepositoryPathView
from api.repositories.serializers import (
    ChangedRepositorySerializer,
    DeletedRepositorySerializer,
    ListedRepositorySerializer,
    NewRepositorySerializer,
    RepositorySerializer,
    RestoredNameSerializer,
)
from repositories.lifecycle import (
    NameTaken,
    change_visibility,
    create_repository,
    delete_repository,
    describe_repository,
    purge_repository,
    restore_repository,
    transfer_repository,
)
from repositories.models import Repository
from repositories.rights.access import (
    find_namespace,
    restorable_repository,
    visible_repository,
)
from repositories.rights.decisions import decide, may_create


class RepositoriesView(ApiView):
    """The repositories that one may see."""

    serializer_class = ListedRepositorySerializer
    is_list = True
    for_anonymous = True
    parameters = [OpenApiParameter("namespace", OpenApiTypes.STR)]

    def get(self, request: Request) -> Response:
        rows = Repository.objects.visible_to(self.actor).with_full_name()
        name = request.query_params.get("namespace", "")
        if name:
            rows = rows.filter(namespace=find_namespace(name))
        return self.answer_list(rows.defer("readme"), ListedRepositorySerializer)

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
            reserved = isinstance(error, NameReserved)
            said = str(error) if reserved else "there is a repository of this name"
            raise Conflict(said) from error
        if fields.get("description"):
            describe_repository(
                repository=repository,
                actor=self.actor,
                description=fields["description"],
            )
        return Response(
            RepositorySerializer(repository).data, status=status.HTTP_201_CREATED
        )


class RepositoryView(RepositoryPathView):
    """One repository."""

    serializer_class = RepositorySerializer
    for_anonymous = True

    def get(self, request: Request, namespace: str, name: str) -> Response:
        repository = visible_repository(self.actor, namespace, name)
        return Response(RepositorySerializer(repository).data)

    @extend_schema(request=ChangedRepositorySerializer, responses=RepositorySerializer)
    def patch(self, request: Request, namespace: str, name: str) -> Response:
        """Change texts, visibility, name and namespace; all of it, or nothing.

        Who may describe changes texts, who may configure visibility and name, and who
        may destroy moves it to a namespace where they may create repositories. The old
        name continues leading here.
        """
        repository = visible_repository(self.actor, namespace, name)
        shown = RepositorySerializer(repository).data
        fields = self.read(ChangedRepositorySerializer, repository, shown)
        texts = {k: fields[k] for k in ("description", "readme") if k in fields}
        new_name = fields.get("name", repository.name)
        target = self.target_of(repository, fields.get("namespace"))
        needed = [Action.DESCRIBE] if texts or not fields else []
        if "visibility" in fields or new_name != repository.name:
            needed.append(Action.CONFIGURE)
        if target != repository.namespace:
            needed.append(Action.DESTROY)
        for action in needed:
            require(decide(self.actor, action, repository))
        if target != repository.namespace:
            require(may_create(self.actor, target))
        with name_conflicts(), transaction.atomic():
            describe_repository(repository=repository, actor=self.actor, **texts)
            if "visibility" in fields:
                change_visibility(
                    repository=repository,
                    visibility=fields["visibility"],
                    actor=self.actor,
                )
            transfer_repository(
                repository=repository,
                namespace=target,
                name=new_name,
                actor=self.actor,
            )
        return Response(RepositorySerializer(repository).data)

    def delete(self, request: Request, namespace: str, name: str) -> Response:
        """Delete it; /deleted-repositories can restore it for a while."""
        repository = permitted_repository(self.actor, namespace, name, Action.DESTROY)
        with name_conflicts():
            delete_repository(repository=repository, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def target_of(self, repository: Repository, name: str | None) -> Namespace:
        """Return the namespace that a request names; where it is, if it names none."""
        if name is None:
            return repository.namespace
        namespace = find_namespace(name)
        if namespace is None:
            raise PermissionDenied(f"there is no namespace {name}")
        return namespace


class DeletedRepositoriesView(ApiView):
    """The deleted repositories that one may restore, the last one first."""

    serializer_class = DeletedRepositorySerializer
    is_list = True
    parameters = [OpenApiParameter("namespace", OpenApiTypes.STR)]

    def get(self, request: Request) -> Response:
        rows = Repository.objects.restorable_by(self.actor).with_full_name()
        name = request.query_params.get("namespace", "")
        if name:
            rows = rows.filter(namespace=find_namespace(name))
        return self.answer_list(rows, DeletedRepositorySerializer, "-deleted_at", "-pk")


class DeletedRepositoryView(ApiView):
    """One of them; by its id, since several may have had the same name."""

    serializer_class = DeletedRepositorySerializer

    def get(self, request: Request, repository: int) -> Response:
        found = restorable_repository(self.actor, repository)
        return Response(DeletedRepositorySerializer(found).data)

    def delete(self, request: Request, repository: int) -> Response:
        """Purge it now: it cannot be restored any more."""
        found = restorable_repository(self.actor, repository)
        with name_conflicts():
            purge_repository(repository=found, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class RestoredRepositoryView(ApiView):
    serializer_class = RepositorySerializer

    @extend_schema(request=RestoredNameSerializer, responses=RepositorySerializer)
    def post(self, request: Request, repository: int) -> Response:
        """Restore it as it was; under another name if its own is taken."""
        found = restorable_repository(self.actor, repository)
        name = self.read(RestoredNameSerializer).get("name")
        with name_conflicts():
            restore_repository(repository=found, name=name, actor=self.actor)
        return Response(RepositorySerializer(found).data)


@contextmanager
def name_conflicts() -> Iterator[None]:
    """Answer 409 when a name is taken, 404 for what is not there any more."""
    try:
        yield
    except NameTaken as error:
        raise Conflict(str(error)) from error
    except (Repository.DoesNotExist, Namespace.DoesNotExist) as error:
        raise Http404 from error
