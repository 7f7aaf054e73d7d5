"""Run the scheduler of the periodic tasks (registry_site/celery.py)."""

from typing import Any

from django.core.management.base import BaseCommand

from registry_site.celery import app


class Command(BaseCommand):
    help = "Start the periodic tasks. Run one scheduler, not several."
    requires_system_checks: list[str] = []  # they load every view

    def handle(self, *args: Any, **options: Any) -> None:
        app.Beat(loglevel="WARNING", quiet=True).run()
