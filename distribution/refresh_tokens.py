"""Refresh tokens: what docker stores as "identity token" instead of a password (D-12).

Off unless BERTH_IDENTITY_TOKENS is set. Opaque, stored as a hash, and valid only while
what they were made from is: the password, the access token or the robot's token.
"""

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.actors import Actor
from accounts.authentication import (
    AuthenticationFailed,
    actor_of_access_token,
    actor_of_password,
    actor_of_robot,
    find_live_access_token,
)
from accounts.events import AccountEvent, record_user_event
from accounts.liveness import live_user
from accounts.models import AccessToken, Robot, User
from accounts.outages import optional_write
from accounts.tokens import REFRESH_TOKEN_PREFIX, hash_token, is_token, make_token
from distribution.models import RefreshToken

CLIENT_MAX_LENGTH = 100
CLIENTS_TOLD_MAX = 10  # in one event


def issue_refresh_token(*, actor: Actor, client: str) -> str:
    """Make a refresh token for a signed-in actor and return it; it is kept nowhere."""
    secret = make_token(REFRESH_TOKEN_PREFIX)
    RefreshToken.objects.create(
        user_id=actor.user_id,
        robot_id=actor.robot_id,
        access_token_id=actor.access_token_id,
        token_hash=hash_token(secret),
        password_mark=_mark_of(actor),
        client=client[:CLIENT_MAX_LENGTH],
    )
    return secret


def authenticate_refresh_token(secret: str) -> Actor:
    """Return the actor of a refresh token, else AuthenticationFailed."""
    if not settings.BERTH_IDENTITY_TOKENS:
        raise AuthenticationFailed(
            "this registry does not use identity tokens: run docker login again"
        )
    if not is_token(secret, REFRESH_TOKEN_PREFIX):
        raise AuthenticationFailed
    token = (
        RefreshToken.objects.select_related("user", "robot__namespace__user")
        .filter(token_hash=hash_token(secret), revoked_at=None)
        .first()
    )
    actor = None if token is None else _live_actor(token)
    if token is None or actor is None or _mark_of(actor) != token.password_mark:
        raise AuthenticationFailed
    with optional_write("the last use of a login"):
        RefreshToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now())
    return actor


def logins_of(user: User) -> QuerySet[RefreshToken]:
    """Return what clients hold of the user and what works still, latest use first."""
    by_password = Q(access_token=None, password_mark=user.get_session_auth_hash())
    is_kept = Q(live_user("user__"), user=user, revoked_at=None)
    by_token = Q(access_token__in=AccessToken.objects.live().filter(user=user))
    return (
        RefreshToken.objects.filter(by_password | by_token, is_kept)
        .select_related("access_token")
        .order_by(Coalesce("last_used_at", "created_at").desc(), "-pk")
    )


def has_login_page(user: User) -> bool:
    """Return whether the settings link to the page of docker's logins.

    They do where the site issues refresh tokens, or issued some to the user before.
    """
    return settings.BERTH_IDENTITY_TOKENS or logins_of(user).exists()


def end_logins(*, user: User, login_id: int | None, actor: Actor) -> int:
    """End one login of the user's, or all (None), and return how many ended.

    A registry token that a client has already works to the end of its minutes.
    """
    with transaction.atomic():
        logins = logins_of(user)
        if login_id is not None:
            logins = logins.filter(pk=login_id)
        clients = logins.order_by("client").values_list("client", flat=True).distinct()
        told = list(clients[:CLIENTS_TOLD_MAX])  # before they are none of them any more
        count = logins.update(revoked_at=timezone.now())
        if count:
            record_user_event(
                AccountEvent.USER_LOGIN_ENDED,
                user=user,
                actor=actor,
                detail={"count": count, "clients": told},
            )
    return count


def _live_actor(token: RefreshToken) -> Actor | None:
    if token.robot is not None:
        return actor_of_robot(token.robot) if token.robot.is_live else None
    if token.access_token_id is not None:
        access_token = find_live_access_token(token.access_token_id)
        return None if access_token is None else actor_of_access_token(access_token)
    if token.user is not None and token.user.is_live:
        return actor_of_password(token.user)
    return None


def _mark_of(actor: Actor) -> str:
    """Return a fingerprint of the secret that the actor signs in with.

    A changed password, or a robot's new token, so ends what was made with the old one.
    """
    if actor.robot_id is not None:
        return Robot.objects.values_list("token_hash", flat=True).get(pk=actor.robot_id)
    if actor.access_token_id is not None:
        return ""  # its own row says whether it lives
    assert actor.user_id is not None, "anonymous gets no refresh token"
    user: AbstractBaseUser = User.objects.get(pk=actor.user_id)
    return user.get_session_auth_hash()
