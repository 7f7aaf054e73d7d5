"""Make repositories."""

from django.db import transaction

from accounts.actions import Role
from accounts.actors import Actor
from accounts.models import Namespace
from repositories.events import record_event
from repositories.models import Event, Grant, Repository, RepositoryFacts


def create_repository(
    *,
    namespace: Namespace,
    name: str,
    actor: Actor,
    visibility: str = Repository.Visibility.PRIVATE,
) -> Repository:
    """Make a repository; its creator gets admin on it.

    Whether the actor may is the caller's question (permissions.may_create). Raises
    IntegrityError when the name is taken.
    """
    with transaction.atomic():
        repository = Repository.objects.create(
            namespace=namespace, name=name, visibility=visibility
        )
        if not actor.is_anonymous and actor.user_id != namespace.user_id:
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
    return repository


def create_on_push(
    *, namespace: Namespace, name: str, actor: Actor, visibility: str
) -> RepositoryFacts:
    """Make the repository that a push names, or return the one of a quicker push."""
    with transaction.atomic():
        # The namespace's row serialises two first pushes, so that none of them fails.
        locked = Namespace.objects.select_for_update().get(pk=namespace.pk)
        repository = locked.repositories.filter(name=name).first()
        if repository is None:
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
    changed = [
        name for name, text in texts.items() if getattr(repository, name) != text
    ]
    if not changed:
        return
    with transaction.atomic():
        for name in changed:
            setattr(repository, name, texts[name])
        repository.save(update_fields=changed)
        record_event(
            kind=Event.Kind.REPOSITORY_CHANGED,
            repository=repository.facts,
            actor=actor,
            detail={"changed": changed},
        )


def delete_repository(*, repository: Repository, actor: Actor) -> None:
    """Delete a repository with its tags, manifests and grants, all or nothing.

    The bytes go with the garbage collection. Registry tokens for it open nothing any
    more, also not a new repository of the same name.
    """
    with transaction.atomic():
        facts = repository.facts
        record_event(kind=Event.Kind.REPOSITORY_DELETED, repository=facts, actor=actor)
        repository.delete()
