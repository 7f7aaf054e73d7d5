"""Join and leave teams; an organization always keeps an owner."""

from django.db import transaction

from accounts.actors import Actor
from accounts.events import AccountEvent, tell
from accounts.models import Membership, Organization, Robot, Team, User
from accounts.models.teams import OWNERS_TEAM


class LastOwner(ValueError):
    """The one change that is refused: it would leave an organization without owner."""


def add_member(
    *,
    team: Team,
    actor: Actor,
    user: User | None = None,
    robot: Robot | None = None,
) -> None:
    """Put a user or a robot into a team; nothing happens to one who is in it."""
    with transaction.atomic():
        _, is_new = Membership.objects.get_or_create(team=team, user=user, robot=robot)
        if is_new:
            _tell(AccountEvent.MEMBER_ADDED, team, user or robot, actor)


def remove_member(
    *,
    team: Team,
    actor: Actor,
    user: User | None = None,
    robot: Robot | None = None,
) -> None:
    """Take a user or a robot out of a team.

    Raises LastOwner for the last active person in the owners team. The team's row is
    locked, so two owners who remove each other at once leave one.
    """
    with transaction.atomic():
        locked = Team.objects.select_for_update().get(pk=team.pk)
        members = Membership.objects.filter(team=locked)
        if (
            locked.name == OWNERS_TEAM
            and user is not None
            and not members.filter(user__is_active=True).exclude(user=user).exists()
        ):
            raise LastOwner("an organization keeps at least one owner who can sign in")
        deleted, _ = members.filter(user=user, robot=robot).delete()
        if deleted:
            _tell(AccountEvent.MEMBER_REMOVED, locked, user or robot, actor)


def remove_from_organization(
    *, organization: Organization, user: User, actor: Actor
) -> None:
    """Take a user out of every team, or of none: LastOwner as remove_member."""
    teams = Team.objects.filter(organization=organization, memberships__user=user)
    with transaction.atomic():
        # In one order, so that two who do this at once do not wait for each other.
        for team in teams.select_related("organization__namespace").order_by("pk"):
            remove_member(team=team, user=user, actor=actor)


def _tell(
    kind: AccountEvent, team: Team, member: User | Robot | None, actor: Actor
) -> None:
    assert member is not None, "a membership is a user's or a robot's"
    tell(
        kind,
        actor=actor,
        namespace=team.organization.namespace,
        detail={"team": team.name, "member": member.username},
    )
