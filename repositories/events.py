"""Write down what happened, in the transaction that makes it happen."""

from typing import Any

from django.dispatch import receiver

from accounts import events as accounts_events
from accounts.actors import Actor
from accounts.models import Namespace
from repositories.models import Event, RepositoryFacts


def record_event(
    *,
    kind: Event.Kind,
    repository: RepositoryFacts,
    actor: Actor,
    detail: dict[str, Any] | None = None,
) -> Event:
    """Add an event to the caller's transaction; it counts once that commits."""
    return Event.objects.create(
        kind=kind,
        namespace_id=repository.namespace_id,
        namespace_name=repository.namespace_name,
        repository_id=repository.id,
        repository_name=repository.full_name,
        user_id=actor.user_id,
        robot_id=actor.robot_id,
        access_token_id=actor.access_token_id,
        actor_name=actor.name,
        address=actor.address or None,
        detail=detail or {},
    )


@receiver(accounts_events.happened)
def record_account_event(
    *,
    kind: accounts_events.AccountEvent,
    actor: Actor,
    namespace: Namespace | None,
    detail: dict[str, Any],
    **signal: Any,
) -> None:
    """Add what happened to people, teams, robots and tokens to the same log."""
    Event.objects.create(
        kind=kind,
        namespace=namespace,
        namespace_name=namespace.name if namespace else "",
        user_id=actor.user_id,
        robot_id=actor.robot_id,
        access_token_id=actor.access_token_id,
        actor_name=actor.name,
        address=actor.address or None,
        detail=detail,
    )
