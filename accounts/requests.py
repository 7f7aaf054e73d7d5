"""The actor of a page, and the refusal of actions that they lack the right to.

Visitors who are not signed in are sent to the sign-in (registry_site/middleware.py):
`signed_in_user(request)` asks for that by itself, and it is the first line of a page
that is only for people.
"""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from accounts.actors import ANONYMOUS, Actor
from accounts.addresses import client_address
from accounts.authentication import actor_of
from accounts.decisions import Decision
from accounts.models import User


class SignInNeeded(Exception):
    """The page is only for people; the visitor has to sign in first."""


def actor_of_page(request: HttpRequest) -> Actor:
    """Return who asks, as every decision wants it; no one if there is no session."""
    address = client_address(request)
    user = getattr(request, "user", None)  # none on an error before the middleware
    if isinstance(user, User) or (user is not None and user.is_authenticated):
        return actor_of(user).at(address)
    return ANONYMOUS.at(address)


def signed_in_user(request: HttpRequest) -> User:
    """Return the person who asks, else raise SignInNeeded."""
    if not request.user.is_authenticated:
        raise SignInNeeded
    return request.user


def require(decision: Decision, actor: Actor) -> None:
    """Continue, or refuse with the reason; who did not sign in is asked to."""
    if decision:
        return
    if actor.is_anonymous:
        raise SignInNeeded
    raise PermissionDenied(decision.reason)
