"""Reset the second factor of an account."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.actors import COMMAND_LINE
from accounts.models import User
from accounts.second_factor import reset_second_factor


class Command(BaseCommand):
    help = "Remove authenticator app, passkeys and recovery codes of an account."
    requires_system_checks: list[str] = []  # they load every view

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"there is no account '{options['username']}'")
        if not reset_second_factor(user=user, actor=COMMAND_LINE):
            raise CommandError(f"{user.username} has no second factor")
        self.stdout.write(
            f"The second factor of {user.username} is removed. Sessions and docker "
            "logins by password have ended."
        )
