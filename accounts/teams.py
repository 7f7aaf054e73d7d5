"""Make, change and delete teams."""

from typing import Any

from django.db import transaction

from accounts.actors import Actor
from accounts.events import AccountEvent, record_account_event
from accounts.membership_decisions import lock_members, withdraw_without_inviter
from accounts.models import Team
from accounts.models.teams import OWNERS_TEAM
from accounts.rates import take
from database.rows import changes_of, save_changes


class OwnersTeamStays(ValueError):
    """The owners team keeps its name and its standing, and cannot be deleted."""

    def __init__(self) -> None:
        super().__init__("the owners team stays as it is; only its members change")


def create_team(*, team: Team, actor: Actor) -> None:
    """Save a new team; IntegrityError when the organization has one of that name."""
    take("teams", actor)
    with transaction.atomic():
        team.save(force_insert=True)
        _record(AccountEvent.TEAM_CREATED, team, actor, standing=team.standing)


def change_team(*, team: Team, actor: Actor, **fields: Any) -> None:
    """Change name, description or standing.

    What members invited to who no longer administer the organization is withdrawn.
    Raises OwnersTeamStays, and IntegrityError when another team has the name.
    """
    changes = changes_of(team, fields)
    if not changes:
        return
    if team.name == OWNERS_TEAM:
        raise OwnersTeamStays
    before = {name: getattr(team, name) for name in changes}
    with transaction.atomic():
        lock_members(team.organization_id)
        save_changes(team, changes)
        withdraw_without_inviter(team.organization, actor=actor)
        _record(
            AccountEvent.TEAM_CHANGED,
            team,
            actor,
            changed=list(changes),
            standing=team.standing,
            was={n: str(v) for n, v in before.items() if n in {"name", "standing"}},
        )


def delete_team(*, team: Team, actor: Actor) -> None:
    """Delete a team with its memberships and grants; nothing if it is gone already."""
    if team.name == OWNERS_TEAM:
        raise OwnersTeamStays
    with transaction.atomic():
        lock_members(team.organization_id)
        locked = Team.objects.select_for_update().filter(pk=team.pk).first()
        if locked is None:
            return
        rows = locked.memberships.select_related("user", "robot__namespace")
        members = [row.user or row.robot for row in rows]
        _record(
            AccountEvent.TEAM_DELETED,
            locked,
            actor,
            members=sorted(member.username for member in members if member),
        )
        locked.delete()
        withdraw_without_inviter(team.organization, actor=actor)


def _record(kind: AccountEvent, team: Team, actor: Actor, **detail: Any) -> None:
    record_account_event(
        kind,
        actor=actor,
        namespace=team.organization.namespace,
        detail={"team": team.name, **detail},
    )
