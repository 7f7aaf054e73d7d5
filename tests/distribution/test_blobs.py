"""Pulling blobs: whole, in ranges, conditionally, and only where they belong (§3)."""

import pytest

from repositories.models import Repository
from tests import images
from tests.images import digest_of, some_bytes
from tests.registry_client import RegistryClient, error_codes

CONTENT = bytes(range(200)) * 10  # 2000 bytes, as the conformance suite has them


@pytest.fixture
def blob(bob: RegistryClient, api: str) -> str:
    """The path of a blob of 2000 bytes."""
    return f"/v2/{api}/blobs/{bob.push_blob(api, CONTENT)}"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("visibility", ["private", "public"])
def test_the_headers_of_a_blob(
    bob: RegistryClient,
    private_api: Repository,
    public_api: Repository,
    method: str,
    visibility: str,
) -> None:
    """BLOB-1, H-3, H-5: the same on HEAD, without a body."""
    repository = private_api if visibility == "private" else public_api
    content = some_bytes(1234)
    digest = bob.push_blob(repository.full_name, content)
    response = bob.request(method, f"/v2/{repository.full_name}/blobs/{digest}")
    assert response.status_code == 200
    expected = {
        "Content-Type": "application/octet-stream",
        "Content-Length": "1234",
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
        "Cache-Control": f"{visibility}, max-age=31536000",
        "Accept-Ranges": "bytes",
    }
    assert {name: response.headers.get(name) for name in expected} == expected
    assert response.content == (content if method == "GET" else b"")


@pytest.mark.parametrize("length", [0, 1, 2, 300_000])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_the_bytes_are_exact(
    bob: RegistryClient, api: str, length: int, algorithm: str
) -> None:
    """BLOB-1, BLOB-4, H-3: the digest is the one that was asked for."""
    content = some_bytes(length)
    digest = bob.push_blob(api, content, algorithm=algorithm)
    response = bob.get(f"/v2/{api}/blobs/{digest}")
    assert response.content == content
    assert response.headers["Content-Length"] == str(length)
    assert response.headers["Docker-Content-Digest"] == digest
    head = bob.head(f"/v2/{api}/blobs/{digest}")
    assert head.headers["Content-Length"] == str(length)


RANGES = [  # Range, first byte, last byte
    ("bytes=500-1499", 500, 1499),
    ("bytes=500-", 500, 1999),
    ("bytes=-500", 1500, 1999),
    ("bytes=1500-5000", 1500, 1999),
    ("bytes=0-0", 0, 0),
    ("bytes=1999-", 1999, 1999),
    ("bytes=-1", 1999, 1999),
    ("bytes=1-1998", 1, 1998),
    ("bytes= 5-9", 5, 9),
]
UNSATISFIABLE = ["bytes=500-0", "bytes=5000-10000", "bytes=2000-", "bytes=-0"]
WHOLE = [
    "bytes=0-1999",
    "bytes=0-",
    "bytes=-2000",
    "bytes=-5000",
    "bytes=0-0,5-9",
    "bytes=a-b",
    "bytes=-",
    "bytes",
    "lines=1-2",
    "bytes=1-2-3",
    "bytes=" + "9" * 40 + "-",
]


@pytest.mark.parametrize(("header", "first", "last"), RANGES)
def test_a_range_is_sent(
    bob: RegistryClient, blob: str, header: str, first: int, last: int
) -> None:
    """BLOB-3."""
    response = bob.get(blob, headers={"Range": header})
    assert response.status_code == 206
    assert response.content == CONTENT[first : last + 1]
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/2000"
    assert response.headers["Content-Length"] == str(last - first + 1)
    assert response.headers["Docker-Content-Digest"] == digest_of(CONTENT)


@pytest.mark.parametrize("header", UNSATISFIABLE)
def test_a_range_outside_the_blob_is_416(
    bob: RegistryClient, blob: str, header: str
) -> None:
    """BLOB-3, R-44."""
    response = bob.get(blob, headers={"Range": header})
    assert response.status_code == 416
    assert response.headers["Content-Range"] == "bytes */2000"
    assert error_codes(response) == ["RANGE_INVALID"]


@pytest.mark.parametrize("header", WHOLE)
def test_what_is_no_single_range_gets_the_whole(
    bob: RegistryClient, blob: str, header: str
) -> None:
    """BLOB-3."""
    response = bob.get(blob, headers={"Range": header})
    assert response.status_code == 200
    assert response.content == CONTENT
    assert "Content-Range" not in response.headers


@pytest.mark.parametrize("header", ["bytes=0-9", *UNSATISFIABLE])
def test_head_knows_no_range(bob: RegistryClient, blob: str, header: str) -> None:
    """BLOB-3, H-5."""
    response = bob.head(blob, headers={"Range": header})
    assert response.status_code == 200
    assert response.headers["Content-Length"] == "2000"


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-5", "bytes=0-0"])
def test_of_nothing_there_is_no_range(
    bob: RegistryClient, api: str, header: str
) -> None:
    """BLOB-3: an empty blob, whole."""
    path = f"/v2/{api}/blobs/{bob.push_blob(api, b'')}"
    assert bob.get(path).headers["Content-Length"] == "0"
    assert bob.get(path, headers={"Range": header}).status_code == 416


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"{digest}"', 206),
        ('"sha256:other"', 200),
        ("{digest}", 200),
        ('W/"{digest}"', 200),
        ("Tue, 15 Nov 1994 12:45:26 GMT", 200),
    ],
)
def test_if_range(bob: RegistryClient, blob: str, condition: str, status: int) -> None:
    """BLOB-3: a range only of the bytes that the client has begun."""
    headers = {
        "Range": "bytes=0-9",
        "If-Range": condition.format(digest=digest_of(CONTENT)),
    }
    response = bob.get(blob, headers=headers)
    assert response.status_code == status
    assert len(response.content) == (10 if status == 206 else 2000)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"{digest}"', 304),
        ("{digest}", 304),
        ('W/"{digest}"', 304),
        ('"x", "{digest}"', 304),
        ("*", 304),
        ('"x"', 200),
        ("", 200),
    ],
)
def test_if_none_match(
    bob: RegistryClient, blob: str, method: str, condition: str, status: int
) -> None:
    """BLOB-1."""
    headers = {"If-None-Match": condition.format(digest=digest_of(CONTENT))}
    response = bob.request(method, blob, headers=headers)
    assert response.status_code == status
    assert response.headers["ETag"] == f'"{digest_of(CONTENT)}"'
    if status == 304:
        assert response.content == b"" and "Content-Type" not in response.headers


def test_a_blob_is_visible_only_in_its_repository(
    bob: RegistryClient, api: str, other: str
) -> None:
    """BLOB-2, R-42: asking elsewhere changes nothing, and opens nothing."""
    content = some_bytes()
    digest = bob.push_blob(api, content)
    for method in ("HEAD", "GET", "HEAD", "GET"):
        assert bob.request(method, f"/v2/{other}/blobs/{digest}").status_code == 404
    bob.push_blob(other, content)
    assert bob.pull_blob(other, digest) == content


def test_a_deleted_blob_is_gone_at_once(
    bob: RegistryClient, api: str, other: str
) -> None:
    """BLOB-2, R-42: HEAD and GET do not bring it back, and elsewhere it stays."""
    content = some_bytes()
    digest = bob.push_blob(api, content)
    bob.push_blob(other, content)
    assert bob.delete(f"/v2/{api}/blobs/{digest}").status_code == 202
    for method in ("HEAD", "GET", "HEAD"):
        assert bob.request(method, f"/v2/{api}/blobs/{digest}").status_code == 404
    assert bob.pull_blob(other, digest) == content
    assert bob.push_blob(api, content) == digest
    assert bob.pull_blob(api, digest) == content


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_an_unknown_blob(bob: RegistryClient, api: str, method: str) -> None:
    """BLOB-6: also where a manifest has that digest; containerd probes for it."""
    digest = bob.push(f"{api}:v1", images.image())
    for absent in (images.ABSENT_DIGEST, digest):
        response = bob.request(method, f"/v2/{api}/blobs/{absent}")
        assert response.status_code == 404
        if method != "HEAD":
            assert error_codes(response) == ["BLOB_UNKNOWN"]


def test_what_stands_in_the_query_is_ignored(bob: RegistryClient, blob: str) -> None:
    """BLOB-1: containerd appends the upstream's name."""
    assert bob.get(f"{blob}?ns=docker.io").content == CONTENT
