"""The grammar of namespace names. Pure: no Django, no database.

A namespace is the first component of an image name, so it keeps to the component
grammar of the distribution-spec (G-1), and to what a URL, a host's log and a reader's
eye can tell apart: ASCII, lower case, 2 to 39 characters.
"""

import re

NAMESPACE_PATTERN = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"  # G-1, one component
NAMESPACE_MIN_LENGTH = 2
NAMESPACE_MAX_LENGTH = 39  # leaves 215 characters for the rest of a name (G-1)
ROBOT_NAME_MAX_LENGTH = 39
TEAM_NAME_MAX_LENGTH = 39

# First path segments that the site itself answers (interfaces.md).
RESERVED_NAMES = frozenset(
    {
        "-",
        "about",
        "accounts",
        "anonymous",  # as the audit and the access question say it
        "api",
        "docs",
        "explore",
        "healthz",
        "help",
        "invitations",
        "login",
        "logout",
        "media",
        "metrics",
        "new",
        "organizations",
        "readyz",
        "search",
        "settings",
        "signup",
        "static",
        "system",  # who did what nobody asked for (accounts/actors.py)
        "v1",
        "v2",
    }
)

_component = re.compile(NAMESPACE_PATTERN)


class NameInvalid(ValueError):
    """A name that the grammar or the list of reserved words refuses; says why."""


def validate_namespace_name(name: str) -> None:
    """Raise NameInvalid unless the name may be taken by a user or an organization."""
    if not NAMESPACE_MIN_LENGTH <= len(name) <= NAMESPACE_MAX_LENGTH:
        raise NameInvalid(
            f"a name has {NAMESPACE_MIN_LENGTH} to {NAMESPACE_MAX_LENGTH} characters"
        )
    validate_component(name)
    if name in RESERVED_NAMES:
        raise NameInvalid(f"'{name}' is reserved")


def validate_component(name: str) -> None:
    """Raise NameInvalid unless the name is one component of an image name (G-1).

    Robots and teams are named by it too: their names stand in logins and URLs.
    """
    if not _component.fullmatch(name):
        raise NameInvalid(
            "use lower-case letters and digits, separated by '-', '_' or '.'"
        )


def is_namespace_name(name: str) -> bool:
    """Tell whether the name is one that a namespace could carry."""
    try:
        validate_namespace_name(name)
    except NameInvalid:
        return False
    return True
