"""Former names of repositories, and which of all former names an actor can free.

Those of users and organizations are in accounts/former_names.py, with the reason. A
former name of a repository is freed by those who can configure the repository, also
after it was transferred; of one that is gone, by those who administer the namespace.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.dispatch import receiver
from django.utils import timezone

from accounts.actions import Action
from accounts.actors import Actor
from accounts.events import AccountEvent, record_account_event
from accounts.former_names import free_namespace_name
from accounts.models import FormerNamespaceName, Namespace
from accounts.models.namespaces import namespace_in_use
from accounts.namespace_rights import namespaces_administered_by
from accounts.site_rights import may_administer_site
from repositories.models import FormerRepositoryName, Repository
from repositories.models.repositories import may_all

LISTED_MAX = 500


@dataclass(frozen=True, slots=True)
class FormerName:
    """A former name as it is listed; without ``leads_to``, what had it is gone."""

    name: str
    leads_to: str | None
    since: datetime


@receiver(namespace_in_use)
def is_namespace_in_use(*, namespace: Namespace, **signal: Any) -> bool:
    """Return whether images are pulled by the name of a namespace."""
    return (
        Repository.objects.in_use().filter(namespace=namespace).exists()
        or FormerRepositoryName.objects.filter(
            namespace=namespace, is_reserved=True
        ).exists()
    )


def record_former_name(row: Repository, namespace: Namespace, name: str) -> None:
    """Let a name that a repository gives up lead to it, in the caller's transaction."""
    FormerRepositoryName.objects.update_or_create(
        namespace=namespace,
        name=name,
        defaults={
            "repository": row,
            "is_reserved": row.is_in_use,
            "freed_at": None,
        },
    )


def take_own_name(
    namespace: Namespace, name: str, actor: Actor, taker: Repository | None = None
) -> None:
    """Free a former name that the actor can free, who is about to take it.

    A repository that takes its own former name back (``taker``) frees it for no other.
    """
    former = (
        FormerRepositoryName.objects.filter(
            _freed_by(actor), namespace=namespace, name=name, freed_at=None
        )
        .select_related("namespace", "repository")
        .first()
    )
    if former is None or (taker is not None and former.repository_id == taker.pk):
        return
    if former.is_kept:
        _free_repository_name(former, actor)


def former_names_of(actor: Actor) -> list[FormerName]:
    """Return the former names that the actor can free, sorted; at most LISTED_MAX."""
    spaces = _namespace_names(actor).order_by("name")[:LISTED_MAX]
    names = _repository_names(actor).order_by("namespace__name", "name")[:LISTED_MAX]
    found = [
        FormerName(
            row.name, row.namespace.name if row.namespace else None, row.created_at
        )
        for row in spaces
    ]
    found += [
        FormerName(f"{row.namespace.name}/{row.name}", _leads_to(row), row.created_at)
        for row in names
    ]
    return sorted(found, key=lambda one: one.name)[:LISTED_MAX]


def free_name(full_name: str, *, actor: Actor) -> bool:
    """Free a former name, of a namespace or (with a slash) of a repository.

    False for one that is not there, or that the actor cannot free.
    """
    space, slash, name = full_name.partition("/")
    if not slash:
        former = _namespace_names(actor).filter(name=space).first()
        if former is not None:
            free_namespace_name(former=former, actor=actor)
        return former is not None
    found = _repository_names(actor).filter(namespace__name=space, name=name).first()
    if found is not None:
        _free_repository_name(found, actor)
    return found is not None


def _namespace_names(actor: Actor) -> Any:
    rows = FormerNamespaceName.objects.filter(freed_at=None)
    if not _is_administrator(actor):
        rows = rows.filter(namespace__in=namespaces_administered_by(actor))
    return rows.select_related("namespace")


def _repository_names(actor: Actor) -> Any:
    rows = FormerRepositoryName.objects.filter(_freed_by(actor), freed_at=None)
    return rows.select_related("namespace", "repository__namespace")


def _freed_by(actor: Actor) -> Q:
    if _is_administrator(actor):
        return Q()
    if actor.is_anonymous:
        return Q(pk__in=())
    own = Repository.objects.filter(may_all(actor, Action.CONFIGURE))
    return Q(repository__in=own.values("pk")) | Q(
        repository=None, namespace__in=namespaces_administered_by(actor)
    )


def _is_administrator(actor: Actor) -> bool:
    """Return whether it is an administrator of the site, or a command."""
    if actor.user_id is None:
        return actor.robot_id is None and bool(actor.name)
    return bool(may_administer_site(actor))


def _leads_to(row: FormerRepositoryName) -> str | None:
    repository = row.repository
    if repository is None or repository.deleted_at is not None:
        return None
    return repository.full_name


def _free_repository_name(former: FormerRepositoryName, actor: Actor) -> None:
    freed = FormerRepositoryName.objects.filter(pk=former.pk, freed_at=None)
    if freed.update(is_reserved=False, freed_at=timezone.now()):
        record_account_event(
            AccountEvent.NAME_FREED,
            actor=actor,
            namespace=former.namespace,
            detail={"name": f"{former.namespace.name}/{former.name}"},
        )
