"""Fetch what belongs to accounts by its name; what is not there is Http404.

What an actor may do with it is decided in accounts/namespace_rights.py.
"""

from django.http import Http404

from accounts.former_names import Moved
from accounts.models import Invitation, Namespace, Organization, Robot, Team, User


def find_organization(name: str) -> Organization:
    """Return an organization; that there is one is no secret.

    Raises Moved for a name that it had before.
    """
    organization = (
        Organization.objects.select_related("namespace")
        .filter(namespace__name=name)
        .first()
    )
    if organization is None:
        moved = Namespace.objects.called(name)
        if moved is not None and moved.organization_id is not None:
            raise Moved(organization=moved.name)
        raise Http404
    return organization


def find_team(organization: Organization, name: str) -> Team:
    team = (
        Team.objects.with_members().filter(organization=organization, name=name).first()
    )
    if team is None:
        raise Http404
    return team


def find_robot(namespace: Namespace, name: str) -> Robot:
    robot = (
        Robot.objects.select_related("namespace")
        .filter(namespace=namespace, name=name)
        .first()
    )
    if robot is None:
        raise Http404
    return robot


def find_member(
    organization: Organization, name: str, *, also_suspended: bool = False
) -> User | Robot:
    """Return a user by name, or a robot of the organization by its whole name."""
    prefix, plus, robot_name = name.partition("+")
    if plus:
        if not organization.namespace.is_called(prefix):
            raise Http404
        return find_robot(organization.namespace, robot_name)
    user = User.objects.filter(username=name).first()
    if user is None or not (user.is_live or also_suspended):
        raise Http404
    return user


def find_invitation(organization: Organization, invitation_id: int) -> Invitation:
    """Return an invitation to one of the organization's teams, also an expired one."""
    invitation = (
        Invitation.objects.with_team()
        .filter(team__organization=organization, pk=invitation_id)
        .first()
    )
    if invitation is None:
        raise Http404
    return invitation
