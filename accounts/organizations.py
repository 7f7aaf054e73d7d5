"""Make and change organizations."""

from typing import Any

from django.db import transaction

from accounts.actors import Actor
from accounts.events import AccountEvent, tell
from accounts.models import Membership, Namespace, Organization, Team, User
from accounts.models.teams import OWNERS_TEAM


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
    organization = Organization(display_name=display_name)
    found_organization(
        organization=organization,
        name=name,
        owner=owner,
        actor=actor,
        is_official=is_official,
    )
    return organization


def found_organization(
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
        namespace.save()
        owners = Team.objects.create(
            organization=organization, name=OWNERS_TEAM, standing=Team.Standing.ADMIN
        )
        Membership.objects.create(team=owners, user=owner)
        tell(
            AccountEvent.ORGANIZATION_CREATED,
            actor=actor,
            namespace=namespace,
            detail={"owner": owner.username},
        )


def change_organization(
    *, organization: Organization, actor: Actor, **fields: Any
) -> None:
    """Change the texts that people read of an organization."""
    changed = [name for name in fields if getattr(organization, name) != fields[name]]
    if not changed:
        return
    with transaction.atomic():
        for name in changed:
            setattr(organization, name, fields[name])
        organization.save(update_fields=changed)
        tell(
            AccountEvent.ORGANIZATION_CHANGED,
            actor=actor,
            namespace=organization.namespace,
            detail={"changed": changed},
        )


def vouch_for(*, namespace: Namespace, actor: Actor, **marks: bool) -> None:
    """Set or take ``is_official`` and ``is_verified``, for site administrators."""
    changed = {
        name: mark for name, mark in marks.items() if getattr(namespace, name) != mark
    }
    if not changed:
        return
    with transaction.atomic():
        for name, mark in changed.items():
            setattr(namespace, name, mark)
        namespace.save(update_fields=list(changed))
        is_users = namespace.organization_id is None
        tell(
            AccountEvent.USER_CHANGED
            if is_users
            else AccountEvent.ORGANIZATION_CHANGED,
            actor=actor,
            namespace=namespace,
            detail={"changed": list(changed), **changed},
        )


def delete_organization(organization: Organization) -> None:
    """Delete an organization with its teams and robots; its name becomes free.

    Raises ProtectedError while it has repositories.
    """
    with transaction.atomic():
        organization.namespace.delete()
        organization.delete()
