"""Fetch by name and authorise in one call; what one may not know of is 404."""

from django.http import Http404
from rest_framework.exceptions import PermissionDenied

from accounts.actions import Action
from accounts.actors import Actor
from accounts.api.base import require
from accounts.models import (
    Invitation,
    Namespace,
    Organization,
    Robot,
    Team,
    User,
)
from accounts.moved import Moved
from accounts.permissions import may_administer, may_see_people


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


def administered_organization(name: str, actor: Actor) -> Organization:
    """Return an organization that the actor administers, else 403 with the reason."""
    organization = find_organization(name)
    require(may_administer(actor, organization.namespace))
    return organization


def seen_organization(name: str, actor: Actor) -> Organization:
    """Return an organization whose people the actor may see, else 403."""
    organization = find_organization(name)
    require(may_see_people(actor, organization.namespace))
    return organization


def find_team(organization: Organization, name: str) -> Team:
    team = (
        Team.objects.with_members().filter(organization=organization, name=name).first()
    )
    if team is None:
        raise Http404
    return team


def robots_owner(organization: str | None, actor: Actor) -> Namespace:
    """Return the namespace of an organization, of oneself for None, to administer."""
    if organization is not None:
        return administered_organization(organization, actor).namespace
    if actor.user_id is None:
        raise PermissionDenied("a robot has no account")
    namespace = Namespace.objects.get(user=actor.user_id)
    require(may_administer(actor, namespace))
    return namespace


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
    if user is None or not (user.is_active or also_suspended):
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


def full_person(actor: Actor) -> User:
    """Return the user, unless a narrowed token asks: it must not widen itself."""
    ceiling = actor.ceiling
    if actor.user_id is None:
        raise PermissionDenied("a robot has no account")
    if (
        Action.GRANT not in ceiling.actions
        or ceiling.repository_ids is not None
        or ceiling.namespace_ids is not None
    ):
        raise PermissionDenied("this token does not allow to manage the account")
    return User.objects.get(pk=actor.user_id)
