"""Django's command, with the namespace that every user has and the audit."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.core.management.base import CommandError
from django.db import IntegrityError, transaction

from accounts.actors import COMMAND_LINE
from accounts.events import AccountEvent, record_user_event
from accounts.models import Namespace, User


class Command(createsuperuser.Command):
    help = "Create a site administrator and the namespace of the same name."
    requires_system_checks: list[str] = []  # they load every view

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        for user in User.objects.filter(namespace=None):
            complete(user)


def complete(user: User) -> None:
    """Give a user whom Django made the namespace, or take the user back."""
    try:
        with transaction.atomic():
            Namespace.objects.create(name=user.username, user=user)
            record_user_event(
                AccountEvent.USER_CREATED,
                user=user,
                actor=COMMAND_LINE,
                detail={"is_superuser": user.is_superuser},
            )
    except IntegrityError as error:
        user.delete()
        raise CommandError(f"{user.username} is taken by an organization") from error
