"""May they administer this namespace, or see who is in it? (permissions.md, rule 2)

The owner of a user's namespace and the members of an organization's admin teams
administer it. A token only narrows: it has to allow *admin* and to reach the namespace.
"""

from django.db.models import QuerySet

from accounts.actions import Action
from accounts.actors import Actor
from accounts.decisions import Decision
from accounts.models import AccessToken, Membership, Namespace, Robot, Team, User


def may_administer(actor: Actor, namespace: Namespace) -> Decision:
    """Say whether the actor may change people, teams, robots and defaults there."""
    ceiling = actor.ceiling
    if Action.GRANT not in ceiling.actions or not ceiling.covers(
        repository_id=None, namespace_id=namespace.pk
    ):
        return Decision(
            False,
            lambda: (
                f"the token *{ceiling.token_name}* does not allow to administer "
                f"*{namespace.name}*"
            ),
        )
    if is_live(actor) and (
        (actor.user_id is not None and actor.user_id == namespace.user_id)
        or memberships_of(actor)
        .filter(
            team__organization=namespace.organization_id,
            team__standing=Team.Standing.ADMIN,
        )
        .exists()
    ):
        return Decision(
            True, lambda: f"{actor} is in a team that administers *{namespace.name}*"
        )
    return Decision(
        False, lambda: f"{actor} is in no team that administers *{namespace.name}*"
    )


def may_see_people(actor: Actor, namespace: Namespace) -> Decision:
    """Say whether the actor may see the teams: those who are in one of them.

    Whoever administers the namespace is among them, or owns it.
    """
    covered = actor.ceiling.covers(repository_id=None, namespace_id=namespace.pk)
    if covered and is_live(actor):
        if actor.user_id is not None and actor.user_id == namespace.user_id:
            return Decision(True, lambda: f"{actor} owns *{namespace.name}*")
        if (
            namespace.organization_id is not None
            and memberships_of(actor)
            .filter(team__organization=namespace.organization_id)
            .exists()
        ):
            return Decision(True, lambda: f"{actor} is in a team of *{namespace.name}*")
    return Decision(False, lambda: f"{actor} is in no team of *{namespace.name}*")


def is_live(actor: Actor) -> bool:
    """Tell whether the actor, authenticated a moment ago, may still act."""
    if actor.robot_id is not None:
        return Robot.objects.live().filter(pk=actor.robot_id).exists()
    if actor.user_id is None:
        return False
    if not User.objects.filter(pk=actor.user_id, is_active=True).exists():
        return False
    return (
        actor.access_token_id is None
        or AccessToken.objects.live().filter(pk=actor.access_token_id).exists()
    )


def memberships_of(actor: Actor) -> QuerySet[Membership]:
    """Return the rows that say in which teams the actor is."""
    if actor.robot_id is not None:
        return Membership.objects.filter(robot=actor.robot_id)
    if actor.user_id is not None:
        return Membership.objects.filter(user=actor.user_id)
    return Membership.objects.none()
