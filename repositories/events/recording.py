"""Record what happened, in the transaction that makes it happen."""

from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import transaction
from django.dispatch import Signal, receiver
from django.utils import timezone

from accounts import events as accounts_events
from accounts.actors import Actor
from accounts.models import Namespace
from repositories.models import Event, Repository, RepositoryFacts

EXPIRED_AT_ONCE = 500  # rows of one transaction: pushes write here too
WRITTEN_AT_ONCE = 500  # rows of one statement

# Sent with ``event`` after the commit, for those who want to be quick. Whoever must not
# miss one reads the rows: a process may end before it has told.
event_recorded = Signal()


def record_event(
    *,
    kind: str,
    repository: RepositoryFacts,
    actor: Actor,
    detail: dict[str, Any] | None = None,
) -> Event:
    """Add an event to the caller's transaction; it counts once that commits.

    The kind is an Event.Kind or one of an app that stands on this one.
    """
    event = _event_of(kind, repository, actor, detail or {})
    event.save(force_insert=True)
    # Whatever goes wrong there, what happened has happened.
    transaction.on_commit(
        partial(event_recorded.send_robust, sender=Event, event=event), robust=True
    )
    return event


def record_new_names(*, namespace: Namespace, actor: Actor, old_name: str) -> None:
    """Add to the transaction that renames a namespace what its repositories are now.

    There may be thousands, so no worker is woken; the sweep of the log finds them.
    """
    rows = Repository.objects.filter(namespace=namespace, deleted_at=None)
    events = (
        _event_of(
            Event.Kind.REPOSITORY_RENAMED,
            row.facts,
            actor,
            {"from": f"{old_name}/{row.name}", "to": row.full_name},
        )
        for row in rows.with_full_name().order_by("pk").iterator()
    )
    while batch := list(islice(events, WRITTEN_AT_ONCE)):
        Event.objects.bulk_create(batch)


def _event_of(
    kind: str, repository: RepositoryFacts, actor: Actor, detail: dict[str, Any]
) -> Event:
    return Event(
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
        detail=detail,
    )


def record_in_namespace(
    *,
    kind: str,
    namespace: Namespace | None,
    actor: Actor,
    detail: dict[str, Any],
) -> Event:
    """Add an event of a namespace (None: of the site) to the caller's transaction."""
    return Event.objects.create(
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
    record_in_namespace(kind=kind, namespace=namespace, actor=actor, detail=detail)
    renamed = (
        accounts_events.AccountEvent.ORGANIZATION_RENAMED,
        accounts_events.AccountEvent.USER_RENAMED,
    )
    if kind in renamed and namespace:
        record_new_names(namespace=namespace, actor=actor, old_name=detail["from"])


def expire_events() -> int:
    """Delete what is older than BERTH_AUDIT_DAYS, and return how many; 0 keeps all.

    In small transactions, oldest first, so that no one waits for it; one that is killed
    continues the next time.
    """
    if not settings.BERTH_AUDIT_DAYS:
        return 0
    ends_at = timezone.now() - timedelta(days=settings.BERTH_AUDIT_DAYS)
    expired = Event.objects.before(ends_at).order_by("at")
    count = 0
    while ids := list(expired.values_list("pk", flat=True)[:EXPIRED_AT_ONCE]):
        Event.objects.filter(pk__in=ids).delete()
        count += len(ids)
    return count
