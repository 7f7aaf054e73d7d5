"""Fetch by name and authorize in one call; what one may not know of is 404."""

from rest_framework.exceptions import PermissionDenied

from accounts.actions import Action
from accounts.actors import Actor
from accounts.finders import find_organization
from accounts.models import Namespace, Organization, User
from accounts.namespace_rights import may_administer, may_see_people
from api.kit.views import require


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


def robots_owner(organization: str | None, actor: Actor) -> Namespace:
    """Return the namespace of an organization, of oneself for None, to administer."""
    if organization is not None:
        return administered_organization(organization, actor).namespace
    if actor.user_id is None:
        raise PermissionDenied("a robot has no account")
    namespace = Namespace.objects.get(user=actor.user_id)
    require(may_administer(actor, namespace))
    return namespace


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
        raise PermissionDenied("this token does not allow managing the account")
    return User.objects.get(pk=actor.user_id)
