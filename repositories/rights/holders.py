"""Finds the holders of a right: everyone who has it, with the reason.

The same rule as decisions.decide, asked from the repository's side: the rights of all
people and robots are read in three queries, however many they are, and decided by the
same function. A test over a generated population holds the two against each other.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Q

from accounts.actions import Action
from accounts.actors import Actor
from accounts.authentication import actor_of, actor_of_robot
from accounts.models import Membership, Robot, Team, User
from repositories.models import Grant, Repository
from repositories.rights.decisions import Right, decide_by, in_order


@dataclass(frozen=True, slots=True, order=True)
class Holder:
    """Someone who may, and why."""

    who: str  # the login; a robot's has a plus sign, so that no two are the same
    kind: str = field(compare=False)  # user or robot
    reason: str = field(compare=False)


def holders_of(
    repository: Repository, action: Action, tag: str | None = None
) -> list[Holder]:
    """Return everyone with a right of their own to the action, sorted by login.

    That anyone may pull from a public repository (Repository.is_public) is not said of
    each. Without a tag, a right for some tags counts, as in decisions.decide.
    """
    facts = repository.facts
    holders = []
    for actor, rights in _rights_by_actor(repository).items():
        decision = decide_by(in_order(rights), actor, action, facts, tag)
        if decision:
            kind = "user" if actor.robot_id is None else "robot"
            holders.append(Holder(actor.name, kind, decision.reason))
    return sorted(holders)


def _rights_by_actor(repository: Repository) -> dict[Actor, list[Right]]:
    rights: dict[Actor, list[Right]] = defaultdict(list)
    namespace = repository.namespace
    if owner := _live_actor(namespace.user, None):
        rights[owner].append(Right("owner", "admin"))
    grants = Grant.objects.filter(repository=repository).select_related(
        "user", "robot__namespace__user"
    )
    of_teams: dict[int, list[Grant]] = defaultdict(list)
    for grant in grants:
        if grant.team_id is not None:
            of_teams[grant.team_id].append(grant)
        if actor := _live_actor(grant.user, grant.robot):
            rights[actor].append(Right("grant", grant.role, grant.tag_glob))
    for membership in _memberships(repository, of_teams):
        team = membership.team
        actor = _live_actor(membership.user, membership.robot)
        if actor is None:
            continue
        if team.administers and team.organization_id == namespace.organization_id:
            rights[actor].append(Right("administrator", "admin", team=team.name))
        for grant in of_teams.get(team.pk, ()):
            rights[actor].append(Right("team", grant.role, grant.tag_glob, team.name))
    return rights


def _memberships(
    repository: Repository, team_ids: Iterable[int]
) -> Iterable[Membership]:
    administering = Team.objects.administering().of_namespace(repository.namespace)
    return Membership.objects.filter(
        Q(team__in=administering) | Q(team__in=list(team_ids))
    ).select_related("team", "user", "robot__namespace__user")


def _live_actor(user: User | None, robot: Robot | None) -> Actor | None:
    """Return the actor of a user or a robot; None if it cannot act, or is neither."""
    if user is not None and user.is_live:
        return actor_of(user)
    if robot is not None and robot.is_live:
        return actor_of_robot(robot)
    return None
