"""One robot, with what it may do (…/robots/<name>); here, because of its grants."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.finders import find_robot
from accounts.models import Robot
from accounts.robots import change_robot, delete_robot
from accounts.snippets import make_snippets
from api.accounts.access import robots_owner
from api.accounts.serializers import ChangedRobotSerializer
from api.kit.views import ApiView
from api.repositories.serializers import RobotDetailSerializer
from repositories.models import Grant


class RobotView(ApiView):
    """One robot of an organization; without one, one's own."""

    serializer_class = RobotDetailSerializer

    @extend_schema(responses=RobotDetailSerializer)
    def get(
        self, request: Request, robot: str, organization: str | None = None
    ) -> Response:
        """Show it with its teams and grants, and how to sign in as it."""
        found = find_robot(robots_owner(organization, self.actor), robot)
        return Response(self.shown(found))

    @extend_schema(request=ChangedRobotSerializer, responses=RobotDetailSerializer)
    def patch(
        self, request: Request, robot: str, organization: str | None = None
    ) -> Response:
        """Change its description and expiry, or disable and enable it."""
        found = find_robot(robots_owner(organization, self.actor), robot)
        fields = self.read(ChangedRobotSerializer, found, self.shown(found))
        change_robot(robot=found, actor=self.actor, **fields)
        return Response(self.shown(found))

    def shown(self, found: Robot) -> dict[str, Any]:
        grants = Grant.objects.filter(
            robot=found, repository__deleted_at=None
        ).select_related("repository__namespace")
        teams = found.memberships.order_by("team__name")
        snippets = make_snippets(
            registry=settings.BERTH_SERVICE,
            username=found.username,
            token=None,
            is_tls=settings.BERTH_URL.startswith("https:"),
        )
        answer = {
            "robot": found,
            "teams": list(teams.values_list("team__name", flat=True)),
            "grants": grants.order_by("pk"),
            "snippets": snippets,
        }
        return dict(RobotDetailSerializer(answer).data)

    def delete(
        self, request: Request, robot: str, organization: str | None = None
    ) -> Response:
        found = find_robot(robots_owner(organization, self.actor), robot)
        delete_robot(robot=found, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)
