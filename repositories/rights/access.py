"""Fetch a repository by name; the only way to one that is someone else's.

The protocol asks here for facts and then for a decision (distribution/endpoints.py).
Pages ask for a row that the actor may see, or may do something with: what is invisible
is absent, and Http404 for both; a former name is redirected (Moved).
"""

from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404

from accounts.actions import Action
from accounts.actors import Actor
from accounts.former_names import Moved
from accounts.models import Membership, Namespace, Robot, Team
from accounts.requests import require
from database.sql import fetch_row
from repositories.models import FormerRepositoryName, Repository, RepositoryFacts
from repositories.oci.references import RepositoryName
from repositories.rights.decisions import decide

_FIND = """
SELECT r.id, n.id, r.visibility, n.user_id, n.organization_id
  FROM repositories_repository r JOIN accounts_namespace n ON n.id = r.namespace_id
 WHERE n.name = %s AND r.name = %s AND r.deleted_at IS NULL"""

# By a name that something had before: the namespace, the repository, or both.
_FIND_MOVED = """
WITH asked (id) AS (
  SELECT id FROM accounts_namespace WHERE name = %s
   UNION ALL
  SELECT namespace_id FROM accounts_formernamespacename WHERE name = %s)
SELECT r.id, n.id, r.visibility, n.user_id, n.organization_id, n.name, r.name
  FROM repositories_repository r JOIN accounts_namespace n ON n.id = r.namespace_id
 WHERE r.deleted_at IS NULL AND r.id IN (
  SELECT same.id FROM repositories_repository same JOIN asked
      ON asked.id = same.namespace_id
   WHERE same.name = %s AND same.deleted_at IS NULL
   UNION ALL
  SELECT f.repository_id FROM repositories_formerrepositoryname f JOIN asked
      ON asked.id = f.namespace_id
   WHERE f.name = %s)"""


def find_repository(name: RepositoryName) -> RepositoryFacts | None:
    """Return what a decision needs to know of a repository, by its name of today.

    Or else by one that it had before and that no one has taken since; the facts then
    have the name of today. No objects; one query, and one more where the name is not
    a current one.
    """
    row = fetch_row(_FIND, (name.namespace, name.name))
    if row is not None:
        return _facts((*row, name.namespace, name.name))
    return find_moved(name)


def find_moved(name: RepositoryName) -> RepositoryFacts | None:
    """Return the repository that a former name leads to. One query."""
    parameters = (name.namespace, name.namespace, name.name, name.name)
    row = fetch_row(_FIND_MOVED, parameters)
    return None if row is None else _facts(row)


def moved_repository(actor: Actor, namespace: str, name: str) -> str | None:
    """Return the full name that a repository has now, to those who may see it.

    None for names that lead nowhere, and for what the actor may not know of.
    """
    moved = find_moved(RepositoryName(f"{namespace}/{name}", namespace, name))
    if moved is None or (moved.namespace_name, moved.name) == (namespace, name):
        return None
    visible = Repository.objects.visible_to(actor).filter(pk=moved.id)
    return moved.full_name if visible.exists() else None


def knows_any(actor: Actor, namespace: str, names: Collection[str]) -> bool:
    """Return whether the actor may see, or restore, a repository of one of these names.

    Or of one that had such a name. Nearly always one query, which finds nothing.
    """
    spaces = Namespace.objects.filter(
        Q(name=namespace) | Q(former_names__name=namespace)
    ).values("pk")
    named = {"namespace__in": spaces, "name__in": names}
    today = Repository.objects.filter(**named).order_by().values_list("pk")
    before = FormerRepositoryName.objects.filter(**named).values_list("repository_id")
    ids = [pk for (pk,) in today.union(before)]
    return bool(ids) and any(
        rows.filter(pk__in=ids).exists()
        for rows in (
            Repository.objects.visible_to(actor),
            Repository.objects.restorable_by(actor),
        )
    )


def find_namespace(name: str) -> Namespace | None:
    """Return the namespace of that name, else the one that the name leads to."""
    return Namespace.objects.called(name)


def shown_namespace(actor: Actor, name: str) -> Namespace:
    """Return a namespace with its owner and how much is in it, else Http404.

    That there is one is no secret; of its repositories those count that the actor may
    see, of the deleted ones those that they may restore. Raises Moved for a name it
    had before. One query, if it is there.
    """
    seen = Repository.objects.visible_to(actor)
    restorable = Repository.objects.restorable_by(actor)
    people = Membership.objects.filter(user__isnull=False)
    of_organization = "team__organization__namespace"
    namespace = (
        Namespace.objects.select_related("user", "organization")
        .annotate(
            repository_count=count_of_each(seen, "namespace"),
            team_count=count_of_each(Team.objects.all(), "organization__namespace"),
            people_count=count_of_each(people, of_organization, what="user"),
            robot_count=count_of_each(Robot.objects.all(), "namespace"),
            deleted_count=count_of_each(restorable, "namespace"),
        )
        .filter(name=name)
        .first()
    )
    if namespace is None:
        moved = find_namespace(name)
        if moved is not None:
            raise Moved(namespace=moved.name)
        raise Http404
    return namespace


def count_of_each(rows: QuerySet[Any], column: str, what: str = "pk") -> Coalesce:
    """Count other rows for each row of a query that their column names; no join."""
    of_each = rows.filter(**{column: OuterRef("pk")}).order_by().values(column)
    counted = of_each.annotate(number=Count(what, distinct=True)).values("number")
    return Coalesce(Subquery(counted), 0)


def _facts(row: Sequence[Any]) -> RepositoryFacts:
    repository_id, namespace_id, visibility, owner_id, organization_id, *names = row
    namespace_name, name = names
    return RepositoryFacts(
        id=repository_id,
        namespace_id=namespace_id,
        namespace_name=namespace_name,
        name=name,
        is_public=visibility == Repository.Visibility.PUBLIC,
        owner_id=owner_id,
        organization_id=organization_id,
    )


def visible_repository(actor: Actor, namespace: str, name: str) -> Repository:
    """Return a repository that the actor may pull from, else Http404.

    Raises Moved, which is one, for a name that it had before.
    """
    repository = (
        Repository.objects.visible_to(actor)
        .with_full_name()
        .filter(namespace__name=namespace, name=name)
        .first()
    )
    if repository is None:
        moved = moved_repository(actor, namespace, name)
        if moved is not None:
            now_in, _, now_called = moved.partition("/")
            raise Moved(namespace=now_in, name=now_called)
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


def restorable_repository(actor: Actor, repository_id: int) -> Repository:
    """Return a deleted repository that the actor may restore, else Http404."""
    repository = (
        Repository.objects.restorable_by(actor)
        .with_full_name()
        .filter(pk=repository_id)
        .first()
    )
    if repository is None:
        raise Http404
    return repository
