"""Make, change, rename and delete organizations."""

from typing import Any

from django.db import transaction
from django.dispatch import Signal

from accounts.actors import Actor
from accounts.events import AccountEvent, record_account_event
from accounts.former_names import record_former_name, take_own_name
from accounts.models import (
    FormerNamespaceName,
    Membership,
    Namespace,
    Organization,
    Team,
    User,
)
from accounts.models.teams import OWNERS_TEAM
from accounts.rates import take
from database.rows import changes_of, save_changes

# Sent with ``namespace`` and ``actor`` in the transaction that deletes a namespace:
# the other apps let go of what they keep of it, or keep it from being deleted.
namespace_leaves = Signal()


def create_organization(
    *,
    name: str,
    owner: User,
    actor: Actor,
    display_name: str = "",
    is_official: bool = False,
) -> Organization:
    """Make an organization, its namespace and its owners team with the first owner.

    Raises ValidationError for a name that the grammar refuses, and IntegrityError when
    the name is taken by a user or an organization.
    """
    take("organizations", actor)
    organization = Organization(display_name=display_name)
    save_organization(
        organization=organization,
        name=name,
        owner=owner,
        actor=actor,
        is_official=is_official,
    )
    return organization


def save_organization(
    *,
    organization: Organization,
    name: str,
    owner: User,
    actor: Actor,
    is_official: bool = False,
) -> None:
    """Save a new organization with its namespace and its first owner, or nothing.

    For a form that has filled in the rest; raises as create_organization does.
    """
    with transaction.atomic():
        organization.save()
        namespace = Namespace(
            name=name, organization=organization, is_official=is_official
        )
        namespace.clean_fields()
        take_own_name(name, actor)
        namespace.save()
        owners = Team.objects.create(
            organization=organization, name=OWNERS_TEAM, standing=Team.Standing.ADMIN
        )
        Membership.objects.create(team=owners, user=owner)
        record_account_event(
            AccountEvent.ORGANIZATION_CREATED,
            actor=actor,
            namespace=namespace,
            detail={"owner": owner.username},
        )


def change_organization(
    *, organization: Organization, actor: Actor, **fields: Any
) -> None:
    """Change the texts that people read of an organization."""
    changes = changes_of(organization, fields)
    if not changes:
        return
    with transaction.atomic():
        save_changes(organization, changes)
        record_account_event(
            AccountEvent.ORGANIZATION_CHANGED,
            actor=actor,
            namespace=organization.namespace,
            detail={"changed": list(changes)},
        )


def set_badges(*, namespace: Namespace, actor: Actor, **badges: bool) -> None:
    """Set or take ``is_official`` and ``is_verified``, for site administrators."""
    changes = changes_of(namespace, badges)
    if not changes:
        return
    with transaction.atomic():
        save_changes(namespace, changes)
        is_users = namespace.organization_id is None
        record_account_event(
            AccountEvent.USER_CHANGED
            if is_users
            else AccountEvent.ORGANIZATION_CHANGED,
            actor=actor,
            namespace=namespace,
            detail={"changed": list(changes), **changes},
        )


def rename_organization(*, organization: Organization, name: str, actor: Actor) -> None:
    """Give an organization another name; the old one leads there until it is taken.

    Raises ValidationError for a name that the grammar refuses, and IntegrityError when
    the name is taken by a user or an organization, or reserved (NameReserved).
    """
    organization.namespace = rename_namespace(
        namespace=organization.namespace, name=name, actor=actor
    )


def rename_namespace(*, namespace: Namespace, name: str, actor: Actor) -> Namespace:
    """Rename an organization, or a user with the username; raises as above.

    The namespace's row is locked, so that of two renames one comes after the other and
    both old names are kept.
    """
    with transaction.atomic():
        row = Namespace.objects.select_for_update(no_key=True).get(pk=namespace.pk)
        old_name = row.name
        if name == old_name:
            return row
        row.name = name
        row.clean_fields()
        take_own_name(name, actor)
        row.save(update_fields=["name"])
        record_former_name(old_name, row)
        kind, detail = AccountEvent.ORGANIZATION_RENAMED, {"from": old_name, "to": name}
        if row.user is not None:
            kind = AccountEvent.USER_RENAMED
            row.user.username = name
            row.user.save(update_fields=["username"])
        record_account_event(kind, actor=actor, namespace=row, detail=detail)
    return row


def delete_organization(*, organization: Organization, actor: Actor) -> None:
    """Delete an organization with its teams and robots; its names become free.

    Names by which images were pulled recently stay reserved until an administrator of
    the site frees them. Deleted repositories that could still be restored are deleted,
    too. Raises ProtectedError while there are others. The namespace's row is locked, so
    that no one creates one at this moment.
    """
    with transaction.atomic():
        namespace = Namespace.objects.select_for_update().get(organization=organization)
        record_account_event(
            AccountEvent.ORGANIZATION_DELETED, actor=actor, namespace=namespace
        )
        delete_namespace(namespace=namespace, actor=actor)
        organization.delete()


def delete_namespace(
    *, namespace: Namespace, actor: Actor, is_reserved: bool = False
) -> None:
    """Delete a locked namespace with what it owns, in the caller's transaction.

    Its names stay reserved if they are in use, or if the caller says so.
    """
    is_reserved = is_reserved or namespace.is_in_use
    namespace_leaves.send(sender=Namespace, namespace=namespace, actor=actor)
    former = FormerNamespaceName.objects.filter(namespace=namespace)
    if is_reserved:
        former.filter(freed_at=None).update(is_reserved=True)
    former.filter(is_reserved=False).delete()
    name = namespace.name
    namespace.delete()
    if is_reserved:
        FormerNamespaceName.objects.create(name=name, is_reserved=True)
