"""Make, rename, transfer, delete, restore and purge repositories.

    create ──> live ──rename, transfer──> live, and the former name leads to it
               │  ^
          delete  restore        until BERTH_RESTORE_DAYS are over
               v  │
             deleted ──purge──> gone; the garbage collection takes the bytes

Rows are locked in this order: namespaces by their ids, the repository, its grants. A
push locks the repository's row too (manifests.mark_pushed), so that it comes either
before one of these verbs or after it.

Whether the actor may is the caller's question: decide for *configure* to rename, for
*destroy* to transfer, delete, restore and purge, and may_create in the namespace that a
repository is made in or transferred to.
"""

from typing import Any

from django.db import IntegrityError, transaction
from django.dispatch import receiver
from django.utils import timezone

from accounts.actions import Role
from accounts.actors import SYSTEM, Actor
from accounts.models import NameReserved, Namespace
from accounts.organizations import namespace_leaves
from accounts.rates import take
from accounts.users import account_leaves
from database.crash_points import crash_point
from database.rows import changes_of, save_changes
from repositories.events.recording import record_event, record_in_namespace
from repositories.former_names import record_former_name, take_own_name
from repositories.models import (
    Event,
    FormerRepositoryName,
    Grant,
    Repository,
    RepositoryFacts,
)
from repositories.models.repositories import RepositoryQuerySet, restorable_since
from repositories.oci.references import RepositoryName
from repositories.rights.access import find_moved
from repositories.rights.defaults import apply_defaults
from repositories.rights.grants import remove_grant


class NameTaken(ValueError):
    """There is a repository of that name, or the name is reserved."""


def create_repository(
    *,
    namespace: Namespace,
    name: str,
    actor: Actor,
    visibility: str = Repository.Visibility.PRIVATE,
) -> Repository:
    """Make a repository; its creator gets admin, others what the defaults say.

    Whether the actor may is the caller's question (permissions.may_create). Raises
    IntegrityError when the name is taken, or reserved (NameReserved), and
    TooManyActions.
    """
    take("repositories", actor)
    with transaction.atomic():
        take_own_name(namespace, name, actor)
        repository = Repository.objects.create(
            namespace=namespace, name=name, visibility=visibility
        )
        owns = actor.user_id is not None and actor.user_id == namespace.user_id
        if not actor.is_anonymous and not owns:
            Grant.objects.create(
                repository=repository,
                user_id=actor.user_id,
                robot_id=actor.robot_id,
                role=Role.ADMIN,
            )
        record_event(
            kind=Event.Kind.REPOSITORY_CREATED,
            repository=repository.facts,
            actor=actor,
            detail={"visibility": visibility},
        )
        apply_defaults(repository=repository, actor=actor)
    return repository


def create_on_push(
    *, namespace: Namespace, name: str, actor: Actor, visibility: str
) -> RepositoryFacts:
    """Make the repository that a push names, or return the one of a quicker push.

    A name that was given up in the meantime leads to the repository that had it: only
    someone who creates one on purpose takes it. Raises Namespace.DoesNotExist when
    the namespace was deleted at this moment.
    """
    with transaction.atomic():
        # The namespace's row serializes two first pushes, so that both succeed.
        [locked] = _lock_namespaces(namespace.pk)
        full_name = f"{locked.name}/{name}"
        there_is = find_moved(RepositoryName(full_name, locked.name, name))
        if there_is is not None:
            return there_is
        repository = create_repository(
            namespace=locked, name=name, actor=actor, visibility=visibility
        )
    return repository.facts


def change_visibility(*, repository: Repository, visibility: str, actor: Actor) -> None:
    """Make a repository public or private; it counts from the next request on."""
    if repository.visibility == visibility:
        return
    with transaction.atomic():
        repository.visibility = Repository.Visibility(visibility)
        repository.save(update_fields=["visibility"])
        record_event(
            kind=Event.Kind.REPOSITORY_VISIBILITY,
            repository=repository.facts,
            actor=actor,
            detail={"visibility": visibility},
        )


def describe_repository(*, repository: Repository, actor: Actor, **texts: str) -> None:
    """Change the texts that people read: description and readme."""
    changes = changes_of(repository, texts)
    if not changes:
        return
    take("readmes", actor)
    with transaction.atomic():
        save_changes(repository, changes)
        record_event(
            kind=Event.Kind.REPOSITORY_CHANGED,
            repository=repository.facts,
            actor=actor,
            detail={"changed": list(changes)},
        )


def rename_repository(*, repository: Repository, name: str, actor: Actor) -> None:
    """Give a repository another name; the old one leads there until it is taken.

    Raises NameTaken, and Repository.DoesNotExist when it was deleted, or given another
    name, in the meantime.
    """
    if name == repository.name:
        return
    with transaction.atomic():
        _lock_namespaces(repository.namespace_id)
        row = _lock_live(repository)
        old_name = _give_name(row, row.namespace, name, actor)
        record_event(
            kind=Event.Kind.REPOSITORY_RENAMED,
            repository=row.facts,
            actor=actor,
            detail={"from": old_name, "to": row.full_name},
        )
        crash_point("C31")
    repository.name = name


def transfer_repository(
    *,
    repository: Repository,
    namespace: Namespace,
    actor: Actor,
    name: str | None = None,
) -> None:
    """Move a repository to another namespace, under the same name or another one.

    What is in it, its stars, counts, history and webhooks go along, and so do the
    grants of users. Those of teams and robots, which are of the namespace it leaves,
    are dropped, each with its event. The actor becomes its administrator there, as
    if they had created it; the target's defaults are not applied. The old name leads
    to it until it is taken. Both namespaces get an event. Raises as rename_repository.
    """
    if namespace.pk == repository.namespace_id:
        rename_repository(
            repository=repository, name=name or repository.name, actor=actor
        )
        return
    with transaction.atomic():
        _lock_namespaces(repository.namespace_id, namespace.pk)
        row = _lock_live(repository)
        source = row.namespace
        dropped = _drop_foreign_grants(row, actor)
        old_name = _give_name(row, namespace, name or row.name, actor)
        if actor.user_id is not None and actor.user_id != namespace.user_id:
            Grant.objects.update_or_create(
                repository=row,
                user_id=actor.user_id,
                tag_glob="",
                defaults={"role": Role.ADMIN},
            )
        moved = {"from": old_name, "to": row.full_name}
        record_event(
            kind=Event.Kind.REPOSITORY_TRANSFERRED,
            repository=row.facts,
            actor=actor,
            detail=moved,
        )
        record_in_namespace(
            kind=Event.Kind.REPOSITORY_TRANSFERRED,
            namespace=source,
            actor=actor,
            detail={**moved, "dropped_grants": dropped},
        )
        crash_point("C31")
    repository.namespace, repository.name = namespace, row.name


def delete_repository(*, repository: Repository, actor: Actor) -> None:
    """Delete a repository; it is gone for everyone at once, and can be restored.

    A push that is in progress is refused. Registry tokens for it open nothing any more,
    also not a new repository of the same name. Raises Repository.DoesNotExist when
    someone else was quicker.
    """
    with transaction.atomic():
        row = _lock_live(repository)
        row.deleted_at = timezone.now()
        row.deleted_by = actor.name
        row.save(update_fields=["deleted_at", "deleted_by"])
        if row.is_in_use:
            record_former_name(row, row.namespace, row.name)
        crash_point("C14")
        record_event(
            kind=Event.Kind.REPOSITORY_DELETED, repository=row.facts, actor=actor
        )
    repository.deleted_at, repository.deleted_by = row.deleted_at, row.deleted_by


def restore_repository(
    *, repository: Repository, actor: Actor, name: str | None = None
) -> None:
    """Bring a deleted repository back as it was, or under another name.

    Raises NameTaken, and Repository.DoesNotExist when its time is over, or someone
    restored or purged it in the meantime.
    """
    with transaction.atomic():
        _lock_namespaces(repository.namespace_id)
        row = _lock(
            repository, Repository.objects.filter(deleted_at__gt=restorable_since())
        )
        old_name = row.full_name
        row.name = name or row.name
        row.deleted_at, row.deleted_by = None, ""
        take_own_name(row.namespace, row.name, actor, row)
        _save_name(row, "deleted_at", "deleted_by")
        renamed = {} if old_name == row.full_name else {"from": old_name}
        record_event(
            kind=Event.Kind.REPOSITORY_RESTORED,
            repository=row.facts,
            actor=actor,
            detail=renamed,
        )
    repository.name, repository.deleted_at, repository.deleted_by = row.name, None, ""


def purge_repository(*, repository: Repository, actor: Actor) -> None:
    """Delete a deleted repository permanently, with all its rows, all or nothing.

    The bytes go with the garbage collection. Raises Repository.DoesNotExist when it was
    restored in the meantime.
    """
    with transaction.atomic():
        row = _lock(repository, Repository.objects.exclude(deleted_at=None))
        _purge(row, actor)


def purge_expired() -> int:
    """Purge what no one can restore any more, and return how many that were."""
    purged = 0
    for pk in list(Repository.objects.past_restoring().values_list("pk", flat=True)):
        with transaction.atomic():
            expired = Repository.objects.past_restoring().filter(pk=pk)
            row = expired.select_for_update(of=("self",)).first()
            if row is not None:  # another worker may have been quicker
                _purge(row, SYSTEM)
                purged += 1
    return purged


@receiver(account_leaves)
def delete_with_account(*, namespace: Namespace, actor: Actor, **signal: Any) -> None:
    """Delete the repositories of an account that is being deleted."""
    for row in Repository.objects.filter(namespace=namespace, deleted_at=None):
        delete_repository(repository=row, actor=actor)


@receiver(namespace_leaves)
def purge_with_namespace(*, namespace: Namespace, actor: Actor, **signal: Any) -> None:
    """Purge the deleted repositories of a namespace that is being deleted."""
    if namespace.repositories.filter(deleted_at=None).exists():
        return  # and so it stays, with all of them
    for row in namespace.repositories.select_for_update(of=("self",)).order_by("pk"):
        _purge(row, actor)


def _purge(row: Repository, actor: Actor) -> None:
    record_event(
        kind=Event.Kind.REPOSITORY_PURGED,
        repository=row.facts,
        actor=actor,
        detail={"deleted_by": row.deleted_by},
    )
    FormerRepositoryName.objects.filter(repository=row, is_reserved=False).delete()
    row.delete()
    crash_point("C14")


def _lock_namespaces(*keys: int) -> list[Namespace]:
    """Lock namespaces until the transaction ends, so that names are given in turn."""
    rows = Namespace.objects.select_for_update(no_key=True).order_by("pk")
    locked = list(rows.filter(pk__in=keys))
    if len(locked) != len(set(keys)):
        raise Namespace.DoesNotExist
    return locked


def _lock_live(repository: Repository) -> Repository:
    """Lock a repository that is still where the caller found it, and not deleted."""
    return _lock(
        repository,
        Repository.objects.filter(
            deleted_at=None, namespace=repository.namespace_id, name=repository.name
        ),
    )


def _lock(repository: Repository, rows: RepositoryQuerySet) -> Repository:
    return (
        rows.with_full_name()
        .select_for_update(of=("self",), no_key=True)
        .get(pk=repository.pk)
    )


def _give_name(row: Repository, namespace: Namespace, name: str, actor: Actor) -> str:
    """Change a locked repository's name, keep the old one, and return that in full."""
    old_namespace, old_name, old_full_name = row.namespace, row.name, row.full_name
    row.namespace, row.name = namespace, name
    take_own_name(namespace, name, actor, row)
    _save_name(row, "namespace")
    record_former_name(row, old_namespace, old_name)
    return old_full_name


def _save_name(row: Repository, *also: str) -> None:
    try:
        with transaction.atomic():
            row.save(update_fields=["name", *also])
    except IntegrityError as error:
        reserved = isinstance(error, NameReserved)
        said = str(error) if reserved else f"there is a repository {row.full_name}"
        raise NameTaken(said) from error


def _drop_foreign_grants(row: Repository, actor: Actor) -> list[dict[str, str]]:
    """Remove the grants of teams and robots, and return what they were."""
    dropped = []
    grants = Grant.objects.with_subjects().select_related("repository__namespace")
    for grant in grants.filter(repository=row, user=None).order_by("pk"):
        dropped.append(
            {
                "kind": grant.subject_kind,
                "name": grant.subject_name,
                "role": grant.role,
                "tags": grant.tag_glob,
            }
        )
        remove_grant(grant=grant, actor=actor)
    return dropped
