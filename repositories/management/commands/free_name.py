"""Free former names that are reserved."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.actors import COMMAND_LINE
from repositories.former_names import former_names_of, free_name


class Command(BaseCommand):
    help = "Free former names of users, organizations and repositories, or list them."
    requires_system_checks: list[str] = []  # they load every view

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="*", help="such as oldco, or acme/old-api")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["name"]:
            for former in former_names_of(COMMAND_LINE):
                leads_to = former.leads_to or "nothing"
                self.stdout.write(f"{former.name} leads to {leads_to}")
        for name in options["name"]:
            if not free_name(name, actor=COMMAND_LINE):
                raise CommandError(f"'{name}' is not a former name, or is free already")
            self.stdout.write(f"{name} is free")
