"""The grammar of namespace names. Pure: no Django, no database.

A namespace is the first component of an image name, so it keeps to the component
grammar of the distribution-spec (G-1), and to what a URL, a host's log and a reader's
eye can distinguish: ASCII, lower case, 2 to 39 characters.
"""

import re

NAMESPACE_PATTERN = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"  # G-1, one component
NAMESPACE_MIN_LENGTH = 2
NAMESPACE_MAX_LENGTH = 39  # leaves 215 characters for the rest of a name (G-1)
ROBOT_NAME_MAX_LENGTH = 39
TEAM_NAME_MAX_LENGTH = 39

# First path segments that the site answers itself;
# tests/accounts/test_reserved_names.py walks through all URLs.
PATH_NAMES = frozenset(
    {
        "-",
        "about",
        "accounts",
        "anonymous",  # as the audit and the access question say it
        "api",
        "docs",
        "explore",
        "favicon.ico",
        "healthz",
        "help",
        "invitations",
        "login",
        "logout",
        "media",
        "metrics",
        "new",
        "notifications",
        "organizations",
        "readyz",
        "robots.txt",
        "search",
        "settings",
        "signup",
        "static",
        "system",  # who did what no one asked for (accounts/actors.py)
        "v1",
        "v2",
    }
)
# What browsers, crawlers and tools ask every host for, and what docker takes for one.
ASKED_FOR_NAMES = frozenset(
    {
        "assets",
        "cgr.dev",
        "docker.elastic.co",
        "docker.io",
        "gcr.io",
        "ghcr.io",
        "graphql",
        "health",
        "hub.docker.com",
        "index.docker.io",
        "k8s.gcr.io",
        "livez",
        "localhost",
        "lscr.io",
        "mcr.microsoft.com",
        "nvcr.io",
        "oauth",
        "oauth2",
        "openapi.json",
        "ping",
        "public.ecr.aws",
        "quay.io",
        "register",
        "registry-1.docker.io",
        "registry.access.redhat.com",
        "registry.gitlab.com",
        "registry.hub.docker.com",
        "registry.k8s.io",
        "registry.redhat.io",
        "saml",
        "scim",
        "service-worker.js",
        "signin",
        "sso",
        "status",
        "sw.js",
        "token",
        "undefined",  # what programs send for a name that they do not have
        "null",
        "none",
        "v3",
        "well-known",
        "wp-admin",
        "wp-content",
        "wp-includes",
    }
)
RESERVED_NAMES = PATH_NAMES | ASKED_FOR_NAMES
_FILES = re.compile(  # robots.txt, sitemap.xml, apple-touch-icon.png, wp-login.php, …
    r".+\.(?:txt|xml|ico|png|svg|gif|html?|php|aspx?|cgi|webmanifest|rss|atom|map|env)"
    r"|(?:apple-touch-icon|favicon|sitemap)(?:[._-].*)?|manifest\.json"
)
# Names that speak for the site; administrators can give them, people cannot take them.
OFFICIAL_NAMES = frozenset(
    {
        "abuse",
        "admin",
        "administrator",
        "berth",
        "hostmaster",
        "library",  # images with a name of one part (D-13)
        "moderator",
        "noreply",
        "no-reply",
        "official",
        "postmaster",
        "registry",
        "root",
        "security",
        "staff",
        "support",
        "webmaster",
    }
)

_component = re.compile(NAMESPACE_PATTERN)


class InvalidName(ValueError):
    """A name that the grammar or the list of reserved words refuses; says why."""


def validate_namespace_name(name: str) -> None:
    """Raise InvalidName unless the name may be taken by a user or an organization."""
    _validate_form(name)
    if name in RESERVED_NAMES or _FILES.fullmatch(name):
        raise InvalidName(f"'{name}' is reserved")


def validate_claimed_name(name: str) -> None:
    """Raise InvalidName unless someone may take the name who does not run the site."""
    validate_namespace_name(name)
    if name in OFFICIAL_NAMES:
        raise InvalidName(f"'{name}' is reserved for the administrators of this site")


def _validate_form(name: str) -> None:
    if not NAMESPACE_MIN_LENGTH <= len(name) <= NAMESPACE_MAX_LENGTH:
        raise InvalidName(
            f"a name has {NAMESPACE_MIN_LENGTH} to {NAMESPACE_MAX_LENGTH} characters"
        )
    validate_component(name)


def validate_component(name: str) -> None:
    """Raise InvalidName unless the name is one component of an image name (G-1).

    Robots and teams are named by it too: their names are in logins and URLs.
    """
    if not _component.fullmatch(name):
        raise InvalidName(
            "use lowercase letters and digits, separated by '-', '_' or '.'"
        )


def is_namespace_name(name: str) -> bool:
    """Return whether a namespace of this name would have pages.

    One whose name was reserved after it was made keeps them.
    """
    try:
        _validate_form(name)
    except InvalidName:
        return False
    return name not in PATH_NAMES
