"""Check what a start needs, and refuse what cannot work with one sentence.

`manage.py prepare`, `run` and `serve` use these before they change or serve anything.
"""

import difflib
import fcntl
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from django.conf import settings
from django.core.management.base import CommandError
from django.db import OperationalError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from registry_site import environment

DATABASE_WAIT_SECONDS = 60.0
ASKED_SECONDS = 1.0  # between two attempts to connect
ADVISORY_LOCK = 0x6265727468  # "berth"; the key of PostgreSQL's advisory lock

Write = Callable[[str], object]


def refuse_a_taken_address(host: str, port: int) -> None:
    """Stop when another process listens there already.

    Granian's workers share their port, and so they would share it with the workers of
    another Berth, without an error.
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


def refuse_unusable_certificate() -> None:
    """Stop when the certificate or its key cannot be used for TLS."""
    if settings.BERTH_TLS_CERT is None:
        return
    content = {}
    for name in ("BERTH_TLS_CERT", "BERTH_TLS_KEY"):
        path: Path = getattr(settings, name)
        try:
            content[name] = path.read_bytes()
        except OSError as error:
            raise CommandError(
                f"{name}: cannot read {path}: {error.strerror}"
            ) from error
    try:
        certificate = x509.load_pem_x509_certificates(content["BERTH_TLS_CERT"])[0]
    except ValueError as error:
        raise CommandError("BERTH_TLS_CERT: not a certificate in PEM") from error
    try:
        key = serialization.load_pem_private_key(
            content["BERTH_TLS_KEY"], password=None
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CommandError(
            "BERTH_TLS_KEY: not a private key in PEM without a passphrase"
        ) from error
    if certificate.public_key() != key.public_key():
        raise CommandError(
            "BERTH_TLS_CERT and BERTH_TLS_KEY do not belong together: the first "
            "certificate of the file has another public key"
        )
    ends_at = certificate.not_valid_after_utc
    if ends_at < timezone.now():
        raise CommandError(
            f"BERTH_TLS_CERT: the certificate expired on {ends_at:%Y-%m-%d}"
        )


def wait_for_database(write: Write, *, seconds: float = DATABASE_WAIT_SECONDS) -> None:
    """Return once the database answers; wait for a server that is not there yet."""
    deadline = time.monotonic() + seconds
    is_waiting = False
    while True:
        try:
            connection.ensure_connection()
            return
        except OperationalError as error:
            reason = " ".join(str(error).split())
            if connection.vendor == "sqlite":
                name = settings.DATABASES["default"]["NAME"]
                raise CommandError(f"DATABASE_URL: {name}: {reason}") from error
            if time.monotonic() > deadline:
                raise CommandError(
                    f"DATABASE_URL: the database does not answer: {reason}"
                ) from error
        if not is_waiting:
            is_waiting = True
            write(f"waiting up to {seconds:.0f} s for the database: {reason}")
        time.sleep(ASKED_SECONDS)


def refuse_newer_data() -> None:
    """Stop when the database has migrations that this version does not have.

    An older version would write rows that the newer one does not expect.
    """
    loader = MigrationExecutor(connection).loader
    replaced = {
        name for row in loader.disk_migrations.values() for name in row.replaces
    }
    unknown = sorted(
        set(loader.applied_migrations) - set(loader.disk_migrations) - replaced
    )
    if unknown:
        app, name = unknown[-1]
        raise CommandError(
            f"DATABASE_URL: a newer version of Berth has used this database ({app} "
            f"{name} is not part of version {settings.BERTH_VERSION}). Install that "
            "version again, or restore the backup from before the upgrade"
        )


def refuse_older_data() -> None:
    """Stop when the database lacks migrations of this version."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CommandError(
            "DATABASE_URL: the database is not prepared for this version: run "
            "'manage.py prepare'"
        )


@contextmanager
def one_start_at_a_time(write: Write) -> Iterator[None]:
    """Let one process prepare; others wait, on this machine and on the database.

    A lock file serves the data folder, and an advisory lock of PostgreSQL the hosts
    that share a database. Both end with the process.
    """
    with (settings.BERTH_DATA / ".prepare.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            write("waiting for another start to finish")
            fcntl.flock(file, fcntl.LOCK_EX)
        if connection.vendor != "postgresql":
            yield
            return
        # A connection of its own: migrations may close theirs.
        holder = connections.create_connection("default")
        try:
            with holder.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
            yield
        finally:
            holder.close()


def list_warnings() -> list[str]:
    """Return what an operator should read, though Berth can start."""
    warnings = [_describe_unknown(name) for name in environment.unknown_settings()]
    host, port = settings.BERTH_LISTEN
    name = urlsplit(settings.BERTH_URL).hostname or ""
    if not environment.is_loopback(host) and environment.is_loopback(name):
        warnings.append(
            f"Berth listens on {host}:{port} for other machines, but BERTH_URL is "
            f"{settings.BERTH_URL}: set it to the name that they use"
        )
    if settings.BERTH_EMAIL_VERIFICATION == "mandatory" and not (
        settings.BERTH_SENDS_MAIL
    ):
        warnings.append(
            "BERTH_EMAIL_VERIFICATION is mandatory, but EMAIL_URL names no mail "
            "server: people who sign up cannot confirm their address"
        )
    return warnings


def _describe_unknown(name: str) -> str:
    known = sorted(environment.known_settings)
    close = difflib.get_close_matches(name.removesuffix("_FILE"), known, n=1)
    advice = f"; did you mean {close[0]}?" if close else ""
    return f"{name} is not a setting of Berth{advice}"
