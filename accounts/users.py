"""Make people."""

from django.db import transaction

from accounts.models import Namespace, User


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
