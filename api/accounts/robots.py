"""Service accounts for CI and servers, of an organization or one's own (…/robots).

One robot with its grants is shown by api/repositories/robots.py.
"""

from django.conf import settings
from django.db import IntegrityError
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.finders import find_robot
from accounts.models import Robot
from accounts.robots import create_robot, replace_token
from accounts.snippets import make_snippets
from api.accounts.access import robots_owner
from api.accounts.serializers import RobotSerializer, RobotTokenSerializer
from api.kit.errors import Conflict
from api.kit.views import ApiView


class RobotsView(ApiView):
    """The robots of an organization; without one, one's own."""

    serializer_class = RobotSerializer
    is_list = True

    def get(self, request: Request, organization: str | None = None) -> Response:
        owner = robots_owner(organization, self.actor)
        robots = owner.robots.select_related("namespace")
        return self.answer_list(robots.all(), RobotSerializer)

    @extend_schema(responses={201: RobotTokenSerializer})
    def post(self, request: Request, organization: str | None = None) -> Response:
        """Make a robot; this answer is the only one that has its token."""
        owner = robots_owner(organization, self.actor)
        fields = self.read(RobotSerializer)
        # Left out, it is the end of the token in use.
        fields.setdefault("expires_at", self.actor.expires_at)
        try:
            robot, token = create_robot(namespace=owner, actor=self.actor, **fields)
        except IntegrityError as error:
            raise Conflict("there is a robot of this name") from error
        return answer_token(robot, token)


class RobotTokenView(ApiView):
    serializer_class = RobotTokenSerializer

    @extend_schema(request=None, responses={201: RobotTokenSerializer})
    def post(
        self, request: Request, robot: str, organization: str | None = None
    ) -> Response:
        """Give the robot a new token; the old one ends at once."""
        found = find_robot(robots_owner(organization, self.actor), robot)
        self.read_nothing()
        return answer_token(found, replace_token(robot=found, actor=self.actor))


def answer_token(robot: Robot, token: str) -> Response:
    """Answer with a token, and with what to paste it into."""
    snippets = make_snippets(
        registry=settings.BERTH_SERVICE,
        username=robot.username,
        token=token,
        is_tls=settings.BERTH_URL.startswith("https:"),
    )
    return Response(
        {"username": robot.username, "token": token, "snippets": snippets},
        status=status.HTTP_201_CREATED,
        headers={"Cache-Control": "no-store"},
    )
