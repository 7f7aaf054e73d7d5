"""Finds the disks that Berth writes to and that have no space left."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

FREE_MIN_BYTES = 256 * 1024  # less than a push, an event and a message need


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder that Berth writes to, and whether that is possible."""

    name: str  # blobs, data, database, temporary
    folder: Path
    is_full: bool


def written_disks(*, with_blobs: bool) -> list[Disk]:
    """Return every folder that this process or its workers write to.

    A blob store that hangs is left out, since asking for its space would hang too.
    """
    folders = {
        "blobs": settings.BERTH_DATA / "blobs",
        "data": settings.BERTH_DATA,
        "temporary": Path(tempfile.gettempdir()),
    }
    if not settings.REDIS_URL:
        folders["broker"] = settings.BERTH_DATA / "broker" / "queue"
    database = settings.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        folders["database"] = Path(database["NAME"]).parent
    if not with_blobs or settings.BERTH_BLOBS != "filesystem":
        del folders["blobs"]
    return [Disk(name, folder, is_full(folder)) for name, folder in folders.items()]


def is_full(folder: Path) -> bool:
    """Return whether neither bytes nor a new file fit; False for an absent folder."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return False  # another check reports it
    is_root = os.geteuid() == 0  # who may use the reserve of a file system
    free = status.f_bfree if is_root else status.f_bavail
    inodes = status.f_ffree if is_root else status.f_favail
    return free * status.f_frsize < FREE_MIN_BYTES or (
        status.f_files > 0 and inodes == 0
    )
