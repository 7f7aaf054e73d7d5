"""Make everything that a first start needs; a second run changes nothing."""

import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, transaction

from accounts.actors import COMMAND_LINE
from accounts.models import Namespace, User
from accounts.organizations import create_organization
from accounts.users import create_user
from distribution.installation import prepare_store
from distribution.keys import ensure_signing_key
from distribution.storage import blob_store
from distribution.storage.base import StoreError
from registry_site import startup
from registry_site.private_files import make_private

OFFICIAL_NAMESPACE = "library"  # what an image name without a slash belongs to (D-13)

BANNER = """
  {headline:<20}{url}
  administrator:      {username}
{password}
  docker login {registry}
  tar -cf - -C /etc hosts | docker import - {registry}/{username}/hello-world
  docker push {registry}/{username}/hello-world
"""


class Command(BaseCommand):
    help = (
        "Create the database, the keys, the blob folder and the first administrator. "
        "Existing ones are kept."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        login = prepare(self.stderr.write)
        for warning in startup.list_warnings():
            self.stderr.write(f"warning: {warning}")
        self.stdout.write(banner("Berth is prepared:", login))


Login = tuple[str, str | None]  # the password only where it was made just now


def prepare(write: startup.Write) -> Login:
    """Make everything that is missing; return the administrator's login."""
    try:
        make_folders(settings.BERTH_DATA)
        make_private(settings.BERTH_DATA, write)
        persist_secret_key()
        ensure_signing_key()
        startup.wait_for_database(write)
        with startup.one_start_at_a_time(write):
            startup.refuse_newer_data()
            call_command("migrate", verbosity=0, interactive=False)
            prepare_store(blob_store())  # before an administrator of a wrong database
            return ensure_administrator()
    except StoreError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"BERTH_DATA: {error}") from error


def banner(headline: str, login: Login) -> str:
    """Return what a person needs first: address, login, and how to push."""
    username, password = login
    if password is None:
        shown = "  password:           as it was set\n"
    elif settings.BERTH_ADMIN_PASSWORD:
        shown = "  password:           from BERTH_ADMIN_PASSWORD\n"
    else:
        shown = f"  one-time password:  {password}   (not shown again)\n"
    return BANNER.format(
        headline=headline,
        url=settings.BERTH_URL,
        registry=settings.BERTH_SERVICE,
        username=username,
        password=shown,
    )


def make_folders(data_folder: Path) -> None:
    """Make the data folder, which only its owner may read."""
    data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (data_folder / "broker" / "queue", data_folder / "broker/control"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def persist_secret_key() -> None:
    """Keep Django's key, unless it is given or kept; safe when two starts race."""
    path = settings.BERTH_SECRET_KEY_FILE
    if path.exists() or settings.BERTH_SECRET_KEY:
        return
    draft = path.with_name(f".secret_key.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(settings.SECRET_KEY)
        file.flush()
        os.fsync(descriptor)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # the other start was quicker; its key is the one that is read
    finally:
        draft.unlink()


def ensure_administrator() -> tuple[str, str | None]:
    """Make the first administrator and the official namespace, once.

    Returns the name and the password, or None for an administrator that was there.
    """
    there = User.objects.filter(is_superuser=True).order_by("pk").first()
    if there is not None:
        return there.username, None
    username = settings.BERTH_ADMIN_USERNAME
    password = settings.BERTH_ADMIN_PASSWORD or secrets.token_urlsafe(12)
    try:
        with transaction.atomic():
            administrator = create_user(
                username=username,
                password=password,
                is_superuser=True,
                actor=COMMAND_LINE,
            )
            if not settings.BERTH_ADMIN_PASSWORD:
                administrator.must_change_password = True
                administrator.save(update_fields=["must_change_password"])
            if not Namespace.objects.filter(name=OFFICIAL_NAMESPACE).exists():
                create_organization(
                    name=OFFICIAL_NAMESPACE,
                    owner=administrator,
                    is_official=True,
                    actor=COMMAND_LINE,
                )
    except ValidationError as error:
        raise CommandError(
            f"BERTH_ADMIN_USERNAME: {'; '.join(error.messages)}"
        ) from error
    except IntegrityError as error:
        raise CommandError(f"BERTH_ADMIN_USERNAME: {username} is taken") from error
    return username, password
