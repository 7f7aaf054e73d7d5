"""Run the worker: what Berth does outside of requests."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from registry_site.celery import app

TASKS_MAX = 16  # at once; deliveries have threads of their own


class Command(BaseCommand):
    help = "Deliver webhooks and mail, collect garbage, count pulls."
    requires_system_checks: list[str] = []  # they load every view

    def handle(self, *args: Any, **options: Any) -> None:
        worker = app.Worker(
            pool_cls="threads",
            concurrency=TASKS_MAX,
            # Workers need not know of each other: their heartbeats are in the database.
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            loglevel="WARNING",
            quiet=True,
        )
        worker.start()
        sys.exit(worker.exitcode)
