"""The contract of a blob store.

Bytes arrive in *staged* objects, which belong to one upload and are seen by no one, and
become *stored* objects when their digest is known. A stored object never changes.

    stage       append append append ...       finish            open, delete
    (nothing) ────────> staged bytes ──────────────> stored bytes ─────────>

* What ``commit``, ``append`` and ``finish`` return has survived a power cut.
* ``staged`` is a JSON value of the store's own, kept in the Upload row. It holds the
  *generation*, a name chosen when staging began and never used again.
* A key ends with the generation, so that deleting one object can never hit the bytes of
  the same blob pushed again. In a folder it holds the digest too; S3 cannot rename what
  arrived before its digest was known.
* No method touches the database, and none is called inside a transaction.

One contract suite (tests/distribution/storage) runs over every store.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from repositories.oci.digests import Digest

Staged = dict[str, Any]


class StoreError(Exception):
    """The store could not do it; the sentence is for the log."""


class StoreAway(StoreError):
    """The store does not answer, or is asked nothing since it did not answer."""


class StoreFull(StoreError):
    """No space or no inodes left; what was begun has been removed."""


class ObjectMissing(StoreError):
    """There are no bytes under that key, or not as many as there should be."""


class WrongStore(StoreError):
    """The store is not the one of this database; nothing is read or written."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The store's marker: its installation, "" in a marker of earlier versions."""

    identifier: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object found in a listing."""

    key: str
    size_bytes: int
    modified_at: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class FileSpan:
    """A stretch of a file on this machine, which the server can send by itself.

    An iterator of ``open`` may have one as its ``file_span``. ``end`` is exclusive.
    """

    path: str
    start: int
    end: int
    descriptor: int  # of the same file, until the iterator is closed

    def read_into(self, buffer: bytearray) -> int:
        """Read from ``start``; return how many bytes there were, or raise OSError."""
        return os.preadv(self.descriptor, [buffer], self.start)


class StagedWriter(ABC):
    """Takes the bytes of one request; a context manager.

    What was added and not committed is dropped at the end of the context. Pieces may
    come from one thread after the other, never from two at once.
    """

    size_bytes = 0  # of what was added

    @abstractmethod
    def add(self, piece: bytes) -> None:
        """Write a piece behind the last one."""

    @abstractmethod
    def commit(self) -> Staged:
        """Return the new state once the bytes would survive a power cut."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything, and drop what was not committed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class BlobStore(ABC):
    """Keeps bytes; see the module for what each method promises."""

    place: str  # as messages for administrators name it
    # Whether reading, forking or finishing staged bytes ends what others write behind
    # them. If so, the caller claims the session first (uploads/sessions.py).
    reading_ends_writing = False
    is_remote = False  # reading waits for another server, not for a disk

    @abstractmethod
    def check(self) -> None:
        """Raise StoreError unless verify() passes and the store can be written to."""

    @abstractmethod
    def is_writable(self) -> bool:
        """Return whether uploads can begin; a full disk is another question."""

    @abstractmethod
    def verify(self) -> None:
        """Raise StoreError unless the store is there and is the installation's.

        Cheap enough for every request. The methods that write or delete verify, and so
        does one that does not find an object.
        """

    @abstractmethod
    def prepare(self) -> None:
        """Make what the store needs; what is there stays. The marker is not made."""

    @abstractmethod
    def read_mark(self) -> Mark | None:
        """Return the marker; None where there is none, StoreError if it is unusable."""

    @abstractmethod
    def write_mark(self, identifier: str) -> None:
        """Make the store's marker, permanently."""

    @abstractmethod
    def stage(self, generation: str) -> Staged:
        """Begin an upload's bytes; nothing is stored yet."""

    @abstractmethod
    def write(self, staged: Staged, offset_bytes: int) -> "StagedWriter":
        """Begin to write from the offset on.

        Raises ObjectMissing without the bytes before it. Anything beyond the offset,
        left by a request that died, is dropped first.
        """

    def append(
        self, staged: Staged, offset_bytes: int, pieces: Iterable[bytes]
    ) -> tuple[Staged, int]:
        """Write pieces from the offset on; return the new state and bytes written.

        When ``pieces`` or the store fails, what was written is dropped again.
        """
        with self.write(staged, offset_bytes) as writer:
            for piece in pieces:
                writer.add(piece)
            return writer.commit(), writer.size_bytes

    @abstractmethod
    def fork(self, staged: Staged, size_bytes: int, generation: str) -> Staged:
        """Copy the first bytes to a new generation; the source stays."""

    @abstractmethod
    def read_staged(self, staged: Staged, size_bytes: int) -> Iterator[bytes]:
        """Yield the first bytes of what was staged."""

    def has_staged(self, staged: Staged, size_bytes: int) -> bool:
        """Return whether the first bytes of what was staged are there.

        Others may be writing behind them, and are not disturbed.
        """
        found = 0
        try:
            for piece in self.read_staged(staged, size_bytes):
                found += len(piece)
        except ObjectMissing:
            return False
        return found == size_bytes

    @abstractmethod
    def finish(self, staged: Staged, digest: Digest, size_bytes: int) -> str:
        """Make staged bytes a stored object and return its key; safe to repeat.

        What was staged stays until it is discarded, so that an upload that dies here
        can continue.
        """

    @abstractmethod
    def discard(self, staged: Staged) -> None:
        """Remove staged bytes; nothing happens if they are gone."""

    def drop(self, staged: Staged) -> None:
        """Discard staged bytes that no one can finish any more."""
        self.discard(staged)

    @abstractmethod
    def open(
        self, key: str, size_bytes: int, start: int, length: int
    ) -> Iterator[bytes]:
        """Yield bytes of an object of exactly that size, else raise ObjectMissing.

        Raises before the first piece is asked for. The iterator has ``close()``.
        """

    @abstractmethod
    def size_of(self, key: str) -> int | None:
        """Return how many bytes are stored under the key; None if there are none."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete an object; nothing happens if it is gone."""

    @abstractmethod
    def stored_objects(self) -> Iterator[StoredObject]:
        """Yield every stored object, in no order."""

    @abstractmethod
    def staged_objects(self) -> Iterator[StoredObject]:
        """Yield everything staged, with the generation as its key."""

    @abstractmethod
    def discard_generation(self, generation: str) -> None:
        """Remove whatever is staged under a generation that no upload names."""
