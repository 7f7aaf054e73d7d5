"""Official images: what a name without a namespace belongs to (D-13)."""

import re

from django.http import Http404

from accounts.actors import Actor
from repositories.oci.references import COMPONENT_PATTERN, DEFAULT_NAMESPACE
from repositories.rights.access import visible_repository

_path = re.compile(
    rf"/(?P<name>{COMPONENT_PATTERN})(?P<reference>[:@][\w.:-]{{1,140}})?/?"
)


def official_address(actor: Actor, path: str) -> str | None:
    """Return where /java leads when no namespace has that name, if anywhere."""
    match = _path.fullmatch(path)
    if match is None:
        return None
    try:
        repository = visible_repository(actor, DEFAULT_NAMESPACE, match["name"])
    except Http404:
        return None
    return f"/{repository.full_name}{match['reference'] or ''}"
