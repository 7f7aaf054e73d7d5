"""Decides the claims of a registry token: the scopes asked for, cut down to the rights.

Asking for too much is no error (AUTH-12). What comes out is only a ceiling; every
request is decided again (distribution/endpoints.py).
"""

from typing import Any

from accounts.actions import Action
from accounts.actors import Actor
from distribution import scopes
from distribution.scopes import Scope
from repositories.oci.references import NameMalformed, parse_repository_name
from repositories.rights.access import find_namespace, find_repository
from repositories.rights.decisions import actions_of, may_create

WORDS = {  # the actions that have a word in a scope
    scopes.PULL: Action.PULL,
    scopes.PUSH: Action.PUSH,
    scopes.DELETE: Action.DELETE,
}
CATALOG_WORDS = frozenset({scopes.EVERYTHING, *WORDS})


def granted_access(actor: Actor, asked: list[Scope]) -> list[dict[str, Any]]:
    """Return the ``access`` claim for an actor; two queries for each repository."""
    entries = [_entry(actor, scope) for scope in asked]
    return [entry for entry in entries if entry is not None]


def _entry(actor: Actor, scope: Scope) -> dict[str, Any] | None:
    if scope.type == scopes.REGISTRY and scope.name == scopes.CATALOG:
        # Everyone may ask; what is listed is what they may see (CAT-1).
        actions = [word for word in scope.actions if word in CATALOG_WORDS]
        return {"type": scope.type, "name": scope.name, "actions": actions}
    if scope.type != scopes.REPOSITORY:
        return None
    try:
        name = parse_repository_name(scope.name)
    except NameMalformed:
        return None
    repository = find_repository(name)
    if repository is not None:
        has = actions_of(actor, repository)
        allowed = [word for word, action in WORDS.items() if action in has]
        wanted = allowed if scopes.EVERYTHING in scope.actions else scope.actions
        words = [word for word in allowed if word in wanted]
        repository_id = {"id": repository.id}
    else:
        # A push may make it. Helm asks for pull first and would give up (AUTH-14).
        namespace = find_namespace(name.namespace)
        may = namespace is not None and may_create(actor, namespace)
        words = [scopes.PULL, scopes.PUSH] if may and scope.actions else []
        repository_id = {}
    if not words:
        return None
    return {
        "type": scope.type,
        "name": scope.name,
        "actions": words,
        **repository_id,
    }
