"""Invitations to teams, of an organization and to oneself (…/invitations)."""

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.finders import find_invitation
from accounts.invitations import (
    AlreadyInvited,
    AlreadyMember,
    InvitationOver,
    accept,
    decline,
    invite,
    withdraw,
)
from accounts.liveness import live_user
from accounts.models import Invitation, Team, User
from api.accounts.access import administered_organization, full_person
from api.accounts.serializers import (
    InvitationAnswerSerializer,
    InvitationSerializer,
    NewInvitationSerializer,
    OwnInvitationSerializer,
)
from api.kit.errors import Conflict
from api.kit.views import ApiView


class InvitationsView(ApiView):
    """Invitations to an organization's teams that no one answered yet."""

    serializer_class = InvitationSerializer
    is_list = True

    def get(self, request: Request, organization: str) -> Response:
        found = administered_organization(organization, self.actor)
        rows = (
            Invitation.objects.standing().with_team().filter(team__organization=found)
        )
        return self.answer_list(rows, InvitationSerializer)

    @extend_schema(
        request=NewInvitationSerializer, responses={201: InvitationSerializer}
    )
    def post(self, request: Request, organization: str) -> Response:
        """Invite a user, or an email address; the secret goes by mail only."""
        found = administered_organization(organization, self.actor)
        fields = self.read(NewInvitationSerializer)
        team = (
            Team.objects.select_related("organization__namespace")
            .filter(organization=found, name=fields["team"])
            .first()
        )
        if team is None:
            raise ValidationError(
                {"team": f"there is no team called '{fields['team']}'"}
            )
        try:
            invitation, _ = invite(
                team=team,
                actor=self.actor,
                user=self.find_user(fields.get("username")),
                email=fields.get("email", ""),
            )
        except (AlreadyMember, AlreadyInvited) as error:
            raise Conflict(str(error)) from error
        return Response(
            InvitationSerializer(invitation).data, status=status.HTTP_201_CREATED
        )

    def find_user(self, username: str | None) -> User | None:
        if username is None:
            return None
        user = User.objects.filter(live_user(), username=username).first()
        if user is None:
            raise ValidationError({"username": f"there is no user named '{username}'"})
        return user


class InvitationView(ApiView):
    """One invitation of an organization."""

    serializer_class = InvitationSerializer

    def delete(self, request: Request, organization: str, invitation: int) -> Response:
        """Withdraw it; the mailed link ends at once."""
        found = administered_organization(organization, self.actor)
        try:
            withdraw(invitation=find_invitation(found, invitation), actor=self.actor)
        except InvitationOver as error:
            raise Http404 from error
        return Response(status=status.HTTP_204_NO_CONTENT)


class OwnInvitationsView(ApiView):
    """Invitations to oneself, by name or by one's own email address."""

    serializer_class = OwnInvitationSerializer
    is_list = True

    def get(self, request: Request) -> Response:
        rows = Invitation.objects.to(full_person(self.actor)).with_team()
        return self.answer_list(rows, OwnInvitationSerializer)


class OwnInvitationView(ApiView):
    """One invitation to oneself."""

    serializer_class = InvitationAnswerSerializer

    @extend_schema(request=InvitationAnswerSerializer, responses={204: None})
    def post(self, request: Request, invitation: int) -> Response:
        """Accept it or decline it."""
        user = full_person(self.actor)
        row = Invitation.objects.to(user).with_team().filter(pk=invitation).first()
        if row is None:
            raise Http404
        fields = self.read(InvitationAnswerSerializer)
        answer = accept if fields["answer"] == "accept" else decline
        try:
            answer(invitation=row, user=user, actor=self.actor)
        except InvitationOver as error:
            raise Http404 from error
        return Response(status=status.HTTP_204_NO_CONTENT)
