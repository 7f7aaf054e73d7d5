"""Keep what the configs of images say that were pushed before that was kept."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from distribution.images import fill_image_configs
from distribution.storage import blob_store
from distribution.storage.base import StoreError


class Command(BaseCommand):
    help = "Read the configs of images whose platform and labels are not known yet."
    requires_system_checks: list[str] = []  # they load every view

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            blob_store().check()
        except StoreError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"images: {fill_image_configs()}")
