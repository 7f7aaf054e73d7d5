"""Join and leave teams; an organization always keeps an owner."""

from django.db import transaction
from django.dispatch import Signal

from accounts.actors import Actor
from accounts.events import AccountEvent, record_account_event
from accounts.liveness import live_user
from accounts.membership_decisions import (
    lock_members,
    record_decision,
    withdraw_without_inviter,
)
from accounts.models import (
    AccessTokenLimit,
    Membership,
    Organization,
    Robot,
    Team,
    User,
)
from accounts.models.teams import OWNERS_TEAM

# Sent with ``namespace``, ``user`` and ``actor`` in the transaction that takes every
# right in an organization from a user.
member_leaves = Signal()


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
        lock_members(team.organization_id)
        _, is_new = Membership.objects.get_or_create(team=team, user=user, robot=robot)
        if is_new:
            _record(AccountEvent.MEMBER_ADDED, team, user or robot, actor)
            _note(team, user, actor)


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
        lock_members(team.organization_id)
        locked = Team.objects.select_for_update().get(pk=team.pk)
        members = Membership.objects.filter(team=locked)
        if (
            locked.name == OWNERS_TEAM
            and user is not None
            and not members.filter(live_user("user__")).exclude(user=user).exists()
        ):
            raise LastOwner("an organization keeps at least one owner who can sign in")
        deleted, _ = members.filter(user=user, robot=robot).delete()
        if deleted:
            _record(AccountEvent.MEMBER_REMOVED, locked, user or robot, actor)
            _note(locked, user, actor)


def remove_from_organization(
    *, organization: Organization, user: User, actor: Actor
) -> None:
    """Take every right in an organization from a user: LastOwner as remove_member.

    That is out of every team, or of none; what other apps gave to the user there goes
    with ``member_leaves``: roles on repositories, default permissions, what they watch,
    their webhooks, uploads and open invitations. Their limited access tokens no longer
    reach it. It does no harm to do this twice.
    """
    teams = Team.objects.filter(organization=organization, memberships__user=user)
    with transaction.atomic():
        lock_members(organization.pk)
        # In one order, so that two who do this at once do not wait for each other.
        for team in teams.select_related("organization__namespace").order_by("pk"):
            remove_member(team=team, user=user, actor=actor)
        AccessTokenLimit.objects.filter(
            access_token__user=user, namespace__organization=organization
        ).delete()
        record_decision(user=user, organization=organization, actor=actor)
        member_leaves.send(
            sender=Organization,
            namespace=organization.namespace,
            user=user,
            actor=actor,
        )


def _note(team: Team, user: User | None, actor: Actor) -> None:
    if user is not None:
        record_decision(user=user, organization=team.organization, actor=actor)
    else:  # a robot gets no invitations, and what it sent may end
        withdraw_without_inviter(team.organization, actor=actor)


def _record(
    kind: AccountEvent, team: Team, member: User | Robot | None, actor: Actor
) -> None:
    assert member is not None, "a membership is a user's or a robot's"
    record_account_event(
        kind,
        actor=actor,
        namespace=team.organization.namespace,
        detail={"team": team.name, "member": member.username},
    )
