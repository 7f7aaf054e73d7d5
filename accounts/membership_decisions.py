"""Withdraws invitations that a later decision has overtaken.

When someone joins or leaves a team, is removed or suspended, what was decided last
counts: every open invitation of that organization to the person is withdrawn, by name
and by each of their addresses. So are those whose inviter, a user or a robot, no longer
administers the organization. A link that went to an address that is not known as theirs
gives nothing to them either, since it is older than the decision
(accounts/models/invitations.py).
"""

from collections.abc import Iterable

from allauth.account.models import EmailAddress
from django.db.models import Q
from django.db.models.functions import Lower
from django.dispatch import receiver
from django.utils import timezone

from accounts.actors import Actor
from accounts.events import AccountEvent, record_account_event
from accounts.models import (
    AccessToken,
    Invitation,
    MembershipDecision,
    Organization,
    Robot,
    User,
)
from accounts.tokens import token_revoked


def lock_members(organization_id: int) -> None:
    """Let decisions on the members of an organization come one after the other."""
    rows = Organization.objects.select_for_update(no_key=True)
    rows.get(pk=organization_id)


def record_decision(
    *, user: User, organization: Organization | None, actor: Actor
) -> None:
    """Record that a user's teams were decided on, in the caller's transaction.

    Without an organization, in all of them.
    """
    MembershipDecision.objects.update_or_create(
        user=user,
        organization=organization,
        defaults={"decided_at": timezone.now()},
    )
    to_user = Q(user=user) | Q(address__in=addresses_of(user))
    ended = Invitation.objects.alias(address=Lower("email"))
    if organization is None:
        ended = ended.filter(to_user | Q(inviter=user))
    else:
        ended = ended.filter(to_user, team__organization=organization)
        withdraw_without_inviter(organization, actor=actor)
    withdraw_all(ended.with_team(), actor=actor)


def withdraw_without_inviter(organization: Organization, *, actor: Actor) -> None:
    """Withdraw what was sent by those who no longer administer the organization.

    In the caller's transaction, which took a member, a team or its standing away.
    """
    there = Invitation.objects.filter(team__organization=organization)
    withdraw_all(there.without_inviter().with_team(), actor=actor)


def withdraw_sent_by(robot: Robot, *, actor: Actor) -> None:
    """Withdraw what a robot sent whose token ends, in the caller's transaction."""
    sent = Invitation.objects.filter(inviting_robot=robot)
    withdraw_all(sent.with_team(), actor=actor)


def addresses_of(user: User) -> set[str]:
    """Return the user's addresses in lower case, confirmed or not."""
    addresses = EmailAddress.objects.filter(user=user).values_list("email", flat=True)
    return {address.lower() for address in (*addresses, user.email) if address}


def withdraw_all(invitations: Iterable[Invitation], *, actor: Actor) -> None:
    """Withdraw invitations in the caller's transaction, each with its event."""
    for invitation in invitations:
        deleted, _ = Invitation.objects.filter(pk=invitation.pk).delete()
        if deleted:
            record_invitation(AccountEvent.INVITATION_WITHDRAWN, invitation, actor)


@receiver(token_revoked)
def withdraw_made_with(
    *, tokens: list[AccessToken], actor: Actor, **signal: object
) -> None:
    """Withdraw what was made with tokens that are revoked."""
    made = Invitation.objects.filter(made_with__in=tokens).with_team()
    withdraw_all(made, actor=actor)


def record_invitation(kind: AccountEvent, invitation: Invitation, actor: Actor) -> None:
    """Add what happened to an invitation to the audit log."""
    team = invitation.team
    detail = {"team": team.name}
    if invitation.user is not None:
        detail["user"] = invitation.user.username
    else:
        detail["email"] = invitation.email
    record_account_event(
        kind, actor=actor, namespace=team.organization.namespace, detail=detail
    )
