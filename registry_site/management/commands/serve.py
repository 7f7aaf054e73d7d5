"""Serve Berth with Granian: the settings decide where and with how many threads."""

import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
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
        refuse_a_taken_address(host, port)
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


def refuse_a_taken_address(host: str, port: int) -> None:
    """Stop when somebody listens there already.

    Granian's workers share their port, and so they would share it with the workers of
    another Berth, without a word.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise CommandError(
            f"BERTH_LISTEN: cannot listen on {host}:{port}: {error.strerror}"
        ) from error
