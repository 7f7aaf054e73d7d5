"""The WWW-Authenticate header: where to get a token, and for what (AUTH-1, AUTH-2)."""

from django.conf import settings

from distribution.errors import Unauthorized
from distribution.scopes import Scope

# What a quoted error_description may hold (RFC 6750, section 3); docker prints it.
DESCRIPTION_ALPHABET = frozenset(map(chr, range(0x20, 0x7F))) - frozenset('"\\')

INVALID_TOKEN = "invalid_token"
INSUFFICIENT_SCOPE = "insufficient_scope"


def challenge(
    *scopes: Scope, error: str = "", message: str = "", detail: object = None
) -> Unauthorized:
    """Return the 401 that sends a client to the token service.

    ``error`` only for a request that carried a token: containerd takes the same error
    twice for a final no (AUTH-3). Several scopes are in one parameter, with spaces.
    """
    parts = [
        f'realm="{settings.BERTH_URL}/v2/token"',
        f'service="{settings.BERTH_SERVICE}"',
    ]
    if scopes:
        parts.append(f'scope="{" ".join(map(str, scopes))}"')
    if error:
        parts.append(f'error="{error}"')
        if message:
            parts.append(f'error_description="{_described(message)}"')
    if detail is None and scopes:
        detail = [
            {"Type": scope.type, "Name": scope.name, "Action": action}
            for scope in scopes
            for action in scope.actions
        ]
    return Unauthorized(
        message,
        detail=detail,
        headers={"WWW-Authenticate": "Bearer " + ",".join(parts)},
    )


def _described(message: str) -> str:
    return "".join(
        letter if letter in DESCRIPTION_ALPHABET else "?" for letter in message
    )
