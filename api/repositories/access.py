"""Fetch a repository and authorize in one call; invisible is absent: 404."""

from rest_framework.exceptions import PermissionDenied

from accounts.actions import Action
from accounts.actors import Actor
from repositories.models import Repository
from repositories.rights.access import visible_repository
from repositories.rights.decisions import decide


def permitted_repository(
    actor: Actor, namespace: str, name: str, action: Action, tag: str | None = None
) -> Repository:
    """Return a repository that the actor may do this with.

    404 for those who may not see it, 403 with the reason for those who may.
    """
    repository = visible_repository(actor, namespace, name)
    decision = decide(actor, action, repository, tag)
    if not decision:
        raise PermissionDenied(decision.reason)
    return repository
