"""Withdraws invitations that a later decision has overtaken.

When someone joins or leaves a team, is removed or suspended, what was decided last
counts: every open invitation of that organization to the person is withdrawn, by name
and by each of their addresses, and so is every one that they made and could not make
any more. A link that went to an address that is not known as theirs gives nothing to
them either, since it is older than the decision (is_overtaken).
"""

from collections.abc import Iterable

from allauth.account.models import EmailAddress
from django.db.models import Q
from django.db.models.functions import Lower
from django.dispatch import receiver
from django.utils import timezone

from accounts.actors import Actor
from accounts.authentication import actor_of
from accounts.events import AccountEvent, record_account_event
from accounts.models import (
    AccessToken,
    Invitation,
    MembershipDecision,
    Organization,
    User,
)
from accounts.namespace_rights import may_administer
from accounts.tokens import token_revoked


def lock_members(organization_id: int) -> None:
    """Let decisions on the members of an organization come one after the other."""
    rows = Organization.objects.select_for_update(no_key=True)
    rows.get(pk=organization_id)


def note_decision(
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
    open_there = Invitation.objects.alias(address=Lower("email"))
    if organization is not None:
        open_there = open_there.filter(team__organization=organization)
    to_user = Q(user=user) | Q(address__in=addresses_of(user))
    if organization is None or not may_administer(
        actor_of(user), organization.namespace
    ):
        to_user |= Q(inviter=user)
    withdraw_all(open_there.filter(to_user).with_team(), actor=actor)


def is_overtaken(invitation: Invitation, user: User) -> bool:
    """Return whether the user's teams were decided on after the invitation was made."""
    return MembershipDecision.objects.filter(
        Q(organization=invitation.team.organization_id) | Q(organization=None),
        user=user,
        decided_at__gte=invitation.created_at,
    ).exists()


def may_still_invite(invitation: Invitation) -> bool:
    """Return whether the inviter could still make the invitation."""
    robot, user = invitation.inviting_robot, invitation.inviter
    if robot is not None:
        return robot.is_live
    if user is None:
        return True  # an administrator of the site, or a command
    return bool(may_administer(actor_of(user), invitation.team.organization.namespace))


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
