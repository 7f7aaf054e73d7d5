"""Organizations and who is in them (/organizations)."""

from functools import partial

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actions import Action
from accounts.finders import find_member, find_organization, find_team
from accounts.memberships import (
    LastOwner,
    add_member,
    remove_from_organization,
    remove_member,
)
from accounts.models import Robot, Team, User
from accounts.namespace_rights import is_live, may_take_out, organizations_of
from accounts.organizations import (
    change_organization,
    create_organization,
    delete_organization,
    rename_organization,
)
from accounts.teams import OwnersTeamStays, change_team, create_team, delete_team
from api.accounts.access import administered_organization, seen_organization
from api.accounts.serializers import (
    ChangedOrganizationSerializer,
    NewOrganizationSerializer,
    OrganizationSerializer,
    TeamSerializer,
)
from api.kit.errors import Conflict, name_conflict
from api.kit.views import ApiView, require


class OrganizationsView(ApiView):
    """The organizations that one is in."""

    serializer_class = OrganizationSerializer
    is_list = True

    def get(self, request: Request) -> Response:
        mine = organizations_of(self.actor).select_related("namespace")
        return self.answer_list(mine, OrganizationSerializer)

    @extend_schema(
        request=NewOrganizationSerializer, responses={201: OrganizationSerializer}
    )
    def post(self, request: Request) -> Response:
        if self.actor.user_id is None:
            raise PermissionDenied("a robot cannot own an organization")
        ceiling = self.actor.ceiling
        if Action.GRANT not in ceiling.actions or not ceiling.covers(
            repository_id=None, namespace_id=0
        ):
            raise PermissionDenied("this token does not allow new organizations")
        if not is_live(self.actor):
            raise PermissionDenied("this account is suspended")
        fields = self.read(NewOrganizationSerializer)
        owner = User.objects.get(pk=self.actor.user_id)
        try:
            organization = create_organization(owner=owner, actor=self.actor, **fields)
        except IntegrityError as error:
            raise name_conflict(error) from error
        return Response(
            OrganizationSerializer(organization).data, status=status.HTTP_201_CREATED
        )


class OrganizationView(ApiView):
    """One organization."""

    serializer_class = OrganizationSerializer
    for_anonymous = True

    def get(self, request: Request, organization: str) -> Response:
        return Response(OrganizationSerializer(find_organization(organization)).data)

    @extend_schema(
        request=ChangedOrganizationSerializer, responses=OrganizationSerializer
    )
    def patch(self, request: Request, organization: str) -> Response:
        """Change texts, and the name: the old one continues leading here."""
        found = administered_organization(organization, self.actor)
        shown = OrganizationSerializer(found).data
        fields = self.read(ChangedOrganizationSerializer, found, shown)
        name = fields.pop("name", organization)
        try:
            with transaction.atomic():
                rename_organization(organization=found, name=name, actor=self.actor)
                change_organization(organization=found, actor=self.actor, **fields)
        except IntegrityError as error:
            raise name_conflict(error) from error
        return Response(OrganizationSerializer(found).data)

    def delete(self, request: Request, organization: str) -> Response:
        found = administered_organization(organization, self.actor)
        try:
            delete_organization(organization=found, actor=self.actor)
        except ProtectedError as error:
            raise Conflict(
                f"{organization} still has repositories: delete or move them first"
            ) from error
        return Response(status=status.HTTP_204_NO_CONTENT)


class TeamsView(ApiView):
    serializer_class = TeamSerializer
    is_list = True

    def get(self, request: Request, organization: str) -> Response:
        found = seen_organization(organization, self.actor)
        teams = Team.objects.with_members().filter(organization=found)
        return self.answer_list(teams, TeamSerializer)

    @extend_schema(responses={201: TeamSerializer})
    def post(self, request: Request, organization: str) -> Response:
        found = administered_organization(organization, self.actor)
        team = Team(organization=found, **self.read(TeamSerializer))
        try:
            create_team(team=team, actor=self.actor)
        except IntegrityError as error:
            raise Conflict("there is a team of this name") from error
        return Response(TeamSerializer(team).data, status=status.HTTP_201_CREATED)


class TeamView(ApiView):
    serializer_class = TeamSerializer

    def get(self, request: Request, organization: str, team: str) -> Response:
        found = seen_organization(organization, self.actor)
        return Response(TeamSerializer(find_team(found, team)).data)

    def patch(self, request: Request, organization: str, team: str) -> Response:
        found = administered_organization(organization, self.actor)
        row = find_team(found, team)
        verb = partial(change_team, team=row, actor=self.actor)
        try:
            return self.change(row, TeamSerializer, verb)
        except OwnersTeamStays as error:
            raise Conflict(str(error)) from error
        except IntegrityError as error:
            raise Conflict("there is a team of this name") from error

    def delete(self, request: Request, organization: str, team: str) -> Response:
        row = find_team(administered_organization(organization, self.actor), team)
        try:
            delete_team(team=row, actor=self.actor)
        except OwnersTeamStays as error:
            raise Conflict(str(error)) from error
        return Response(status=status.HTTP_204_NO_CONTENT)


class TeamMemberView(ApiView):
    """Someone in a team: a user by name, a robot by its whole name."""

    serializer_class = TeamSerializer

    @extend_schema(request=None, responses={204: None})
    def put(
        self, request: Request, organization: str, team: str, member: str
    ) -> Response:
        found = administered_organization(organization, self.actor)
        row, who = find_team(found, team), find_member(found, member)
        self.read_nothing()
        if isinstance(who, Robot):
            add_member(team=row, robot=who, actor=self.actor)
        else:
            add_member(team=row, user=who, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def delete(
        self, request: Request, organization: str, team: str, member: str
    ) -> Response:
        found = find_organization(organization)
        require(may_take_out(self.actor, found.namespace, member))
        row = find_team(found, team)
        who = find_member(found, member, also_suspended=True)
        try:
            if isinstance(who, Robot):
                remove_member(team=row, robot=who, actor=self.actor)
            else:
                remove_member(team=row, user=who, actor=self.actor)
        except LastOwner as error:
            raise Conflict(str(error)) from error
        return Response(status=status.HTTP_204_NO_CONTENT)


class MemberView(ApiView):
    """A person with any right in an organization, through teams or by single roles."""

    serializer_class = TeamSerializer  # of no answer

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, organization: str, member: str) -> Response:
        """Take away every right that the person has in the organization, at once.

        Teams, roles on its repositories, default permissions, open invitations, uploads
        and watched private repositories go; the webhooks whose URL the person set are
        disabled, for another administrator to check. It is 204 also for a person
        who has no right there.
        """
        found = find_organization(organization)
        require(may_take_out(self.actor, found.namespace, member))
        who = find_member(found, member, also_suspended=True)
        if isinstance(who, Robot):
            raise Http404
        try:
            remove_from_organization(organization=found, user=who, actor=self.actor)
        except LastOwner as error:
            raise Conflict(str(error)) from error
        return Response(status=status.HTTP_204_NO_CONTENT)
