"""Count pulls without slowing or failing one.

    BERTH_DATA/pulls/<name>.open     lines of one process, appended and locked
    BERTH_DATA/pulls/<name>.closed   to be counted: no process writes to it any more

A pull appends one line, which survives the process. A thread of it closes the file
every COUNT_INTERVAL_SECONDS and counts what is closed, in one transaction that records
each file by its name (repositories/pulls/counting.py), and then removes it: killed in
between, the file is counted once all the same. The worker counts what dead processes
left. When the database is away the files wait; when the disk is full a pull goes
uncounted.

A power cut may lose the last lines, since no pull waits for the disk.
"""

import fcntl
import logging
import os
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from database.crash_points import crash_point
from repositories.pulls.counting import Fetch, count_fetches

log = logging.getLogger(__name__)

COUNT_INTERVAL_SECONDS = 2.0
_LINE = re.compile(
    r"(?P<repository>\d{1,18})\t(?P<digest>[a-z0-9+._-]{1,32}:[0-9a-f]{1,128})\t"
    r"(?P<tag>[\w.-]{0,128})\t(?P<client>[\w-]{1,20})\t(?P<day>\d{4}-\d{2}-\d{2})\n",
    re.ASCII,
)
OPEN, CLOSED = ".open", ".closed"
COMPLAINT_INTERVAL_SECONDS = 60.0  # a full disk is not told of at every pull


class PullLog:
    """The file that this process appends to, and the thread that counts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._path: Path | None = None
        self._is_cut = False  # the last line, by a full disk
        self._thread: threading.Thread | None = None
        self._complained_at = -COMPLAINT_INTERVAL_SECONDS

    def note(self, *, repository_id: int, digest: str, tag: str, client: str) -> None:
        """Record that a manifest was sent; never raises, never waits for a disk."""
        day = datetime.now(UTC).date().isoformat()
        line = f"{repository_id}\t{digest}\t{tag}\t{client}\t{day}\n".encode()
        try:
            with self._lock:
                descriptor = self._file()
                if self._is_cut:
                    os.write(descriptor, b"\n")
                    self._is_cut = False
                self._is_cut = os.write(descriptor, line) < len(line)
        except OSError as error:
            now = time.monotonic()
            if now - self._complained_at >= COMPLAINT_INTERVAL_SECONDS:
                self._complained_at = now
                log.error("pulls are not counted: %s", error.strerror)

    def close_file(self) -> None:
        """Let what was written be counted; the next pull begins another file."""
        with self._lock:
            if self._descriptor is None or self._path is None:
                return
            self._path.rename(self._path.with_suffix(CLOSED))
            os.close(self._descriptor)
            self._descriptor = self._path = None

    def _file(self) -> int:
        if self._descriptor is None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self.folder / f"{uuid.uuid4().hex}{OPEN}"
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
            descriptor = os.open(path, flags, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._descriptor, self._path = descriptor, path
        if self._thread is None:  # not before the server has forked
            self._thread = threading.Thread(
                target=self._count_for_ever, name="pulls", daemon=True
            )
            self._thread.start()
        return self._descriptor

    def _count_for_ever(self) -> None:
        while True:
            time.sleep(COUNT_INTERVAL_SECONDS)
            try:
                self.close_file()
                count_closed(self.folder)
            except (OSError, DatabaseError, InterfaceError) as error:
                # The files stay, and the next round comes back to them.
                log.warning("pulls wait to be counted: %s", type(error).__name__)
            except Exception:  # a mistake of ours must not end the counting
                log.exception("pulls wait to be counted")
            finally:
                connection.close()


pull_log = PullLog(settings.BERTH_DATA / "pulls")


def count_abandoned(folder: Path | None = None) -> int:
    """Count what processes that are gone left behind; return how many files."""
    folder = folder or pull_log.folder
    for path in folder.glob(f"*{OPEN}"):
        with _locked(path) as is_mine:
            if is_mine:  # whoever wrote it holds the lock while it lives
                with suppress(FileNotFoundError):
                    path.rename(path.with_suffix(CLOSED))
    return count_closed(folder)


def count_closed(folder: Path) -> int:
    """Count every closed file and remove it; return how many."""
    counted = 0
    for path in folder.glob(f"*{CLOSED}"):
        with _locked(path) as is_mine:
            if not is_mine:
                continue
            close_old_connections()
            written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            count_fetches(batch=path.stem, fetches=_read(path), fetched_at=written_at)
            crash_point("C27")
            path.unlink()
            counted += 1
    return counted


def _read(path: Path) -> Counter[Fetch]:
    fetches: Counter[Fetch] = Counter()
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            fetch = _parse(line)
            if fetch is not None:
                fetches[fetch] += 1
    return fetches


def _parse(line: str) -> Fetch | None:
    """Return what a line says; None for one that a full disk or a power cut left."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    try:
        day = date.fromisoformat(found["day"])
    except ValueError:
        return None
    return Fetch(
        int(found["repository"]), found["digest"], found["tag"], found["client"], day
    )


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold a file's lock; False if another process has it, or the file is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        # It may have been counted and removed while we opened it.
        yield path.exists()
    finally:
        os.close(descriptor)
