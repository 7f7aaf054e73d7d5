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
