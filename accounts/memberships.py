"""Join and leave teams; an organization always keeps an owner."""

from django.db import transaction

from accounts.models import Membership, Robot, Team, User
from accounts.models.teams import OWNERS_TEAM


class LastOwner(ValueError):
    """The one change that is refused: it would leave an organization without owner."""


def add_member(
    *, team: Team, user: User | None = None, robot: Robot | None = None
) -> None:
    """Put a user or a robot into a team; nothing happens to one who is in it."""
    Membership.objects.get_or_create(team=team, user=user, robot=robot)


def remove_member(
    *, team: Team, user: User | None = None, robot: Robot | None = None
) -> None:
    """Take a user or a robot out of a team.

    Raises LastOwner for the last person in the owners team. The team's row is locked,
    so two owners who remove each other at once leave one.
    """
    with transaction.atomic():
        locked = Team.objects.select_for_update().get(pk=team.pk)
        members = Membership.objects.filter(team=locked)
        if (
            locked.name == OWNERS_TEAM
            and user is not None
            and not members.filter(user__isnull=False).exclude(user=user).exists()
        ):
            raise LastOwner("an organization keeps at least one owner")
        members.filter(user=user, robot=robot).delete()
