"""Fetch a repository and authorise in one call; invisible is absent: 404."""

from django.http import Http404
from rest_framework.exceptions import PermissionDenied

from accounts.actions import Action
from accounts.actors import Actor
from repositories.models import Repository
from repositories.permissions import decide


def visible_repository(actor: Actor, namespace: str, name: str) -> Repository:
    """Return a repository that the actor may pull from, else 404."""
    repository = (
        Repository.objects.visible_to(actor)
        .with_full_name()
        .filter(namespace__name=namespace, name=name)
        .first()
    )
    if repository is None:
        raise Http404
    return repository


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
