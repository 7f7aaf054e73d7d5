"""Blobs in a folder.

    blobs/
    ├── berth-store               a marker: {"format": 1, "installation": "<uuid>"}
    ├── uploads/<generation>      staged
    └── sha256/ab/<hex>.<generation>

append() syncs the file; finish() gives it a second name and syncs that folder. Only
then is a key returned, and only then does a row name it. The first name stays until
discard(), so that an upload whose finish was cut short is still there to continue with.
"""

import errno
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from database.crash_points import crash_point
from distribution.storage.base import (
    BlobStore,
    FileSpan,
    Mark,
    ObjectMissing,
    Staged,
    StagedWriter,
    StoredObject,
    StoreError,
    StoreFull,
)
from distribution.storage.marks import (
    MARKER,
    MARKER_MAX_BYTES,
    check_mark,
    marker_text,
    parse_marker,
)
from repositories.oci.digests import ENCODED_LENGTHS, Digest

PIECE_BYTES = 1024 * 1024  # measured: 256 KiB to 1 MiB are equally quick to send
FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})


class FilesystemStore(BlobStore):
    """A store in one folder of one file system.

    ``expected`` returns the identifier that the marker has to have, None for a database
    without one. A store without ``expected`` takes any marker.
    """

    def __init__(
        self, folder: Path, expected: Callable[[], str | None] | None = None
    ) -> None:
        self.folder = folder
        self.place = str(folder)
        self._expected = expected
        self._uploads = folder / "uploads"
        self._marker = folder / MARKER
        self._verified: tuple[int, ...] | None = None  # the marker that was right

    def prepare(self) -> None:
        """Make the folders; done at every start, before the marker is."""
        with _store_errors():
            self._uploads.mkdir(mode=0o700, parents=True, exist_ok=True)
            for algorithm in ENCODED_LENGTHS:
                (self.folder / algorithm).mkdir(mode=0o700, exist_ok=True)
            _sync_folder(self.folder)

    def check(self) -> None:
        self._verified = None  # both sides are read again
        self.verify()
        if not self.is_writable():
            raise StoreError(f"{self._uploads} cannot be written to")

    def is_writable(self) -> bool:
        return os.access(self._uploads, os.W_OK)

    def verify(self) -> None:
        try:
            status = self._marker.stat()
        except OSError as error:
            raise StoreError(self._not_mounted()) from error
        seen = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        if seen == self._verified:
            return
        mark = self.read_mark()
        if mark is None:
            raise StoreError(self._not_mounted())
        if self._expected is not None:
            check_mark(mark, self._expected(), store=self.place)
        self._verified = seen

    def read_mark(self) -> Mark | None:
        try:
            with self._marker.open("rb") as file:
                text = file.read(MARKER_MAX_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self._marker}: {error.strerror}") from error
        return parse_marker(text, marker=str(self._marker), store=self.place)

    def write_mark(self, identifier: str) -> None:
        draft = self.folder / f".{MARKER}.{uuid.uuid4().hex}"
        with _store_errors():
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                _write_all(descriptor, marker_text(identifier))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            draft.replace(self._marker)
            _sync_folder(self.folder)

    def _not_mounted(self) -> str:
        return f"{self.folder} is not a blob store, or is not mounted"

    def stage(self, generation: str) -> Staged:
        return {"generation": generation}

    def write(self, staged: Staged, offset_bytes: int) -> StagedWriter:
        self.verify()
        with _store_errors():
            return _FileWriter(staged, self._staged_path(staged), offset_bytes)

    def fork(self, staged: Staged, size_bytes: int, generation: str) -> Staged:
        forked = self.stage(generation)
        if size_bytes:
            self.append(forked, 0, self.read_staged(staged, size_bytes))
        return forked

    def read_staged(self, staged: Staged, size_bytes: int) -> Iterator[bytes]:
        try:
            descriptor = os.open(self._staged_path(staged), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            self.verify()
            raise ObjectMissing("the staged bytes are gone") from error
        return _FilePieces(descriptor, 0, size_bytes)

    def finish(self, staged: Staged, digest: Digest, size_bytes: int) -> str:
        self.verify()
        source = self._staged_path(staged)
        key = f"{digest.algorithm}/{digest.encoded[:2]}/{digest.encoded}"
        key = f"{key}.{staged['generation']}"
        target = self.folder / key
        with _store_errors():
            if not target.parent.is_dir():
                target.parent.mkdir(mode=0o700, exist_ok=True)
                _sync_folder(target.parent.parent)
            if not size_bytes:
                source.touch(mode=0o600)  # no append ever made it
            size_found = _size_of(source)
            if size_found not in (size_bytes, None):
                raise ObjectMissing(
                    f"{source.name} has {size_found} bytes and not {size_bytes}"
                )
            crash_point("C06")
            with suppress(FileExistsError, FileNotFoundError):
                target.hardlink_to(source)
            # Finished before, by a request that died: the key is the same.
            if self.size_of(key) != size_bytes:
                raise ObjectMissing(f"the staged bytes of {source.name} are gone")
            crash_point("C07")
            _sync_folder(target.parent)
        crash_point("C08")
        return key

    def discard(self, staged: Staged) -> None:
        self.discard_generation(staged["generation"])

    def open(
        self, key: str, size_bytes: int, start: int, length: int
    ) -> Iterator[bytes]:
        path = f"{self.folder}/{key}"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            self.verify()
            raise ObjectMissing(f"there are no bytes under {key}") from error
        except OSError as error:
            raise StoreError(f"{key}: {error.strerror}") from error
        size_found = os.fstat(descriptor).st_size
        if size_found != size_bytes:
            os.close(descriptor)
            raise ObjectMissing(f"{key} has {size_found} bytes and not {size_bytes}")
        pieces = _FilePieces(descriptor, start, length)
        pieces.file_span = FileSpan(path, start, start + length, descriptor)
        return pieces

    def size_of(self, key: str) -> int | None:
        return _size_of(self.folder / key)

    def delete(self, key: str) -> None:
        self.verify()
        (self.folder / key).unlink(missing_ok=True)

    def stored_objects(self) -> Iterator[StoredObject]:
        for algorithm in ENCODED_LENGTHS:
            for path in (self.folder / algorithm).glob("*/*"):
                yield from _listed(path, path.relative_to(self.folder).as_posix())

    def staged_objects(self) -> Iterator[StoredObject]:
        for path in self._uploads.iterdir():
            yield from _listed(path, path.name)

    def discard_generation(self, generation: str) -> None:
        self.verify()
        (self._uploads / generation).unlink(missing_ok=True)

    def _staged_path(self, staged: Staged) -> Path:
        generation: str = staged["generation"]
        return self._uploads / generation


class _FileWriter(StagedWriter):
    """Writes behind the bytes of one staged file."""

    def __init__(self, staged: Staged, path: Path, offset_bytes: int) -> None:
        self._staged = staged
        self._path = path
        self._offset_bytes = offset_bytes
        self._descriptor = -1
        self._is_committed = False
        gone = ObjectMissing(f"the staged bytes of {path.name} are gone")
        size_before = _size_of(path)
        self._is_new = size_before is None
        if offset_bytes and (size_before or 0) < offset_bytes:
            raise gone
        flags = os.O_WRONLY | os.O_CLOEXEC | (os.O_CREAT if self._is_new else 0)
        try:
            self._descriptor = os.open(path, flags, 0o600)
        except FileNotFoundError:
            if self._is_new:
                raise
            raise gone from None
        if not self._is_new:
            try:
                os.ftruncate(self._descriptor, offset_bytes)
                os.lseek(self._descriptor, offset_bytes, os.SEEK_SET)
            except BaseException:
                self.close()
                raise

    def add(self, piece: bytes) -> None:
        with _store_errors():
            _write_all(self._descriptor, piece)
        self.size_bytes += len(piece)

    def commit(self) -> Staged:
        with _store_errors():
            crash_point("C03")
            os.fsync(self._descriptor)
            if self._is_new:
                _sync_folder(self._path.parent)
        self._is_committed = True
        return self._staged

    def close(self) -> None:
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        with _store_errors():
            try:
                if not self._is_committed:
                    os.ftruncate(descriptor, self._offset_bytes)  # give the space back
                    if self._is_new:
                        self._path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)

    def __del__(self) -> None:
        with suppress(StoreError):
            self.close()


class _FilePieces(Iterator[bytes]):
    """Reads a stretch of an open file; closes it at the end or on request."""

    file_span: FileSpan | None = None

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        self._descriptor = descriptor
        self._position = start
        self._end = start + length

    def __next__(self) -> bytes:
        wanted = min(PIECE_BYTES, self._end - self._position)
        if wanted <= 0:
            self.close()
            raise StopIteration
        piece = os.pread(self._descriptor, wanted, self._position)
        if not piece:  # shorter than a moment ago: cut the answer, never end it well
            self.close()
            raise ObjectMissing("the file ended early")
        self._position += len(piece)
        return piece

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _write_all(descriptor: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _listed(path: Path, key: str) -> Iterator[StoredObject]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return  # gone while listing
    yield StoredObject(key, status.st_size, status.st_mtime)


@contextmanager
def _store_errors() -> Iterator[None]:
    """Turn what the operating system says into errors of the store."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL_ERRNOS:
            raise StoreFull(str(error)) from error
        raise StoreError(str(error)) from error
