"""May they administer this namespace, or see who is in it?

Rule 2 of docs/development/permissions.md: the owner of a user's namespace and the
members of an organization's admin teams administer it. A token only narrows: it has to
allow *admin* and to reach the namespace.
"""

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.actions import Action
from accounts.actors import Actor
from accounts.decisions import Decision
from accounts.liveness import live_user
from accounts.models import (
    AccessToken,
    Membership,
    Namespace,
    Organization,
    Robot,
    Team,
    User,
)
from accounts.models.teams import ADMINISTERING, CREATING

OWNER = "owner"  # of a person's namespace
Standings = frozenset[str]
ADMINISTERING_STANDINGS: Standings = frozenset({OWNER, ADMINISTERING})
CREATING_STANDINGS: Standings = frozenset({OWNER, *CREATING})


def may_administer(
    actor: Actor, namespace: Namespace, standings: Standings | None = None
) -> Decision:
    """Decide whether the actor may change people, teams, robots and defaults there.

    Who asks more than one question passes standings_of, and asks the database once.
    """
    ceiling = actor.ceiling
    if Action.GRANT not in ceiling.actions or not ceiling.covers(
        repository_id=None, namespace_id=namespace.pk
    ):
        return Decision(
            False,
            lambda: (
                f"the token *{ceiling.token_name}* does not allow administering "
                f"*{namespace.name}*"
            ),
        )
    if standings is None:
        standings = standings_of(actor, namespace)
    if standings & ADMINISTERING_STANDINGS:
        return Decision(
            True, lambda: f"{actor} is in a team that administers *{namespace.name}*"
        )
    return Decision(
        False, lambda: f"{actor} is in no team that administers *{namespace.name}*"
    )


def namespaces_administered_by(actor: Actor) -> QuerySet[Namespace]:
    """Return the namespaces for which may_administer allows the actor."""
    if Action.GRANT not in actor.ceiling.actions:
        return Namespace.objects.none()
    return namespaces_reached_by(actor, ADMINISTERING_STANDINGS)


def namespaces_reached_by(actor: Actor, standings: Standings) -> QuerySet[Namespace]:
    """Return the namespaces in reach of the token where the actor has a standing."""
    found = namespaces_with_standing(actor, standings)
    if actor.ceiling.is_everywhere:
        return found
    return found.filter(pk__in=actor.ceiling.namespace_ids or ())


def namespaces_with_standing(
    actor: Actor, standings: Standings = ADMINISTERING_STANDINGS
) -> QuerySet[Namespace]:
    """Return the namespaces in which standings_of has one of these.

    The ceiling of the actor's token is the caller's question.
    """
    if actor.is_anonymous:
        return Namespace.objects.none()
    teams = teams_of(actor).filter(standing__in=standings - {OWNER})
    found = Q(organization__in=teams.values("organization"))
    if actor.user_id is not None and OWNER in standings:
        found |= Q(user=actor.user_id)
    return Namespace.objects.filter(Exists(live_rows(actor)), found)


def administrators_of(namespace: Namespace) -> QuerySet[User]:
    """Return the users whom may_administer allows, with a session of theirs."""
    teams = Team.objects.administering().of_namespace(namespace)
    return User.objects.filter(
        live_user(), Q(pk=namespace.user_id) | Q(memberships__team__in=teams)
    ).distinct()


def organizations_of(actor: Actor) -> QuerySet[Organization]:
    """Return the organizations whose people may_see_people shows to the actor."""
    teams = memberships_of(actor).values("team")
    found = Organization.objects.filter(teams__in=teams).distinct()
    if actor.ceiling.is_everywhere:
        return found
    return found.filter(namespace__in=actor.ceiling.namespace_ids or ())


def may_see_people(
    actor: Actor, namespace: Namespace, standings: Standings | None = None
) -> Decision:
    """Decide whether the actor may see the teams: those who are in one of them.

    People who administer the namespace are among them, or own it.
    """
    ceiling = actor.ceiling
    if not ceiling.covers(repository_id=None, namespace_id=namespace.pk):
        return Decision(
            False,
            lambda: (
                f"the token *{ceiling.token_name}* does not reach *{namespace.name}*"
            ),
        )
    if standings is None:
        standings = standings_of(actor, namespace)
    if OWNER in standings:
        return Decision(True, lambda: f"{actor} owns *{namespace.name}*")
    if standings:
        return Decision(True, lambda: f"{actor} is in a team of *{namespace.name}*")
    return Decision(False, lambda: f"{actor} is in no team of *{namespace.name}*")


def may_take_out(
    actor: Actor,
    namespace: Namespace,
    member: str,
    standings: Standings | None = None,
) -> Decision:
    """Decide whether the actor may take a login out of teams; people may leave.

    Those who do not see the teams get the same answer for their own name.
    """
    administers = may_administer(actor, namespace, standings)
    is_oneself = actor.user_id is not None and actor.name == member
    if administers or not is_oneself or Action.GRANT not in actor.ceiling.actions:
        return administers
    if may_see_people(actor, namespace, standings):
        return Decision(True, lambda: f"{actor} can leave *{namespace.name}*")
    return administers


def standings_of(actor: Actor, namespace: Namespace) -> Standings:
    """Return what the actor is there: OWNER, and the standings of its teams.

    One query; nothing for who may not act any more.
    """
    if actor.user_id is not None and actor.user_id == namespace.user_id:
        return frozenset({OWNER}) if is_live(actor) else frozenset()
    if namespace.organization_id is None:
        return frozenset()
    teams = memberships_of(actor).filter(team__organization=namespace.organization_id)
    return frozenset(teams.values_list("team__standing", flat=True))


def is_live(actor: Actor) -> bool:
    """Return whether the actor, authenticated a moment ago, may still act."""
    return live_rows(actor).exists()


def live_rows(actor: Actor) -> QuerySet[Any]:
    """Return the actor's user or robot, none once it can no longer act.

    A user cannot act any more when what they signed in with has ended.
    """
    if actor.robot_id is not None:
        return Robot.objects.live().filter(pk=actor.robot_id)
    if actor.user_id is None:
        return User.objects.none()
    users = User.objects.filter(live_user(), pk=actor.user_id)
    if actor.epoch is not None:
        users = users.filter(epoch=actor.epoch)
    if actor.access_token_id is not None:
        tokens = AccessToken.objects.live().filter(
            pk=actor.access_token_id, user=OuterRef("pk")
        )
        users = users.filter(Exists(tokens))
    return users


def teams_of(actor: Actor) -> QuerySet[Team]:
    """Return the teams of an actor that can still act, which the caller asks."""
    if actor.user_id is not None:
        return Team.objects.filter(memberships__user=actor.user_id)
    return Team.objects.filter(memberships__robot=actor.robot_id or 0)


def memberships_of(actor: Actor) -> QuerySet[Membership]:
    """Return in which teams the actor is; none for who may not act any more."""
    kind = "user" if actor.robot_id is None else "robot"
    return Membership.objects.filter(**{f"{kind}__in": live_rows(actor)})
