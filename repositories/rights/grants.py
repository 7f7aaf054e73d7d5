"""Give and take roles on a repository."""

from typing import Any

from django.db import IntegrityError, transaction
from django.dispatch import receiver

from accounts.actors import Actor
from accounts.liveness import live_user
from accounts.memberships import member_leaves
from accounts.models import AccessTokenLimit, Namespace, Robot, Team, User
from repositories.events.recording import record_event
from repositories.models import Event, Grant, Repository, Watch

Subject = User | Team | Robot


class GrantExists(ValueError):
    """The subject has a grant for these tags already."""


def find_subject(repository: Repository, kind: str, name: str) -> Subject | None:
    """Return who is meant: any user, or a team or robot of the same namespace."""
    return find_subject_in(repository.namespace, kind, name)


def find_subject_in(namespace: Namespace, kind: str, name: str) -> Subject | None:
    """Return who is meant in a namespace, as find_subject does."""
    if kind == "user":
        return User.objects.filter(live_user(), username=name).first()
    if kind == "team":
        if namespace.organization_id is None:
            return None
        return Team.objects.filter(
            organization=namespace.organization_id, name=name
        ).first()
    prefix, _, robot_name = name.partition("+")
    if not namespace.is_called(prefix):
        return None
    return Robot.objects.filter(namespace=namespace, name=robot_name).first()


def kind_of(subject: Subject) -> str:
    """Return one of user, team and robot."""
    return {User: "user", Team: "team", Robot: "robot"}[type(subject)]


def add_grant(
    *, repository: Repository, subject: Subject, role: str, tag_glob: str, actor: Actor
) -> Grant:
    """Give a subject a role, for some tags or for all; else GrantExists."""
    try:
        with transaction.atomic():
            grant = Grant.objects.create(
                repository=repository,
                role=role,
                tag_glob=tag_glob,
                **{kind_of(subject): subject},
            )
            _record(Event.Kind.GRANT_SET, grant, actor)
    except IntegrityError as error:
        raise GrantExists("this subject has a grant for these tags") from error
    return grant


def change_grant(
    *, grant: Grant, role: str | None, tag_glob: str | None, actor: Actor
) -> Grant:
    """Change a grant's role or tags; GrantExists if it becomes another one's twin."""
    grant.role = role or grant.role
    grant.tag_glob = grant.tag_glob if tag_glob is None else tag_glob
    try:
        with transaction.atomic():
            grant.save(update_fields=["role", "tag_glob"])
            _record(Event.Kind.GRANT_SET, grant, actor)
    except IntegrityError as error:
        raise GrantExists("this subject has a grant for these tags") from error
    return grant


def remove_grant(*, grant: Grant, actor: Actor) -> None:
    """Take a role away; the next request of its subject is refused."""
    with transaction.atomic():
        _record(Event.Kind.GRANT_REMOVED, grant, actor)
        grant.delete()


@receiver(member_leaves)
def remove_all_in(
    *, namespace: Namespace, user: User, actor: Actor, **signal: Any
) -> None:
    """Take away what a user who leaves was given directly in a namespace.

    Also on deleted repositories, which may be restored.
    """
    grants = Grant.objects.with_subjects().select_related("repository__namespace")
    there = grants.filter(repository__namespace=namespace, user=user)
    for grant in there.order_by("pk"):
        remove_grant(grant=grant, actor=actor)
    repositories = namespace.repositories.all()
    AccessTokenLimit.objects.filter(
        access_token__user=user, repository_id__in=repositories.values("pk")
    ).delete()
    Watch.objects.filter(
        user=user,
        repository__in=repositories.exclude(visibility=Repository.Visibility.PUBLIC),
    ).delete()


def _record(kind: Event.Kind, grant: Grant, actor: Actor) -> None:
    record_event(
        kind=kind,
        repository=grant.repository.facts,
        actor=actor,
        detail={
            "subject": {"kind": grant.subject_kind, "name": grant.subject_name},
            "role": grant.role,
            "tags": grant.tag_glob,
        },
    )
