"""Authenticates API requests: a session's user, or the bearer of an access token."""

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.actors import ANONYMOUS, Actor
from accounts.addresses import client_address
from accounts.authentication import AuthenticationFailed as CredentialsRefused
from accounts.authentication import actor_of, authenticate_token
from accounts.models import User

SCHEME = b"bearer"


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer <access token>``, a user's or a robot's."""

    def authenticate(
        self, request: Request
    ) -> tuple[User | AnonymousUser, Actor] | None:
        scheme, _, secret = get_authorization_header(request).partition(b" ")
        if not scheme:
            return None
        if scheme.lower() != SCHEME:  # wrong credentials are never taken for none
            raise AuthenticationFailed("the API takes an access token as Bearer")
        try:
            actor = authenticate_token(secret.strip().decode("ascii"))
        except (CredentialsRefused, UnicodeDecodeError) as error:
            raise AuthenticationFailed("this token is not valid") from error
        if actor.user_id is None:
            return AnonymousUser(), actor
        return User.objects.get(pk=actor.user_id), actor

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def actor_of_request(request: Request) -> Actor:
    """Return who asks, as every decision wants it."""
    address = client_address(request._request)
    if isinstance(request.auth, Actor):
        return request.auth.at(address)
    if isinstance(request.user, User):
        return actor_of(request.user).at(address)
    return ANONYMOUS.at(address)
