"""Watch repositories (/user/watches, …/watch)."""

from collections.abc import Callable

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from api.kit.views import ApiView
from api.repositories.readings import RepositoryPathView
from api.repositories.search import marking_user
from api.repositories.serializers import ListedRepositorySerializer, WatchedSerializer
from repositories.models import Repository
from repositories.rights.access import visible_repository
from repositories.watches import unwatch, watch


class WatchView(RepositoryPathView):
    """The current user's watch on a repository, for notifications of pushes."""

    serializer_class = WatchedSerializer

    @extend_schema(request=None, responses=WatchedSerializer)
    def put(self, request: Request, namespace: str, name: str) -> Response:
        self.read_nothing()
        return self.answer(namespace, name, watch)

    @extend_schema(responses={200: WatchedSerializer})
    def delete(self, request: Request, namespace: str, name: str) -> Response:
        return self.answer(namespace, name, unwatch)

    def answer(
        self, namespace: str, name: str, change: Callable[..., None]
    ) -> Response:
        repository = visible_repository(self.actor, namespace, name)
        change(repository=repository, user=marking_user(self.actor))
        return Response({"watched": change is watch})


class WatchedView(ApiView):
    """The repositories that one watches, and may still see."""

    serializer_class = ListedRepositorySerializer
    is_list = True

    def get(self, request: Request) -> Response:
        user_id = self.actor.user_id
        if user_id is None:
            raise PermissionDenied("a robot watches nothing")
        rows = Repository.objects.visible_to(self.actor).with_full_name()
        return self.answer_list(
            rows.filter(watches__user=user_id).defer("readme"),
            ListedRepositorySerializer,
        )
