"""Run the worker: what Berth does outside of requests."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from registry_site.celery import app

TASKS_MAX = 16  # at once; deliveries have threads of their own
QUEUES = [queue.name for queue in settings.CELERY_TASK_QUEUES]


def queues_in(text: str) -> list[str]:
    """Return the names of queues in a list with commas; refuse unknown ones."""
    names = text.split(",")
    for name in names:
        if name not in QUEUES:
            raise ArgumentTypeError(f"there is no queue {name!r}: {', '.join(QUEUES)}")
    return names


class Command(BaseCommand):
    help = "Deliver webhooks and mail, collect garbage, count pulls."
    requires_system_checks: list[str] = []  # they load every view

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "-Q",
            "--queues",
            type=queues_in,
            default=QUEUES,
            metavar="NAME,NAME",
            help=f"take tasks of these queues only, of {', '.join(QUEUES)}",
        )

    def handle(self, *args: Any, queues: list[str], **options: Any) -> None:
        worker = app.Worker(
            queues=queues,
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
