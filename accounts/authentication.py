"""Turns a name and a secret into an Actor.

The secret is a password, an access token or a robot's token; its prefix decides which.
The answer to every wrong one is the same AuthenticationFailed, so it does not reveal
which names exist.
"""

from dataclasses import replace

from allauth.mfa.utils import is_mfa_enabled

from accounts.actions import ACTIONS_OF_ROLE
from accounts.actors import Actor, Ceiling
from accounts.models import AccessToken, AccessTokenLimit, Robot, User
from accounts.passwords import find_login, verify_password
from accounts.tokens import (
    ACCESS_TOKEN_PREFIX,
    REFRESH_TOKEN_PREFIX,
    ROBOT_TOKEN_PREFIX,
    hash_token,
    is_token,
    record_use,
)


class AuthenticationFailed(Exception):
    """The name and the secret do not belong together, or no longer open anything."""

    def __init__(self, reason: str = "incorrect username or password") -> None:
        super().__init__(reason)


class PasswordNotEnough(AuthenticationFailed):
    """The password is right, and the account asks for more than a password.

    A program cannot give a second factor, so it has to use an access token; who only
    has the password learns no more than the sign-in page would say.
    """

    def __init__(self) -> None:
        super().__init__(
            "this account has two-factor authentication: use an access token instead "
            "of the password"
        )


def authenticate_basic(username: str, secret: str, *, address: str = "") -> Actor:
    """Return the actor of a name and a secret, else AuthenticationFailed.

    The name is a username in any case, an email address, or a robot's name. Raises
    TooManyAttempts for too many guesses at passwords (accounts/passwords.py). A secret
    with a token's prefix is no guess: it is looked up, and never counted.
    """
    if "\0" in username or "\0" in secret:  # PostgreSQL refuses it in a parameter
        raise AuthenticationFailed
    username = find_login(username)
    if secret.startswith(ACCESS_TOKEN_PREFIX):
        return _authenticate_access_token(secret, username)
    if secret.startswith(ROBOT_TOKEN_PREFIX):
        return _authenticate_robot(secret, username)
    if is_token(secret, REFRESH_TOKEN_PREFIX):
        raise AuthenticationFailed
    user = verify_password(username=username, password=secret, address=address)
    if user is None:
        raise AuthenticationFailed
    if is_mfa_enabled(user):
        raise PasswordNotEnough
    return actor_of_password(user)


def authenticate_token(secret: str) -> Actor:
    """Return the actor of a bare access token, a user's or a robot's.

    Raises AuthenticationFailed; nothing is counted, because tokens cannot be guessed.
    """
    if secret.startswith(ROBOT_TOKEN_PREFIX):
        return _authenticate_robot(secret)
    return _authenticate_access_token(secret)


def actor_of(user: User) -> Actor:
    """Return the actor of a person who has a session."""
    return Actor(user_id=user.pk, name=user.username)


def actor_of_password(user: User) -> Actor:
    """Return the actor of a person whose password was given outside of a session.

    What is made of it ends when the account asks for more (accounts/credentials.py).
    """
    return replace(actor_of(user), epoch=user.epoch)


def actor_of_robot(robot: Robot) -> Actor:
    """Return the actor of a robot."""
    return Actor(robot_id=robot.pk, name=robot.username, expires_at=robot.expires_at)


def actor_of_access_token(token: AccessToken) -> Actor:
    """Return the actor of a person under the ceiling of one of the person's tokens."""
    return Actor(
        user_id=token.user_id,
        name=token.user.username,
        access_token_id=token.pk,
        expires_at=token.expires_at,
        ceiling=_ceiling_of(token),
    )


def find_live_access_token(access_token_id: int) -> AccessToken | None:
    """Return the token unless it, or its user, is gone, ended or past its time."""
    token = (
        AccessToken.objects.select_related("user").filter(pk=access_token_id).first()
    )
    return token if token is not None and token.is_live else None


def _authenticate_access_token(secret: str, username: str | None = None) -> Actor:
    """Return the actor of an access token, which has to be that user's, if given."""
    if not is_token(secret, ACCESS_TOKEN_PREFIX):
        raise AuthenticationFailed
    tokens = AccessToken.objects.select_related("user")
    token = tokens.filter(token_hash=hash_token(secret)).first()
    if token is None or not token.is_live:
        raise AuthenticationFailed
    if username is not None and not _is_called(token.user, username):
        raise AuthenticationFailed
    record_use(token)
    return actor_of_access_token(token)


def _is_called(user: User, username: str) -> bool:
    """Return whether this is the username, or a former one that still leads there."""
    return username == user.username or user.namespace.is_called(username)


def _authenticate_robot(secret: str, username: str | None = None) -> Actor:
    """Return the actor of a robot's token; a name, if given, has to lead to it."""
    if not is_token(secret, ROBOT_TOKEN_PREFIX):
        raise AuthenticationFailed
    robot = (
        Robot.objects.live()
        .select_related("namespace")
        .filter(token_hash=hash_token(secret))
        .first()
    )
    if robot is None or (username is not None and not robot.is_called(username)):
        raise AuthenticationFailed
    record_use(robot)
    return actor_of_robot(robot)


def _ceiling_of(token: AccessToken) -> Ceiling:
    actions = ACTIONS_OF_ROLE[token.actions]
    if not token.is_limited:
        return Ceiling(actions=actions, token_name=token.name, token_role=token.actions)
    limits = AccessTokenLimit.objects.filter(access_token=token).values_list(
        "repository_id", "namespace_id"
    )
    return Ceiling(
        actions=actions,
        repository_ids=frozenset(r for r, _ in limits if r is not None),
        namespace_ids=frozenset(n for _, n in limits if n is not None),
        token_name=token.name,
        token_role=token.actions,
    )
