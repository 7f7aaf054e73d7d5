"""From a name and a secret to an Actor.

The secret is a password, an access token or a robot's token; which one is told by its
prefix. Whatever is wrong, the answer is the same AuthenticationFailed, so that nobody
learns which names exist.
"""

from allauth.mfa.utils import is_mfa_enabled
from django.utils import timezone

from accounts.actions import ACTIONS_OF_ROLE
from accounts.actors import Actor, Ceiling
from accounts.limits import check_attempts, record_failure
from accounts.models import AccessToken, AccessTokenLimit, Robot, User
from accounts.passwords import verify_password
from accounts.tokens import (
    ACCESS_TOKEN_PREFIX,
    ROBOT_TOKEN_PREFIX,
    hash_token,
    is_token,
    note_use,
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

    The name may have capitals, as on the sign-in page; a robot's is taken as written.
    Raises TooManyAttempts, before anything is looked up or hashed, for those who failed
    too often (accounts/limits.py).
    """
    username = _login_meant(username)
    guessed_at = "" if _has_form_of_token(secret) else username
    check_attempts(username=guessed_at, address=address)
    try:
        return _authenticate(username, secret)
    except PasswordNotEnough:
        raise  # nobody guessed
    except AuthenticationFailed:
        record_failure(username=guessed_at, address=address)
        raise


def authenticate_token(secret: str, *, address: str = "") -> Actor:
    """Return the actor of a bare access token, a user's or a robot's.

    Raises AuthenticationFailed and TooManyAttempts as authenticate_basic does. What has
    not the form of a token is no guess at one: it is refused without a query.
    """
    if not _has_form_of_token(secret):
        raise AuthenticationFailed
    check_attempts(username="", address=address)
    token = AccessToken.objects.live().filter(token_hash=hash_token(secret)).first()
    robot = Robot.objects.filter(token_hash=hash_token(secret)).first()
    username = token.user.username if token else robot.username if robot else ""
    try:
        return _authenticate(username, secret)
    except AuthenticationFailed:
        record_failure(username="", address=address)
        raise


def _login_meant(typed: str) -> str:
    """Return the login that somebody means; users' have no capitals."""
    return typed if "+" in typed else typed.lower()


def _has_form_of_token(secret: str) -> bool:
    return is_token(secret, ACCESS_TOKEN_PREFIX) or is_token(secret, ROBOT_TOKEN_PREFIX)


def _authenticate(username: str, secret: str) -> Actor:
    if "\0" in username or "\0" in secret:  # PostgreSQL refuses it in a parameter
        raise AuthenticationFailed
    if secret.startswith(ACCESS_TOKEN_PREFIX):
        return _authenticate_access_token(username, secret)
    if secret.startswith(ROBOT_TOKEN_PREFIX):
        return _authenticate_robot(username, secret)
    user = verify_password(username, secret)
    if user is None:
        raise AuthenticationFailed
    if is_mfa_enabled(user):
        raise PasswordNotEnough
    return actor_of(user)


def actor_of(user: User) -> Actor:
    """Return the actor of a person who signed in with a password or a session."""
    return Actor(user_id=user.pk, name=user.username)


def actor_of_robot(robot: Robot) -> Actor:
    """Return the actor of a robot."""
    return Actor(robot_id=robot.pk, name=robot.username)


def actor_of_access_token(token: AccessToken) -> Actor:
    """Return the actor of a person under the ceiling of one of the person's tokens."""
    return Actor(
        user_id=token.user_id,
        name=token.user.username,
        access_token_id=token.pk,
        ceiling=_ceiling_of(token),
    )


def find_live_access_token(access_token_id: int) -> AccessToken | None:
    """Return the token unless it, or its user, is gone, ended or past its time."""
    token = (
        AccessToken.objects.select_related("user").filter(pk=access_token_id).first()
    )
    return token if token is not None and _is_live(token) else None


def _authenticate_access_token(username: str, secret: str) -> Actor:
    if not is_token(secret, ACCESS_TOKEN_PREFIX):
        raise AuthenticationFailed
    token = (
        AccessToken.objects.select_related("user")
        .filter(token_hash=hash_token(secret), user__username=username)
        .first()
    )
    if token is None or not _is_live(token):
        raise AuthenticationFailed
    note_use(token)
    return actor_of_access_token(token)


def _authenticate_robot(username: str, secret: str) -> Actor:
    if not is_token(secret, ROBOT_TOKEN_PREFIX):
        raise AuthenticationFailed
    robot = (
        Robot.objects.live()
        .select_related("namespace")
        .filter(token_hash=hash_token(secret))
        .first()
    )
    if robot is None or not robot.is_called(username):
        raise AuthenticationFailed
    note_use(robot)
    return actor_of_robot(robot)


def _is_live(token: AccessToken) -> bool:
    return (
        token.revoked_at is None
        and token.user.is_active
        and (token.expires_at is None or token.expires_at > timezone.now())
    )


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
