"""The place of the staged bytes of an upload: parts of a multipart upload, and a tail.

S3 takes parts of PART_MIN_BYTES and more; what is left of a request makes no part yet
and is an object of its own, the tail. A tail is never overwritten: until the session's
row names the new one, a crash would leave the row with the old one. Any node finds all
of it in the row (Upload.staged).
"""

from dataclasses import asdict, dataclass
from secrets import token_hex
from typing import Self

from distribution.storage.base import Staged

MIB = 1024 * 1024
PART_MIN_BYTES = 5 * MIB  # of S3, for each part but the last
PART_BYTES = 8 * MIB
PART_MAX_BYTES = 64 * MIB
PARTS_MAX = 10_000  # of S3
PARTS_OF_A_SIZE = 1000
SPILLED = "-spilled-"  # begins the names of bytes put aside; sorts before every tail


def part_bytes(number: int) -> int:
    """Return how large a part is: the first 1,000 have 8 MiB, the next 1,000 16, …

    With 10,000 parts, a blob has 492 GiB at most.
    """
    doubled: int = PART_BYTES << min((number - 1) // PARTS_OF_A_SIZE, 10)
    return min(doubled, PART_MAX_BYTES)


def tail_name(commits: int) -> str:
    """Return a name that was never used; the names of an upload sort as they came."""
    return f"{commits:06}-{token_hex(4)}"


@dataclass(frozen=True, slots=True)
class State:
    """The content of ``Staged``, a JSON value in the session's row."""

    generation: str
    size_bytes: int = 0
    upload: str = ""  # the id of the multipart upload
    parts: int = 0  # numbered from 1 on
    parts_bytes: int = 0
    tail: str = ""  # its name below uploads/<generation>/
    former_tail: str = ""
    commits: int = 0

    @classmethod
    def read(cls, staged: Staged) -> Self:
        return cls(**staged)

    def write(self) -> Staged:
        return asdict(self)

    @property
    def tail_bytes(self) -> int:
        return self.size_bytes - self.parts_bytes
