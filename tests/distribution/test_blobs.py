"""Pulling blobs: whole, and only where they belong (§3). Ranges: test_ranges.py."""

import pytest

from repositories.models import Repository
from tests import images
from tests.images import some_bytes
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
