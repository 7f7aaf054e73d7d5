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
    with transaction.atomic():
        organization = Organization.objects.create(display_name=display_name)
        namespace = Namespace(
            name=name, organization=organization, is_official=is_official
        )
        namespace.clean_fields()
        namespace.save()
        owners = Team.objects.create(
            organization=organization, name=OWNERS_TEAM, standing=Team.Standing.ADMIN
        )
        Membership.objects.create(team=owners, user=owner)
    return organization


def delete_organization(organization: Organization) -> None:
    """Delete an organization with its teams and robots; its name becomes free.

    Raises ProtectedError while it has repositories.
    """
    with transaction.atomic():
        organization.namespace.delete()
        organization.delete()
