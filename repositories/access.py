"""Fetch a repository by name; the only way to one that is somebody else's.

The protocol asks here for facts and then for a decision (distribution/endpoints.py).
Pages ask for a row that the actor may see, or may do something with: what is invisible
is absent, and Http404 for both.
"""

from django.http import Http404

from accounts.actions import Action
from accounts.actors import Actor
from accounts.models import Namespace
from accounts.views.base import require
from repositories.models import Repository, RepositoryFacts
from repositories.oci.references import RepositoryName
from repositories.permissions import decide
from repositories.sql import fetch_row

_FIND = """
SELECT r.id, n.id, r.visibility, n.user_id, n.organization_id
  FROM repositories_repository r JOIN accounts_namespace n ON n.id = r.namespace_id
 WHERE n.name = %s AND r.name = %s AND r.deleted_at IS NULL"""


def find_repository(name: RepositoryName) -> RepositoryFacts | None:
    """Return what a decision needs to know of a repository. One query, no objects."""
    row = fetch_row(_FIND, (name.namespace, name.name))
    if row is None:
        return None
    repository_id, namespace_id, visibility, owner_id, organization_id = row
    return RepositoryFacts(
        id=repository_id,
        namespace_id=namespace_id,
        namespace_name=name.namespace,
        name=name.name,
        is_public=visibility == Repository.Visibility.PUBLIC,
        owner_id=owner_id,
        organization_id=organization_id,
    )


def find_namespace(name: str) -> Namespace | None:
    """Return the namespace of that name."""
    return Namespace.objects.filter(name=name).first()


def visible_repository(actor: Actor, namespace: str, name: str) -> Repository:
    """Return a repository that the actor may pull from, else Http404."""
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
    """Return a repository that the actor may do this with, for a page.

    Http404 for those who may not see it, SignInNeeded for those who did not sign in,
    PermissionDenied with the reason for the rest.
    """
    repository = visible_repository(actor, namespace, name)
    require(decide(actor, action, repository, tag), actor)
    return repository
