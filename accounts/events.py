"""Announces what happened to people, teams, robots and tokens, as it happens.

Events are rows of the app repositories, which imports this one and not the other way
round: it listens to ``happened`` and writes the row in the transaction of the caller
(repositories/events/recording.py). Call it inside that transaction.
"""

from typing import Any

from django.db import models
from django.dispatch import Signal

from accounts.actors import Actor
from accounts.models import Namespace, User

happened = Signal()  # kind, actor, namespace, detail


class AccountEvent(models.TextChoices):
    """The kinds of account events in the audit log; the words of its filters."""

    ORGANIZATION_CREATED = "organization.created"
    ORGANIZATION_CHANGED = "organization.changed"
    ORGANIZATION_RENAMED = "organization.renamed"
    NAME_FREED = "name.freed"  # a former one, for others
    ORGANIZATION_DELETED = "organization.deleted"
    TEAM_CREATED = "team.created"
    TEAM_CHANGED = "team.changed"
    TEAM_DELETED = "team.deleted"
    MEMBER_ADDED = "member.added"
    MEMBER_REMOVED = "member.removed"
    INVITATION_SENT = "invitation.sent"
    INVITATION_WITHDRAWN = "invitation.withdrawn"
    INVITATION_ACCEPTED = "invitation.accepted"
    INVITATION_DECLINED = "invitation.declined"
    ROBOT_CREATED = "robot.created"
    ROBOT_CHANGED = "robot.changed"
    ROBOT_TOKEN_REPLACED = "robot.token_replaced"
    ROBOT_EXPIRES = "robot.expires_soon"  # a week before
    ROBOT_DELETED = "robot.deleted"
    TOKEN_ISSUED = "token.issued"
    TOKEN_REVOKED = "token.revoked"
    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    USER_RENAMED = "user.renamed"
    USER_DELETED = "user.deleted"
    USER_SUSPENDED = "user.suspended"
    USER_ACTIVATED = "user.activated"
    USER_PASSWORD_CHANGED = "user.password_changed"
    USER_SECOND_FACTOR = "user.second_factor"
    USER_LOGIN_ENDED = "user.login_ended"  # docker's, by whoever it is of
    USER_SIGNED_IN = "user.signed_in"  # a session on the site; tokens have last_used_at


def record_account_event(
    kind: AccountEvent,
    *,
    actor: Actor,
    namespace: Namespace | None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Record what happened in a namespace (None: on the site)."""
    happened.send(
        sender=AccountEvent,
        kind=kind,
        actor=actor,
        namespace=namespace,
        detail=detail or {},
    )


def record_user_event(
    kind: AccountEvent,
    *,
    user: User,
    actor: Actor,
    detail: dict[str, Any] | None = None,
) -> None:
    """Record what happened to a person's account, in the person's own namespace."""
    record_account_event(
        kind,
        actor=actor,
        namespace=Namespace.objects.filter(user=user).first(),
        detail={"user": user.username, **(detail or {})},
    )
