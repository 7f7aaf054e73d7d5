"""Serve Berth with Granian: the settings decide where and with how many threads."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from granian import Granian
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.log import LogLevels

from registry_site.checks import SERVING


class Command(BaseCommand):
    help = "Serve the registry and its pages (BERTH_LISTEN)."
    requires_system_checks = "__all__"
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        self.check(tags=[SERVING], include_deployment_checks=True)
        host, port = settings.BERTH_LISTEN
        Granian(
            "registry_site.wsgi:application",
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            http=HTTPModes.http1,  # what every client speaks to a registry
            workers=settings.BERTH_WORKERS,
            blocking_threads=settings.BERTH_THREADS,
            ssl_cert=settings.BERTH_TLS_CERT,
            ssl_key=settings.BERTH_TLS_KEY,
            ssl_protocol_min=SSLProtocols.tls12,
            respawn_failed_workers=True,
            workers_kill_timeout=30,
            log_level=LogLevels.error,
            websockets=False,
        ).serve()
