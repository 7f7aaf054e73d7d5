"""Scopes: what a client asks a token for (distribution's token scope grammar). Pure.

    scope   := type [ "(" class ")" ] ":" name ":" action { "," action }
    several := scope { " " scope }

The name may hold a colon (host:port/name), so it is what stands between the first and
the last one (AUTH-15).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

PULL, PUSH, DELETE, EVERYTHING = "pull", "push", "delete", "*"
REPOSITORY, REGISTRY = "repository", "registry"
CATALOG = "catalog"
SCOPES_MAX = 100  # of one request; a token of more would not pass a proxy (AUTH-42)

_type = re.compile(r"([a-z0-9]+)(?:\([a-z0-9]+\))?")


@dataclass(frozen=True, slots=True)
class Scope:
    """One resource and the actions that are asked on it."""

    type: str
    name: str
    actions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.type}:{self.name}:{','.join(self.actions)}"


def parse_scopes(values: Iterable[str]) -> tuple[list[Scope], int]:
    """Return the scopes of all values, and how many were dropped as too many.

    The same resource is there once, and what is malformed is left out. Every
    repetition counts, and one value may hold several (AUTH-10). The first ones stay:
    clients name what they need before what would only be useful.
    """
    dropped = 0
    actions: dict[tuple[str, str], list[str]] = {}
    for text in [word for value in values for word in value.split(" ") if word]:
        kind, _, rest = text.partition(":")
        name, _, wanted = rest.rpartition(":")
        match = _type.fullmatch(kind)
        if match is None or not name:
            continue
        resource = (match.group(1), name)
        if len(actions) == SCOPES_MAX and resource not in actions:
            dropped += 1
            continue
        merged = actions.setdefault(resource, [])
        merged.extend(
            action for action in wanted.split(",") if action and action not in merged
        )
    scopes = [Scope(kind, name, tuple(a)) for (kind, name), a in actions.items()]
    return scopes, dropped
