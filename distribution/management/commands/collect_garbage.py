"""Give back the space of what nothing needs; the worker does so every night."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from distribution.garbage import collect_garbage
from distribution.storage.base import StoreError


class Command(BaseCommand):
    help = "Delete expired uploads and blobs that no manifest has needed for a while."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what would be deleted"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            collected = collect_garbage(dry_run=options["dry_run"])
        except StoreError as error:
            raise CommandError(str(error)) from error
        for name, count in asdict(collected).items():
            self.stdout.write(f"{name.replace('_', ' ')}: {count}")
