"""Make people."""

from django.db import transaction

from accounts.memberships import LastOwner
from accounts.models import Namespace, Team, User
from accounts.models.teams import OWNERS_TEAM


def create_user(
    *, username: str, password: str | None, email: str = "", is_superuser: bool = False
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
    with transaction.atomic():
        user.save()
        Namespace.objects.create(name=username, user=user)
    return user


def deactivate_user(user: User) -> None:
    """Switch a user off: no sign-in, no token, no robot of theirs works any more.

    The name stays taken, so that nobody inherits what others trusted it with. Raises
    LastOwner for the only active owner of an organization.
    """
    with transaction.atomic():
        owned = Team.objects.select_for_update().filter(
            name=OWNERS_TEAM, memberships__user=user
        )
        for team in owned.order_by("pk"):
            others = team.memberships.filter(user__is_active=True).exclude(user=user)
            if not others.exists():
                name = team.organization.namespace.name
                raise LastOwner(f"{user.username} is the only owner of {name}")
        User.objects.filter(pk=user.pk).update(is_active=False)
