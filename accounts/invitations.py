"""Invite people to teams; they accept or decline.

An invitation is for a user, or for the reader of an email address; the mailed link
holds a secret that is kept as a hash. The inviter does not learn whether an address
belongs to a user: the row, the answer and the mail are the same.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.actors import Actor
from accounts.authentication import actor_of
from accounts.events import AccountEvent
from accounts.membership_decisions import lock_members, record_invitation
from accounts.memberships import add_member
from accounts.models import Invitation, Team, User
from accounts.models.fields import validate_line
from accounts.rates import take
from accounts.tokens import hash_token, hold_maker, is_token, make_token

INVITATION_PREFIX = "berth_inv_"
INVITATION_LIFETIME = timedelta(days=14)


class AlreadyMember(ValueError):
    """The user is in the team already."""


class AlreadyInvited(ValueError):
    """The user or the address has an invitation to the team that still stands."""


class InvitationOver(ValueError):
    """It was answered or withdrawn, its time is over, or it is someone else's."""


def invite(
    *, team: Team, actor: Actor, user: User | None = None, email: str = ""
) -> tuple[Invitation, str]:
    """Invite a user or an email address; the second value is the link's secret.

    The mail is queued in the same transaction; if it cannot be sent, the invitation
    stands and a user finds it on the site. Raises AlreadyMember (never for an address,
    which would reveal its owner), AlreadyInvited, and ValidationError for an invalid
    address.
    """
    assert (user is None) != (email == ""), "an invitation is to a user or an address"
    if email:
        validate_email(email)
        validate_line(email)
        email = User.objects.normalize_email(email)
    elif team.memberships.filter(user=user).exists():
        raise AlreadyMember(f"{user} is in team {team.name}")
    take("invitations", actor)
    secret = make_token(INVITATION_PREFIX)
    expires_at = timezone.now() + INVITATION_LIFETIME
    if actor.expires_at is not None:  # it does not outlive the token that made it
        expires_at = min(expires_at, actor.expires_at)
    to_whom = {"email__iexact": email} if user is None else {"user": user}
    try:
        with transaction.atomic():
            hold_maker(actor)
            _clear_way(team, to_whom, actor)
            invitation = Invitation.objects.create(
                team=team,
                user=user,
                email=email,
                token_hash=hash_token(secret),
                invited_by=actor.name,
                inviter_id=actor.user_id,
                inviting_robot_id=actor.robot_id,
                made_with_id=actor.access_token_id,
                expires_at=expires_at,
            )
            record_invitation(AccountEvent.INVITATION_SENT, invitation, actor)
            _queue_mail(invitation, secret)
    except IntegrityError as error:
        raise AlreadyInvited("there is an invitation to this team already") from error
    return invitation, secret


def find_by_secret(secret: str) -> Invitation | None:
    """Return the invitation of a mailed link, None if it no longer stands."""
    if not is_token(secret, INVITATION_PREFIX):
        return None
    return (
        Invitation.objects.standing()
        .with_team()
        .filter(token_hash=hash_token(secret))
        .first()
    )


def is_open_to(invitation: Invitation, user: User) -> bool:
    """Return whether a user who has the link of an invitation can answer it now."""
    return Invitation.objects.open_to(user).filter(pk=invitation.pk).exists()


def withdraw(*, invitation: Invitation, actor: Actor) -> None:
    """Take an invitation back; InvitationOver if it was answered in the meantime."""
    with transaction.atomic():
        _take(invitation)
        record_invitation(AccountEvent.INVITATION_WITHDRAWN, invitation, actor)


def accept(*, invitation: Invitation, user: User, actor: Actor | None = None) -> None:
    """Put the user into the team; else InvitationOver.

    The caller has made sure that an invitation to an address is the user's: by its
    secret, or by Invitation.objects.to(user). Of two answers at once one counts, since
    taking the row is what decides.
    """
    actor = actor or actor_of(user)
    with transaction.atomic():
        lock_members(invitation.team.organization_id)
        _take(invitation, user)
        add_member(team=invitation.team, user=user, actor=actor)
        record_invitation(AccountEvent.INVITATION_ACCEPTED, invitation, actor)


def decline(*, invitation: Invitation, user: User, actor: Actor | None = None) -> None:
    """Turn an invitation down; else InvitationOver. It may be sent again."""
    actor = actor or actor_of(user)
    with transaction.atomic():
        _take(invitation, user)
        record_invitation(AccountEvent.INVITATION_DECLINED, invitation, actor)


def forget_invitations() -> None:
    """Delete invitations whose time is over."""
    Invitation.objects.expired().delete()


def _clear_way(team: Team, to_whom: dict[str, Any], actor: Actor) -> None:
    """Delete an invitation that no longer stands, for a new one to the same person."""
    there = Invitation.objects.filter(team=team, **to_whom)
    over = list(there.exclude(pk__in=there.standing()).with_team())
    for invitation in over:
        if invitation.expires_at > timezone.now():
            record_invitation(AccountEvent.INVITATION_WITHDRAWN, invitation, actor)
    there.filter(pk__in=[invitation.pk for invitation in over]).delete()


def _take(invitation: Invitation, user: User | None = None) -> None:
    """Delete the row, for a user only if they can answer it; else InvitationOver."""
    if user is not None and not is_open_to(invitation, user):
        raise InvitationOver("this invitation is over, or is for another account")
    deleted, _ = Invitation.objects.filter(pk=invitation.pk).delete()
    if not deleted:
        raise InvitationOver("this invitation was answered or withdrawn already")


def _queue_mail(invitation: Invitation, secret: str) -> None:
    """Queue the mail with the link (accounts/mail.py)."""
    address = invitation.user.email if invitation.user else invitation.email
    if not address:
        return  # a user without an address finds the invitation on the site
    organization = invitation.team.organization.namespace.name
    text = render_to_string(
        "mail/invitation.txt",
        {
            "invited_by": invitation.invited_by,
            "organization": organization,
            "team": invitation.team.name,
            "registry": settings.BERTH_SERVICE,
            "link": f"{settings.BERTH_URL}/invitations/{secret}",
            "expires_at": invitation.expires_at,
        },
    )
    # Only names of the grammar are in a header; Django refuses a line break there.
    EmailMessage(
        subject=f"{invitation.invited_by} invites you to {organization}",
        body=text,
        to=[address],
    ).send()
