"""Write what the search looks into again."""

from typing import Any

from django.core.management.base import BaseCommand

from search import index, trends, triggers


class Command(BaseCommand):
    help = "Rebuild the entries, platforms, labels and trends of the search."
    requires_system_checks: list[str] = []  # they load every view

    def handle(self, *args: Any, **options: Any) -> None:
        count = index.rebuild()
        trends.refresh()
        self.stdout.write(f"{count} repositories can be found")
        if not triggers.has_trigrams():
            self.stdout.write("without pg_trgm: words are found by reading all entries")
