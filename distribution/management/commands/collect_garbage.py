"""Give back the space of what nothing needs; the worker does so every night."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.actors import COMMAND_LINE
from distribution.garbage import collect_garbage, confirm_collection
from distribution.storage.base import StoreError


class Command(BaseCommand):
    help = "Delete expired uploads and blobs that no manifest has needed for a while."
    requires_system_checks: list[str] = []  # they load every view

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="only report what would be deleted"
        )
        parser.add_argument(
            "--confirm",
            action="store_true",
            help="delete what a held collection has asked for",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["confirm"] and not confirm_collection(actor=COMMAND_LINE):
            raise CommandError("no collection is held: run it without --confirm")
        try:
            collected = collect_garbage(dry_run=options["dry_run"])
        except StoreError as error:
            raise CommandError(str(error)) from error
        for name, count in asdict(collected).items():
            self.stdout.write(f"{name.replace('_', ' ')}: {count}")
        if collected.held:
            self.stdout.write(
                f"The collection would delete {collected.held} objects, which is more "
                "than BERTH_GARBAGE_CONFIRM_PERCENT of the store, so it deleted "
                "nothing. Was the database restored from an old backup, or is it "
                "another one? If the objects can go, run "
                "'manage.py collect_garbage --confirm'."
            )
