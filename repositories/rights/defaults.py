"""Default permissions: who else gets a role on a repository when it is made.

    "when anyone (or this user or robot) creates a repository in acme, give this
    subject that role"

A rule for the creator beats the one for anyone, per subject, also where it gives less.
The creator's own role is never lowered. A later change of the rules changes no grant.
"""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.dispatch import receiver

from accounts.actors import Actor
from accounts.memberships import member_leaves
from accounts.models import Namespace, Robot, User
from repositories.events.recording import record_event, record_in_namespace
from repositories.models import DefaultPermission, Event, Grant, Repository
from repositories.rights.grants import Subject, kind_of


class DefaultExists(ValueError):
    """There is a rule for this creator and this subject already."""


def add_default(
    *,
    namespace: Namespace,
    creator: User | Robot | None,
    subject: Subject,
    role: str,
    actor: Actor,
) -> DefaultPermission:
    """Make a rule for repositories to come; DefaultExists for a second one."""
    columns: dict[str, object] = {kind_of(subject): subject}
    if creator is not None:
        columns[f"creator_{kind_of(creator)}"] = creator
    try:
        with transaction.atomic():
            rule = DefaultPermission.objects.create(
                namespace=namespace, role=role, **columns
            )
            _record(Event.Kind.DEFAULT_SET, rule, actor)
    except IntegrityError as error:
        raise DefaultExists("there is a rule for this creator and subject") from error
    return rule


def remove_default(*, rule: DefaultPermission, actor: Actor) -> None:
    """Remove a rule; what it gave stays."""
    with transaction.atomic():
        _record(Event.Kind.DEFAULT_REMOVED, rule, actor)
        rule.delete()


@receiver(member_leaves)
def remove_defaults_of(
    *, namespace: Namespace, user: User, actor: Actor, **signal: Any
) -> None:
    """Remove the rules that are for a user who leaves, or for what they create."""
    rules = namespace.default_permissions.with_names()
    for rule in rules.filter(Q(user=user) | Q(creator_user=user)).order_by("pk"):
        remove_default(rule=rule, actor=actor)


def apply_defaults(*, repository: Repository, actor: Actor) -> None:
    """Give the roles of the rules, in the transaction that makes the repository."""
    if repository.namespace.organization_id is None:
        return
    creator = Q(creator_user=None, creator_robot=None)
    if actor.user_id is not None:
        creator |= Q(creator_user=actor.user_id)
    elif actor.robot_id is not None:
        creator |= Q(creator_robot=actor.robot_id)
    rules = repository.namespace.default_permissions.filter(creator).with_names()
    by_subject: dict[tuple[str, str], DefaultPermission] = {}
    for rule in rules:
        key = (rule.subject_kind, rule.subject_name)
        if rule.is_for_one_creator or key not in by_subject:
            by_subject[key] = rule
    for rule in by_subject.values():
        if _is_creator(rule, actor):
            continue
        Grant.objects.create(
            repository=repository,
            user=rule.user,
            team=rule.team,
            robot=rule.robot,
            role=rule.role,
        )
        record_event(
            kind=Event.Kind.GRANT_SET,
            repository=repository.facts,
            actor=actor,
            detail={**_described(rule), "tags": "", "reason": "by default"},
        )


def _is_creator(rule: DefaultPermission, actor: Actor) -> bool:
    """Return whether the rule is for the creator, who has admin already."""
    return (actor.user_id is not None and rule.user_id == actor.user_id) or (
        actor.robot_id is not None and rule.robot_id == actor.robot_id
    )


def _described(rule: DefaultPermission) -> dict[str, object]:
    return {
        "subject": {"kind": rule.subject_kind, "name": rule.subject_name},
        "role": rule.role,
    }


def _record(kind: Event.Kind, rule: DefaultPermission, actor: Actor) -> None:
    record_in_namespace(
        kind=kind,
        namespace=rule.namespace,
        actor=actor,
        detail={**_described(rule), "creator": rule.creator_name},
    )
