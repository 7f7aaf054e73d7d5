"""Make organizations."""

from django.db import transaction

from accounts.models import Membership, Namespace, Organization, Team, User
from accounts.models.teams import OWNERS_TEAM


def create_organization(
    *, name: str, owner: User, display_name: str = "", is_official: bool = False
) -> Organization:
    """Make an organization, its namespace and its owners team with the first owner.

    Raises ValidationError for a name that the grammar refuses, and IntegrityError when
    the name is taken by a user or an organization.
    """
    organization = Organization(display_name=display_name)
    found_organization(
        organization=organization, name=name, owner=owner, is_official=is_official
    )
    return organization


def found_organization(
    *, organization: Organization, name: str, owner: User, is_official: bool = False
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


def delete_organization(organization: Organization) -> None:
    """Delete an organization with its teams and robots; its name becomes free.

    Raises ProtectedError while it has repositories.
    """
    with transaction.atomic():
        organization.namespace.delete()
        organization.delete()
