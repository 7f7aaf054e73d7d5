"""Fetch a repository by name; the only way to one that is somebody else's.

The protocol asks here for facts and then for a decision (distribution/endpoints.py).
"""

from accounts.models import Namespace
from repositories.models import Repository, RepositoryFacts
from repositories.oci.references import RepositoryName
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
