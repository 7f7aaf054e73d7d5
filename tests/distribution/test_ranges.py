"""Ranges of blobs: from RFC 9110 §14, and what lazy pullers send (BLOB-3)."""

import email
import random
from email.policy import HTTP
from itertools import product

import httpx
import pytest

from distribution.ranges import (
    RANGES_MAX,
    Multipart,
    MultipartPieces,
    RangeUnsatisfiable,
    Span,
    parse_ranges,
)
from tests.images import digest_of
from tests.registry_client import RegistryClient, error_codes

SIZE = 2000
CONTENT = bytes(range(200)) * 10  # as the conformance suite has them
WHOLE = [(0, SIZE - 1)]

# Range and the first and last bytes of the spans in the answer, for 2000 bytes.
SATISFIABLE: dict[str, list[tuple[int, int]]] = {
    "bytes=500-1499": [(500, 1499)],
    "bytes=500-": [(500, 1999)],
    "bytes=-500": [(1500, 1999)],
    "bytes=1500-5000": [(1500, 1999)],
    "bytes=0-0": [(0, 0)],
    "bytes=1999-": [(1999, 1999)],
    "bytes=1999-1999": [(1999, 1999)],
    "bytes=-1": [(1999, 1999)],
    # The whole blob is a range too.
    "bytes=0-": WHOLE,
    "bytes=0-1999": WHOLE,
    "bytes=0-2000": WHOLE,
    "bytes=-2000": WHOLE,
    "bytes=-5000": WHOLE,
    f"bytes=0-{'9' * 40}": WHOLE,
    f"bytes=-{'9' * 40}": WHOLE,
    f"bytes={'0' * 40}7-00008": [(7, 8)],
    # Unit names have no case; whitespace and empty members belong to lists (§5.6.1).
    "Bytes=0-9": [(0, 9)],
    "BYTES=-1": [(1999, 1999)],
    "bytes= 5-9": [(5, 9)],
    "bytes=,5-9,": [(5, 9)],
    "bytes= , 5-9 ,\t, 20-29": [(5, 9), (20, 29)],
    # Several of them, in the order that was asked for.
    "bytes=0-9,50-59": [(0, 9), (50, 59)],
    "bytes=50-59,0-9": [(50, 59), (0, 9)],
    "bytes=-1,0-0": [(1999, 1999), (0, 0)],
    "bytes=0-0, 2-2, 4-4": [(0, 0), (2, 2), (4, 4)],
    # Adjacent ones stay as they are: podman counts the parts.
    "bytes=0-9,10-19": [(0, 9), (10, 19)],
    "bytes=10-19,0-9": [(10, 19), (0, 9)],
    "bytes=0-0,1-1,2-2,1999-": [(0, 0), (1, 1), (2, 2), (1999, 1999)],
    "bytes=0-999,-1000": [(0, 999), (1000, 1999)],
    # Overlapping ones become one, at the place of the first.
    "bytes=0-9,5-14": [(0, 14)],
    "bytes=0-9,9-19": [(0, 19)],
    "bytes=0-9,10-19,15-24": [(0, 9), (10, 24)],
    "bytes=0-9,0-9,0-9": [(0, 9)],
    "bytes=100-199,0-9,150-249": [(100, 249), (0, 9)],
    "bytes=500-,0-9,-500": [(500, 1999), (0, 9)],
    "bytes=40-49,0-9,20-29,5-24": [(40, 49), (0, 29)],
    "bytes=0-,5-9": WHOLE,
    # What is outside is left out of the others.
    "bytes=0-9,5000-": [(0, 9)],
    "bytes=5000-,0-9,60-69,-0": [(0, 9), (60, 69)],
    "bytes=0-9,9-3": [(0, 9)],
    # As many as there may be.
    "bytes=" + ",".join(f"{n}-{n}" for n in range(RANGES_MAX + 1)): [(0, RANGES_MAX)],
    "bytes=" + ",".join(f"{n * 3}-{n * 3}" for n in range(RANGES_MAX)): [
        (n * 3, n * 3) for n in range(RANGES_MAX)
    ],
    "bytes=" + ",".join(f"{n}-{n + 5}" for n in range(1900)): [(0, 1904)],
}
UNSATISFIABLE = [
    "bytes=2000-",
    "bytes=5000-10000",
    "bytes=5000-10000,2000-2000,-0",
    "bytes=500-0",
    "bytes=-0",
    "bytes=-000",
    f"bytes={'9' * 40}-",
]
IGNORED = [
    "",
    "bytes",
    "bytes=",
    "bytes=,",
    "bytes=-",
    "bytes=--5",
    "bytes=a-b",
    "bytes=1-2-3",
    "bytes=0x1-0x2",
    "bytes=+1-2",
    "bytes=1 - 2",
    "bytes=0-9;50-59",
    "bytes=0-9,a-b",
    "bytes=0-9, lines=1-2",
    "lines=1-2",
    "0-9",
    "bytes 0-9/2000",
    "bytes=" + ",".join(f"{n * 3}-{n * 3}" for n in range(RANGES_MAX + 1)),
]
IF_RANGE = {  # the condition, and whether it is the blob's entity tag
    '"{digest}"': True,
    '"sha256:other"': False,
    "{digest}": False,
    'W/"{digest}"': False,
    '"{digest}", "other"': False,
    "*": False,
    "": False,
    "Tue, 15 Nov 1994 12:45:26 GMT": False,
    "Fri, 31 Dec 2100 23:59:59 GMT": False,
}


@pytest.fixture
def blob(bob: RegistryClient, api: str) -> str:
    """The path of a blob of 2000 bytes."""
    return f"/v2/{api}/blobs/{bob.push_blob(api, CONTENT)}"


def test_satisfiable_ranges_are_sent(bob: RegistryClient, blob: str) -> None:
    """A satisfiable range is 206, also when it is everything (BLOB-7, BLOB-8)."""
    for header, expected in SATISFIABLE.items():
        response = bob.get(blob, headers={"Range": header})
        assert response.status_code == 206, header
        assert read_ranges(response) == [
            (first, CONTENT[first : last + 1]) for first, last in expected
        ], header
        assert response.headers["Content-Length"] == str(len(response.content))
        assert response.headers["Docker-Content-Digest"] == digest_of(CONTENT)
        assert response.headers["ETag"] == f'"{digest_of(CONTENT)}"'
        asked_bytes = sum(last - first + 1 for first, last in expected)
        assert len(response.content) <= asked_bytes + 200 * len(expected), header


def test_ranges_outside_the_blob_are_416(bob: RegistryClient, blob: str) -> None:
    """An unsatisfiable range is 416 and says the size (C1, BLOB-3, R-44)."""
    for header in UNSATISFIABLE:
        response = bob.get(blob, headers={"Range": header})
        assert response.status_code == 416, header
        assert response.headers["Content-Range"] == "bytes */2000"
        assert error_codes(response) == ["RANGE_INVALID"]


def test_malformed_and_excessive_ranges_are_ignored(
    bob: RegistryClient, blob: str
) -> None:
    """BLOB-3: a Range that is malformed or has too many parts gets the whole blob."""
    for header in IGNORED:
        response = bob.get(blob, headers={"Range": header})
        assert response.status_code == 200, header
        assert response.content == CONTENT
        assert "Content-Range" not in response.headers


def test_head_ignores_ranges(bob: RegistryClient, blob: str) -> None:
    """Range is defined for GET only (BLOB-3, H-5)."""
    for header in ["bytes=0-9", "bytes=0-9,50-59", *UNSATISFIABLE]:
        response = bob.head(blob, headers={"Range": header})
        assert response.status_code == 200, header
        assert response.headers["Content-Length"] == "2000"


def test_an_empty_blob_has_no_ranges(bob: RegistryClient, api: str) -> None:
    """BLOB-3."""
    path = f"/v2/{api}/blobs/{bob.push_blob(api, b'')}"
    assert bob.get(path).headers["Content-Length"] == "0"
    for header in ["bytes=0-", "bytes=-5", "bytes=0-0,5-9"]:
        response = bob.get(path, headers={"Range": header})
        assert response.status_code == 416, header
        assert response.headers["Content-Range"] == "bytes */0"


def test_if_range(bob: RegistryClient, blob: str) -> None:
    """A range is sent only if If-Range is exactly the strong entity tag (BLOB-3)."""
    ranges = {"bytes=0-9": 206, "bytes=0-9,50-59": 206, "bytes=5000-": 416}
    for (header, status), (condition, is_its_own) in product(
        ranges.items(), IF_RANGE.items()
    ):
        headers = {"If-Range": condition.format(digest=digest_of(CONTENT))}
        response = bob.get(blob, headers={"Range": header, **headers})
        assert response.status_code == (status if is_its_own else 200), condition
        assert is_its_own or response.content == CONTENT
        # Without Range there is nothing that it could be a condition of.
        assert bob.get(blob, headers=headers).content == CONTENT


def test_ranges_of_a_large_blob(bob: RegistryClient, api: str) -> None:
    """Parts longer than one piece of the store come whole and in order (BLOB-8)."""
    content = random.Random(2).randbytes(7 * 1024 * 1024)
    path = f"/v2/{api}/blobs/{bob.push_blob(api, content)}"
    expected = [(5_000_000, 7_000_000), (0, 3_000_000), (4_000_000, 4_000_000)]
    header = ",".join(f"{first}-{last}" for first, last in expected)
    response = bob.get(path, headers={"Range": f"bytes={header}"})
    assert response.status_code == 206
    assert read_ranges(response) == [
        (first, content[first : last + 1]) for first, last in expected
    ]


# --- the parts by themselves


def test_random_ranges_cover_exactly_what_was_asked_for() -> None:
    """Merging loses nothing, sends nothing twice, and joins only what overlaps."""
    numbers = random.Random(9110)
    for _ in range(500):
        size = numbers.randrange(1, 60)
        asked: list[tuple[int, int]] = []
        for _ in range(numbers.randrange(1, 12)):
            first = numbers.randrange(80)
            asked.append((first, first + numbers.randrange(12)))
        header = "bytes=" + ",".join(f"{first}-{last}" for first, last in asked)
        wanted = {n for first, last in asked for n in range(first, last + 1)}
        wanted &= set(range(size))
        if not wanted:
            with pytest.raises(RangeUnsatisfiable):
                parse_ranges(header, size)
            continue
        spans = parse_ranges(header, size)
        assert spans is not None
        sent = [n for span in spans for n in range(span.start, span.end)]
        assert len(sent) == len(set(sent)) and set(sent) == wanted
        parts = [(span.start, span.end) for span in spans]
        for first, last in asked:
            others = [a for a in asked if a != (first, last)]
            is_alone = all(b < first or last < a for a, b in others)
            if is_alone and first < size:
                assert (first, min(last + 1, size)) in parts


class Pieces:
    """As many bytes, one by one, as a store opens them."""

    def __init__(self, length: int) -> None:
        self.left = length
        self.is_closed = False

    def __iter__(self) -> "Pieces":
        return self

    def __next__(self) -> bytes:
        if not self.left:
            raise StopIteration
        self.left -= 1
        return b"x"

    def close(self) -> None:
        self.is_closed = True


def test_of_a_multipart_body_one_span_at_a_time_is_open() -> None:
    """The memory and files of an answer do not grow with its ranges (BLOB-8)."""
    opened: list[Pieces] = []

    def open_span(span: Span) -> Pieces:
        assert all(pieces.is_closed for pieces in opened)
        opened.append(Pieces(span.length))
        return opened[-1]

    spans = [Span(n * 100, 3) for n in range(10)]
    body = Multipart(spans, 1000, "application/octet-stream")
    pieces = MultipartPieces(body, open_span)
    assert len(opened) == 1, "a missing file shows before the answer begins"
    assert len(b"".join(pieces)) == body.length_bytes
    assert len(opened) == 10 and all(pieces.is_closed for pieces in opened)

    cut_off = MultipartPieces(body, open_span)
    next(cut_off)
    cut_off.close()
    assert all(pieces.is_closed for pieces in opened)


def read_ranges(response: httpx.Response) -> list[tuple[int, bytes]]:
    """Return where each part of a 206 begins, and its bytes."""
    content_type = response.headers["Content-Type"]
    if not content_type.startswith("multipart/"):
        return [_part(response.headers["Content-Range"], response.content)]
    assert "Content-Range" not in response.headers
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    boundary = email.message_from_bytes(head, policy=HTTP).get_boundary()
    assert boundary is not None
    parts = response.content.split(f"--{boundary}".encode())
    assert parts[-1] == b"--\r\n"
    found = []
    for part in parts[1:-1]:
        headers, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = email.message_from_bytes(headers, policy=HTTP)
        assert fields["Content-Type"] == "application/octet-stream"
        found.append(_part(fields["Content-Range"], content.removesuffix(b"\r\n")))
    assert len(found) > 1
    return found


def _part(content_range: str, content: bytes) -> tuple[int, bytes]:
    unit, _, rest = content_range.partition(" ")
    span, _, _ = rest.partition("/")
    first, last = map(int, span.split("-"))
    assert unit == "bytes" and last - first + 1 == len(content)
    return first, content
