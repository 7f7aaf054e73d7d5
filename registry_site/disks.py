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

    def space(self) -> "Space | None":
        """Return how much there is; None for an absent folder."""
        try:
            return _read_space(self.folder)
        except OSError:
            return None  # another check reports it


@dataclass(frozen=True, slots=True)
class Space:
    """The space of a file system, as far as Berth can use it."""

    size_bytes: int
    free_bytes: int
    has_names: bool  # whether another file can be made


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
        space = _read_space(folder)
    except OSError:
        return False  # another check reports it
    return space.free_bytes < FREE_MIN_BYTES or not space.has_names


def _read_space(folder: Path) -> Space:
    status = os.statvfs(folder)
    is_root = os.geteuid() == 0  # who may use the reserve of a file system
    free = status.f_bfree if is_root else status.f_bavail
    inodes = status.f_ffree if is_root else status.f_favail
    return Space(
        size_bytes=status.f_blocks * status.f_frsize,
        free_bytes=free * status.f_frsize,
        has_names=status.f_files == 0 or inodes > 0,
    )
