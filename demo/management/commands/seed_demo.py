"""Fill the site with a demo."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from demo import seed


class Command(BaseCommand):
    help = (
        "Create a demo: organizations, teams, images that can be pulled, stars, pulls. "
        "Safe to run twice."
    )
    requires_system_checks: list[str] = []  # they load every view

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--beside-others",
            action="store_true",
            help="also where other people have accounts",
        )
        parser.add_argument(
            "--password", help="the demo people's password; without it they have none"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        own = [user.pk for user in seed.demo_people()]
        others = User.objects.filter(is_superuser=False).exclude(pk__in=own)
        if others.exists() and not options["beside_others"]:
            raise CommandError(
                "other people have accounts here: --beside-others adds the demo to them"
            )
        taken = seed.taken_names()
        if taken:
            raise CommandError(
                f"the demo wants names that are taken: {', '.join(taken)}"
            )
        made = seed.seed(password=options["password"])
        for name in made:
            self.stdout.write(f"made {name}")
        if not made:
            self.stdout.write("everything of the demo is there")
