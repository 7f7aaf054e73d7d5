"""Tags and manifests of a repository (…/tags, …/manifests)."""

import json

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actions import Action
from api.kit.errors import Conflict
from api.repositories.access import permitted_repository
from api.repositories.readings import RepositoryPathView
from api.repositories.serializers import (
    MovedTagSerializer,
    TagMoveSerializer,
    TagSerializer,
    check_tag,
)
from repositories.models import Manifest, Repository, Tag, TagMove
from repositories.rights.access import visible_repository
from repositories.rights.decisions import decide
from repositories.tags import (
    ManifestGone,
    TagExists,
    delete_tag,
    restore_tag,
    tag_manifest,
)

SORTS = {
    "name": "name",
    "-name": "-name",
    "pushed_at": "moved_at",
    "-pushed_at": "-moved_at",
}


class TagsView(RepositoryPathView):
    """The tags, those pushed last first unless asked otherwise."""

    serializer_class = TagSerializer
    is_list = True
    for_anonymous = True
    parameters = [
        OpenApiParameter("q", OpenApiTypes.STR),
        OpenApiParameter("sort", OpenApiTypes.STR, enum=list(SORTS)),
    ]

    def get(self, request: Request, namespace: str, name: str) -> Response:
        repository = visible_repository(self.actor, namespace, name)
        tags = Tag.objects.with_content().filter(repository=repository)
        words = request.query_params.get("q", "")
        if words:
            tags = tags.filter(name__contains=words)
        sort = request.query_params.get("sort", "-pushed_at")
        if sort not in SORTS:
            raise ValidationError({"sort": f"one of {', '.join(SORTS)}"})
        return self.answer_list(tags, TagSerializer, SORTS[sort], "pk")


class TagView(RepositoryPathView):
    serializer_class = TagSerializer
    for_anonymous = True

    def get(self, request: Request, namespace: str, name: str, tag: str) -> Response:
        repository = visible_repository(self.actor, namespace, name)
        return Response(TagSerializer(self.find(repository, tag)).data)

    @extend_schema(request=MovedTagSerializer, responses=TagSerializer)
    def put(self, request: Request, namespace: str, name: str, tag: str) -> Response:
        """Point the tag to a manifest that is here, such as one of its history."""
        repository = visible_repository(self.actor, namespace, name)
        check_tag(tag)
        exists = Tag.objects.filter(repository=repository, name=tag).exists()
        action = Action.OVERWRITE if exists else Action.PUSH
        decision = decide(self.actor, action, repository, tag)
        if not decision:
            raise PermissionDenied(decision.reason)
        fields = self.read(MovedTagSerializer)
        if not tag_manifest(
            repository=repository.facts,
            digest=fields["digest"],
            name=tag,
            actor=self.actor,
        ):
            raise Http404
        return Response(TagSerializer(self.find(repository, tag)).data)

    def delete(self, request: Request, namespace: str, name: str, tag: str) -> Response:
        repository = permitted_repository(
            self.actor, namespace, name, Action.DELETE, tag
        )
        if not delete_tag(repository=repository.facts, name=tag, actor=self.actor):
            raise Http404
        return Response(status=status.HTTP_204_NO_CONTENT)

    def find(self, repository: Repository, name: str) -> Tag:
        tag = (
            Tag.objects.with_content().filter(repository=repository, name=name).first()
        )
        if tag is None:
            raise Http404
        return tag


class TagRestoreView(RepositoryPathView):
    serializer_class = TagSerializer
    for_anonymous = True

    @extend_schema(request=None, responses={201: TagSerializer})
    def post(self, request: Request, namespace: str, name: str, tag: str) -> Response:
        """Put back a tag that was deleted, where it last pointed to."""
        repository = permitted_repository(self.actor, namespace, name, Action.PUSH, tag)
        self.read_nothing()
        try:
            was_there = restore_tag(
                repository=repository.facts, name=tag, actor=self.actor
            )
        except (TagExists, ManifestGone) as error:
            raise Conflict(str(error)) from error
        if not was_there:
            raise Http404
        row = Tag.objects.with_content().get(repository=repository, name=tag)
        return Response(TagSerializer(row).data, status=status.HTTP_201_CREATED)


class TagHistoryView(RepositoryPathView):
    """The digests that a tag pointed to, newest first."""

    serializer_class = TagMoveSerializer
    is_list = True
    for_anonymous = True

    def get(self, request: Request, namespace: str, name: str, tag: str) -> Response:
        repository = visible_repository(self.actor, namespace, name)
        moves = TagMove.objects.filter(repository=repository, name=tag)
        return self.answer_list(moves, TagMoveSerializer, "-pk")


class ManifestView(RepositoryPathView):
    """One manifest, as it was pushed."""

    for_anonymous = True
    pagination_class = None

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str, name: str, digest: str) -> Response:
        repository = visible_repository(self.actor, namespace, name)
        manifest = Manifest.objects.filter(repository=repository, digest=digest).first()
        if manifest is None:
            raise Http404
        return Response(
            {
                "digest": manifest.digest,
                "media_type": manifest.media_type,
                "size_bytes": manifest.size_bytes,
                "artifact_type": manifest.artifact_type,
                "subject": manifest.subject_digest or None,
                "pushed_by": manifest.pushed_by,
                "pushed_at": manifest.pushed_at,
                "tags": list(
                    manifest.tags.order_by("name").values_list("name", flat=True)
                ),
                "manifest": json.loads(bytes(manifest.payload)),
            },
            status=status.HTTP_200_OK,
        )
