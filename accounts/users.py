"""Create, change and suspend users."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.dispatch import Signal

from accounts.actors import Actor
from accounts.credentials import end_lesser_credentials, forget_unconfirmed
from accounts.emails import AddressTaken, is_address_taken
from accounts.events import AccountEvent, record_account_event, record_user_event
from accounts.liveness import live_user
from accounts.membership_decisions import record_decision
from accounts.memberships import remove_from_organization
from accounts.models import Membership, Namespace, Organization, Team, User
from accounts.models.teams import OWNERS_TEAM
from accounts.organizations import delete_namespace, rename_namespace
from database.crash_points import crash_point
from database.rows import changes_of, save_changes

# Sent with ``user`` and ``actor`` in the transaction that suspends an account.
user_suspended = Signal()

# Sent with ``namespace`` and ``actor`` in the transaction that deletes an account.
account_leaves = Signal()

_STANDING = ("is_active", "is_staff", "is_superuser")


class LastAdministrator(ValueError):
    """Refused: the site would be left without an administrator who can sign in."""


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
    the name is taken by a user or an organization, or the address by a user.
    """
    user = User(
        username=username,
        email=User.objects.normalize_email(email),
        is_superuser=is_superuser,
        is_staff=is_superuser,
    )
    user.set_password(password)
    user.clean_fields(exclude=["password"])
    if is_address_taken(user.email, by_other_than=user):
        raise AddressTaken
    enrol_user(user=user, actor=actor)
    return user


def enrol_user(*, user: User, actor: Actor) -> None:
    """Save a new user with the namespace of the same name, or nothing.

    For a form that has filled in and checked the rest; IntegrityError as create_user.
    """
    with transaction.atomic():
        user.save()
        Namespace.objects.create(name=user.username, user=user)
        record_user_event(
            AccountEvent.USER_CREATED,
            user=user,
            actor=actor,
            detail={"is_superuser": user.is_superuser},
        )


def change_user(*, user: User, actor: Actor, **fields: Any) -> None:
    """Change what is kept of a user, the password and the name apart.

    An account can always be suspended (``is_active``), whatever it owns. Raises
    LastAdministrator for the last one of the site, and IntegrityError when another
    account has the email address.
    """
    changes = changes_of(user, fields)
    if not changes:
        return
    if "email" in changes and is_address_taken(fields["email"], by_other_than=user):
        raise AddressTaken
    with transaction.atomic():
        if any(not changes.get(name, True) for name in _STANDING):
            require_another_administrator(user)
        save_changes(user, changes)
        if changes.pop("is_active", None) is not None:
            if user.is_active:
                record_user_event(AccountEvent.USER_ACTIVATED, user=user, actor=actor)
            else:
                _suspend(user, actor)
        if changes:
            quoted = {name: changes[name] for name in changes if name in QUOTED_FIELDS}
            record_user_event(
                AccountEvent.USER_CHANGED,
                user=user,
                actor=actor,
                detail={"changed": list(changes), **quoted},
            )


def suspend_user(*, user: User, actor: Actor) -> None:
    """Suspend an account: everything that acts in its name stops at once.

    Its sessions, docker logins, uploads, and the invitations and webhooks that it made
    end. Its access tokens and robots pause until it is activated again. The name stays
    taken, so that no one inherits what others trusted it with. Raises
    LastAdministrator.
    """
    change_user(user=user, actor=actor, is_active=False)


def _suspend(user: User, actor: Actor) -> None:
    end_lesser_credentials(user)
    record_decision(user=user, organization=None, actor=actor)
    left = organizations_left_by(user)
    detail = {"without_owner": left} if left else {}
    record_user_event(
        AccountEvent.USER_SUSPENDED, user=user, actor=actor, detail=detail
    )
    user_suspended.send(sender=User, user=user, actor=actor)


def rename_user(*, user: User, name: str, actor: Actor) -> None:
    """Give a user another name; the old one leads there (docs/names.md).

    Raises ValidationError for a name that the grammar refuses, and IntegrityError when
    the name is taken by a user or an organization, or reserved (NameReserved).
    """
    user.namespace = rename_namespace(namespace=user.namespace, name=name, actor=actor)
    user.username = name


def delete_user(*, user: User, actor: Actor) -> None:
    """Delete an account permanently, with its repositories, robots and rights.

    Its names stay reserved, so that no one inherits what others trusted it with. Raises
    LastOwner for the only owner of an organization, and LastAdministrator.
    """
    with transaction.atomic():
        require_another_administrator(user)
        for organization in Organization.objects.filter(
            teams__memberships__user=user
        ).distinct():
            remove_from_organization(organization=organization, user=user, actor=actor)
        record_decision(user=user, organization=None, actor=actor)
        user_suspended.send(sender=User, user=user, actor=actor)
        namespace = Namespace.objects.select_for_update().get(user=user)
        record_account_event(
            AccountEvent.USER_DELETED,
            actor=actor,
            namespace=None,
            detail={"user": user.username},
        )
        account_leaves.send(sender=User, namespace=namespace, actor=actor)
        delete_namespace(namespace=namespace, actor=actor, is_reserved=True)
        User.objects.get(pk=user.pk).delete()
        crash_point("C32")


def change_password(*, user: User, password: str | None, actor: Actor) -> None:
    """Set a new password; sessions that were opened by the old one end."""
    user.set_password(password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        record_new_password(user=user, actor=actor)


def record_new_password(*, user: User, actor: Actor) -> None:
    """Record that a password was changed; a one-time password is over with it."""
    forget_unconfirmed(user)
    if user.must_change_password:
        user.must_change_password = False
        user.save(update_fields=["must_change_password"])
    record_user_event(AccountEvent.USER_PASSWORD_CHANGED, user=user, actor=actor)


@contextmanager
def noting_password(*, user_id: int, actor: Actor) -> Iterator[None]:
    """Record it if a form of Django's leaves the user with another password."""
    users = User.objects.filter(pk=user_id)
    with transaction.atomic():
        before = users.get().password
        yield
        user = users.get()
        if user.password != before:
            record_new_password(user=user, actor=actor)


def organizations_left_by(user: User) -> list[str]:
    """Return the organizations of which no one but the user is an active owner."""
    others = Membership.objects.filter(
        live_user("user__"), team=OuterRef("pk")
    ).exclude(user=user)
    owned = Team.objects.filter(
        ~Exists(others), name=OWNERS_TEAM, memberships__user=user
    )
    names = owned.values_list("organization__namespace__name", flat=True)
    return list(names.order_by("organization__namespace__name"))


def require_another_administrator(user: User) -> None:
    """Raise LastAdministrator if no other active user administers the site.

    Locks all who do, so that of two who go at once one stays.
    """
    administrators = User.objects.filter(live_user(), is_staff=True, is_superuser=True)
    locked = administrators.select_for_update(no_key=True).order_by("pk")
    ids = set(locked.values_list("pk", flat=True))
    if ids <= {user.pk} and ids:
        raise LastAdministrator(
            f"{user.username} is the last active administrator of this site"
        )
