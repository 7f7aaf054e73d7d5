"""Make people, change what is kept of them, and switch them off."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction

from accounts.actors import Actor
from accounts.events import AccountEvent, tell_of_user
from accounts.memberships import LastOwner
from accounts.models import Namespace, Team, User
from accounts.models.teams import OWNERS_TEAM

# What changes of them the audit quotes; the rest it only names.
QUOTED_FIELDS = {"is_staff", "is_superuser"}


def create_user(
    *,
    username: str,
    password: str | None,
    actor: Actor,
    email: str = "",
    is_superuser: bool = False,
) -> User:
    """Make a user and the namespace of the same name, or neither.

    Raises ValidationError for a name that the grammar refuses, and IntegrityError when
    the name is taken by a user or an organization.
    """
    user = User(
        username=username,
        email=User.objects.normalize_email(email),
        is_superuser=is_superuser,
        is_staff=is_superuser,
    )
    user.set_password(password)
    user.clean_fields(exclude=["password"])
    enrol_user(user=user, actor=actor)
    return user


def enrol_user(*, user: User, actor: Actor) -> None:
    """Save a new user with the namespace of the same name, or nothing.

    For a form that has filled in and checked the rest; IntegrityError as create_user.
    """
    with transaction.atomic():
        user.save()
        Namespace.objects.create(name=user.username, user=user)
        tell_of_user(
            AccountEvent.USER_CREATED,
            user=user,
            actor=actor,
            detail={"is_superuser": user.is_superuser},
        )


def change_user(*, user: User, actor: Actor, **fields: Any) -> None:
    """Change what is kept of a user, the password apart.

    Raises LastOwner when the only active owner of an organization is switched off, and
    IntegrityError when somebody else has the e-mail address.
    """
    changed = [name for name in fields if getattr(user, name) != fields[name]]
    if not changed:
        return
    with transaction.atomic():
        if "is_active" in changed and not fields["is_active"]:
            keep_owners(user)
        for name in changed:
            setattr(user, name, fields[name])
        user.save(update_fields=changed)
        if "is_active" in changed:
            changed.remove("is_active")
            kind = (
                AccountEvent.USER_ACTIVATED
                if user.is_active
                else AccountEvent.USER_DEACTIVATED
            )
            tell_of_user(kind, user=user, actor=actor)
        if changed:
            quoted = {name: fields[name] for name in changed if name in QUOTED_FIELDS}
            tell_of_user(
                AccountEvent.USER_CHANGED,
                user=user,
                actor=actor,
                detail={"changed": changed, **quoted},
            )


def deactivate_user(*, user: User, actor: Actor) -> None:
    """Switch a user off: no sign-in, no token, no robot of theirs works any more.

    The name stays taken, so that nobody inherits what others trusted it with. Raises
    LastOwner for the only active owner of an organization.
    """
    change_user(user=user, actor=actor, is_active=False)


def change_password(*, user: User, password: str | None, actor: Actor) -> None:
    """Set a new password; sessions that were opened by the old one end."""
    user.set_password(password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        tell_of_user(AccountEvent.USER_PASSWORD_CHANGED, user=user, actor=actor)


@contextmanager
def noting_password(*, user_id: int, actor: Actor) -> Iterator[None]:
    """Record it if a form of Django's leaves the user with another password."""
    users = User.objects.filter(pk=user_id)
    with transaction.atomic():
        before = users.get().password
        yield
        user = users.get()
        if user.password != before:
            tell_of_user(AccountEvent.USER_PASSWORD_CHANGED, user=user, actor=actor)


def keep_owners(user: User) -> None:
    """Raise LastOwner if an organization would be left without an active owner.

    Locks the owners teams of the user for the rest of the caller's transaction.
    """
    owned = Team.objects.select_for_update().filter(
        name=OWNERS_TEAM, memberships__user=user
    )
    for team in owned.order_by("pk"):
        others = team.memberships.filter(user__is_active=True).exclude(user=user)
        if not others.exists():
            name = team.organization.namespace.name
            raise LastOwner(f"{user.username} is the only owner of {name}")
