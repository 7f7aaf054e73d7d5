"""Grants and access of a repository (…/grants, …/access)."""

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from accounts.actions import Action
from accounts.actors import ANONYMOUS, Actor
from accounts.authentication import actor_of, actor_of_robot
from accounts.models import Robot, User
from api.kit.errors import Conflict
from api.repositories.access import permitted_repository
from api.repositories.readings import RepositoryPathView
from api.repositories.serializers import (
    AccessAnswerSerializer,
    AccessQuestionSerializer,
    ChangedGrantSerializer,
    GrantSerializer,
    HoldersQuestionSerializer,
    HoldersSerializer,
)
from repositories.models import Grant, Repository
from repositories.rights.decisions import decide
from repositories.rights.grants import (
    GrantExists,
    add_grant,
    change_grant,
    find_subject,
    remove_grant,
)
from repositories.rights.holders import holders_of


class GrantsView(RepositoryPathView):
    serializer_class = GrantSerializer
    is_list = True

    def get(self, request: Request, namespace: str, name: str) -> Response:
        repository = permitted_repository(self.actor, namespace, name, Action.GRANT)
        grants = Grant.objects.with_subjects().filter(repository=repository)
        return self.answer_list(grants, GrantSerializer)

    @extend_schema(responses={201: GrantSerializer})
    def post(self, request: Request, namespace: str, name: str) -> Response:
        repository = permitted_repository(self.actor, namespace, name, Action.GRANT)
        fields = self.read(GrantSerializer)
        kind, subject_name = fields["subject"]["kind"], fields["subject"]["name"]
        subject = find_subject(repository, kind, subject_name)
        if subject is None:
            raise ValidationError(
                {"subject": f"there is no {kind} called '{subject_name}'"}
            )
        try:
            grant = add_grant(
                repository=repository,
                subject=subject,
                role=fields["role"],
                tag_glob=fields["tags"],
                actor=self.actor,
            )
        except GrantExists as error:
            raise Conflict(str(error)) from error
        return Response(GrantSerializer(grant).data, status=status.HTTP_201_CREATED)


class GrantView(RepositoryPathView):
    serializer_class = GrantSerializer

    @extend_schema(request=ChangedGrantSerializer, responses=GrantSerializer)
    def patch(
        self, request: Request, namespace: str, name: str, grant: int
    ) -> Response:
        row = self.find(namespace, name, grant)
        fields = self.read(ChangedGrantSerializer, row, GrantSerializer(row).data)
        try:
            changed = change_grant(
                grant=row,
                role=fields.get("role"),
                tag_glob=fields.get("tags"),
                actor=self.actor,
            )
        except GrantExists as error:
            raise Conflict(str(error)) from error
        return Response(GrantSerializer(changed).data)

    def delete(
        self, request: Request, namespace: str, name: str, grant: int
    ) -> Response:
        remove_grant(grant=self.find(namespace, name, grant), actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def find(self, namespace: str, name: str, grant: int) -> Grant:
        repository = permitted_repository(self.actor, namespace, name, Action.GRANT)
        row = (
            Grant.objects.with_subjects()
            .select_related("repository__namespace")
            .filter(repository=repository, pk=grant)
            .first()
        )
        if row is None:
            raise Http404
        return row


class AccessView(RepositoryPathView):
    """Explain why a user or robot can or cannot do something here."""

    serializer_class = AccessAnswerSerializer
    pagination_class = None
    parameters = [AccessQuestionSerializer]

    @extend_schema(responses=AccessAnswerSerializer)
    def get(self, request: Request, namespace: str, name: str) -> Response:
        repository = permitted_repository(self.actor, namespace, name, Action.GRANT)
        fields = self.ask(AccessQuestionSerializer)
        decision = decide(
            find_actor(fields["who"], repository),
            Action(fields["action"]),
            repository,
            fields.get("tag"),
        )
        return Response({"allowed": decision.allowed, "reason": decision.reason})


class HoldersView(RepositoryPathView):
    """List who can do something here, and why: people and robots, teams unfolded."""

    serializer_class = HoldersSerializer
    pagination_class = None
    parameters = [HoldersQuestionSerializer]

    @extend_schema(responses=HoldersSerializer)
    def get(self, request: Request, namespace: str, name: str) -> Response:
        """List by login; `anyone` says that everyone may, since it is public."""
        repository = permitted_repository(self.actor, namespace, name, Action.GRANT)
        fields = self.ask(HoldersQuestionSerializer)
        action = Action(fields["action"])
        holders = holders_of(repository, action, fields.get("tag"))
        rest = [h for h in holders if h.who > fields.get("after", "")]
        page = rest[: fields["page_size"]]
        following = None
        if len(rest) > len(page):
            url = request.build_absolute_uri()
            following = replace_query_param(url, "after", page[-1].who)
        answer = {
            "results": page,
            "anyone": repository.is_public and action is Action.PULL,
            "next": following,
        }
        return Response(HoldersSerializer(answer).data)


def find_actor(who: str, repository: Repository) -> Actor:
    """Return the actor of a login; of no one for "" and "anonymous"."""
    if who in {"", "anonymous"}:
        return ANONYMOUS
    namespace, plus, robot_name = who.partition("+")
    if plus:
        robot = (
            Robot.objects.select_related("namespace")
            .filter(namespace__name=namespace, name=robot_name)
            .first()
        )
        # A robot of others is told from none only by those who administer it.
        if robot is not None and robot.namespace_id == repository.namespace_id:
            return actor_of_robot(robot)
    else:
        user = User.objects.filter(username=who).first()
        if user is not None:
            return actor_of(user)
    raise ValidationError({"who": f"there is no user or robot named '{who}'"})
