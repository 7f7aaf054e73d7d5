"""Decides who can still act: users, robots and access tokens that have not ended.

    a user          is active
    a robot         is active, has not expired, and its owner, if a user, is active
    an access token is not revoked, has not expired, and its user is active
    a password      belongs to an active user and is of the account's current epoch

The rule has three forms: a condition on rows in the database (``live_robot``), a test
of a row in memory (``is_live_robot``), and SQL for the query behind every pull and push
(``live_arms``). Change all three together; tests/site/test_rules_as_sets.py compares
them. For an actor, ask ``is_live`` of accounts/namespace_rights.py.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from accounts.actors import Actor
from database.sql import Arm

if TYPE_CHECKING:
    from accounts.models import AccessToken, Robot, User


# --- rows in the database; ``prefix`` leads to their table: "robot__"


def live_user(prefix: str = "") -> Q:
    """Return the condition for users who can act."""
    return Q(**{f"{prefix}is_active": True})


def live_robot(prefix: str = "") -> Q:
    """Return the condition for robots that can act."""
    owner = f"{prefix}namespace__user"
    has_live_owner = Q(**{owner: None}) | live_user(f"{owner}__")
    return Q(_unexpired(prefix), has_live_owner, **{f"{prefix}is_active": True})


def live_token(prefix: str = "") -> Q:
    """Return the condition for access tokens that can be used."""
    is_kept = Q(**{f"{prefix}revoked_at": None})
    return is_kept & _unexpired(prefix) & live_user(f"{prefix}user__")


def _unexpired(prefix: str) -> Q:
    column = f"{prefix}expires_at"
    return Q(**{column: None}) | Q(**{f"{column}__gt": timezone.now()})


# --- a row in memory


def is_live_user(user: "User") -> bool:
    """Return whether a user can act."""
    return user.is_active


def is_over(expires_at: datetime | None) -> bool:
    """Return whether a time to expire has come."""
    return expires_at is not None and expires_at <= timezone.now()


def is_live_robot(robot: "Robot") -> bool:
    """Return whether a robot can act; its namespace and owner have been fetched."""
    owner = robot.namespace.user
    has_live_owner = owner is None or is_live_user(owner)
    return robot.is_active and not is_over(robot.expires_at) and has_live_owner


def is_live_token(token: "AccessToken") -> bool:
    """Return whether an access token can be used; its user has been fetched."""
    is_kept = token.revoked_at is None
    return is_kept and not is_over(token.expires_at) and is_live_user(token.user)


# --- SQL: one row if the actor can act, none if not

_USER = Arm("FROM accounts_user u WHERE u.id = %s AND u.is_active", "u")
_PASSWORD = Arm(
    "FROM accounts_user u WHERE u.id = %s AND u.is_active AND u.epoch = %s", "u"
)
_TOKEN = Arm(
    """FROM accounts_user u
  JOIN accounts_accesstoken a ON a.user_id = u.id
 WHERE u.id = %s AND u.is_active AND a.id = %s
   AND a.revoked_at IS NULL AND (a.expires_at IS NULL OR a.expires_at > %s)""",
    "u, a",
)
_ROBOT_OF_ORGANIZATION = Arm(
    """FROM accounts_robot r
  JOIN accounts_namespace n ON n.id = r.namespace_id
 WHERE r.id = %s AND r.is_active AND n.user_id IS NULL
   AND (r.expires_at IS NULL OR r.expires_at > %s)""",
    "r",
)
_ROBOT_OF_USER = Arm(
    """FROM accounts_robot r
  JOIN accounts_namespace n ON n.id = r.namespace_id
  JOIN accounts_user o ON o.id = n.user_id
 WHERE r.id = %s AND r.is_active AND o.is_active
   AND (r.expires_at IS NULL OR r.expires_at > %s)""",
    "r, o",
)


def live_arms(actor: Actor) -> tuple[tuple[Arm, ...], list[Any]]:
    """Return FROM clauses that find the actor if it can act, and their parameters."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    if actor.robot_id is not None:
        return (_ROBOT_OF_ORGANIZATION, _ROBOT_OF_USER), [actor.robot_id, now] * 2
    assert actor.user_id is not None, "an anonymous actor has no rights to read"
    if actor.access_token_id is not None:
        return (_TOKEN,), [actor.user_id, actor.access_token_id, now]
    if actor.epoch is not None:
        return (_PASSWORD,), [actor.user_id, actor.epoch]
    return (_USER,), [actor.user_id]
