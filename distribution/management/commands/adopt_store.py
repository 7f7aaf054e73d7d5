"""Bind the blob store and the database to each other, when a start refuses them."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.actors import COMMAND_LINE
from distribution.installation import adopt_store, compare, database_place
from distribution.models import Installation
from distribution.storage import blob_store
from distribution.storage.base import StoreError


class Command(BaseCommand):
    help = "Pair this database with this blob store."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--yes", action="store_true", help="do it; without, only show what is there"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        store = blob_store()
        try:
            mark = store.read_mark()
            compared = compare(store)
            row = Installation.objects.first()
            self.stdout.write(
                f"database:    {database_place()}\n"
                f"identifier:  {row or 'none'}\n"
                f"blobs:       {compared.blob_count:,}\n"
                f"blob store:  {store.place}\n"
                f"identifier:  {(mark and mark.identifier) or 'none'}\n"
                f"has blobs:   {'yes' if compared.store_has_blobs else 'no'}\n"
                f"sampled:     {compared.sampled} blobs of the database, of which "
                f"{compared.missing} are missing in the store"
            )
            if not options["yes"]:
                self.stdout.write(
                    "Nothing was changed. With --yes both get a new identifier, and "
                    "other databases that used this store are refused. Blobs that this "
                    "database does not have are garbage from then on; missing blobs "
                    "stay missing until they are pushed again."
                )
                return
            store.prepare()
            adopt_store(actor=COMMAND_LINE)
        except StoreError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("The blob store belongs to this database now.")
