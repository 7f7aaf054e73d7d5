"""Serve Berth with Granian: the settings decide where and with how many threads."""

import gc
import multiprocessing
import sys
from typing import Any

from django.conf import settings
from django.core.checks import run_checks
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from registry_site import startup
from registry_site.checks import SERVING
from registry_site.pulse import start_pulse
from registry_site.server.workers import serve


class Command(BaseCommand):
    help = "Serve the registry and its pages (BERTH_LISTEN)."
    requires_system_checks: list[str] = []  # handle() says what is wrong in one line
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = settings.BERTH_LISTEN
        startup.refuse_a_taken_address(host, port)
        startup.refuse_unusable_certificate()
        startup.wait_for_database(self.stderr.write)
        startup.refuse_newer_data()
        startup.refuse_older_data()
        load_and_check()
        for warning in startup.list_warnings():
            self.stderr.write(f"warning: {warning}")
        start_pulse()
        connections.close_all()  # the workers have their own
        serve(
            host=host,
            port=port,
            certificate=settings.BERTH_TLS_CERT,
            key=settings.BERTH_TLS_KEY,
        )


def load_and_check() -> None:
    """Load all that the workers need, once: they are forks of this process."""
    if sys.platform == "linux":
        multiprocessing.set_start_method("fork")  # no longer the default of Python 3.14
    gc.disable()  # none of what is loaded is garbage
    import registry_site.server.exchange  # noqa: F401  # after the other refusals

    refuse_failed_checks()
    gc.freeze()  # what the workers share is not written to, and so stays shared
    gc.enable()


def refuse_failed_checks() -> None:
    """Stop with the errors of Django's checks and of our own."""
    found = [
        *run_checks(),
        *run_checks(tags=[SERVING], include_deployment_checks=True),
    ]
    errors = [message for message in found if message.is_serious()]
    if errors:
        raise CommandError(
            "; ".join(
                f"{error.msg} ({error.hint})" if error.hint else str(error.msg)
                for error in errors
            )
        )
