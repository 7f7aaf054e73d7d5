"""A disk that is full, and objects that are damaged (FS1, FS2, FS4, I2, I7, I12)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests import images, make
from tests.faults.conftest import MakeServer, admin_of
from tests.faults.disks import small_disk
from tests.faults.oracle import assert_sound, blob_folder, objects_of, staged_bytes
from tests.images import digest_of, some_bytes
from tests.registry_client import (
    RawConnection,
    RegistryClient,
    error_codes,
    with_digest,
)
from tests.servers import BerthServer

MIB = 1024 * 1024


@dataclass
class Cramped:
    """A registry whose blobs have a small disk of their own, with an image on it."""

    server: BerthServer
    client: RegistryClient
    name: str
    image: images.Image

    def free_bytes(self) -> int:
        status = os.statvfs(blob_folder(self.server))
        return status.f_bavail * status.f_bsize

    def send(self, method: str, path: str, content: bytes) -> httpx.Response:
        """Send a body to a server that may refuse it before its end."""
        token = self.client.token(f"repository:{self.name}:pull,push")
        response = self.client.request(
            method, path, content=content, token=token, expect_5xx=True
        )
        assert response.status_code == 507
        assert error_codes(response) == ["UNAVAILABLE"]
        return response

    def assert_it_goes_on(self) -> None:
        """A pull and a small push succeed right after."""
        assert self.client.pull(f"{self.name}:v1") == self.image
        small = images.image(some_bytes(1000))
        self.client.push(f"{self.name}:{make.unique('small')}", small)
        assert self.client.pull(f"{self.name}:v1") == self.image
        assert_sound(self.server)


@pytest.fixture
def cramped(
    request: pytest.FixtureRequest, make_server: MakeServer, http: httpx.Client
) -> Iterator[Cramped]:
    """Make the disk as large as the test says."""
    server = make_server()
    with small_disk(blob_folder(server), request.param):
        server.manage("prepare")
        server.start()
        client, name = admin_of(server, http), make.unique("admin/cramped")
        image = images.image(some_bytes(10_000))
        client.push(f"{name}:v1", image)
        yield Cramped(server, client, name, image)
        server.stop()


@pytest.mark.parametrize("cramped", ["size=16m"], indirect=True)
def test_a_full_disk_is_said_in_json_and_is_not_full_afterwards(
    cramped: Cramped,
) -> None:
    """FS1, I7: on every route that takes a blob's bytes, and the space is back."""
    large, client, name = some_bytes(20 * MIB), cramped.client, cramped.name
    free = cramped.free_bytes()
    digest = digest_of(large)
    whole = f"/v2/{name}/blobs/uploads/?digest={digest}"
    cramped.send("POST", whole, large)
    assert cramped.free_bytes() >= free - MIB // 4
    cramped.assert_it_goes_on()
    location = client.start_upload(name)
    cramped.send("PUT", with_digest(location, digest), large)
    cramped.send("PATCH", location, large)
    assert staged_bytes(cramped.server) == 0
    first = large[: 4 * MIB]
    location = client.patch(location, content=first).headers["Location"]
    cramped.send("PATCH", location, large[4 * MIB :])
    assert staged_bytes(cramped.server) == len(first)
    cramped.assert_it_goes_on()
    # What had arrived before still counts, and can be finished.
    response = client.put(with_digest(location, digest_of(first)))
    assert response.status_code == 201
    assert client.pull_blob(name, digest_of(first)) == first
    cramped.assert_it_goes_on()


@pytest.mark.parametrize("cramped", ["size=16m,nr_inodes=60"], indirect=True)
def test_a_disk_without_inodes_is_a_full_disk(cramped: Cramped) -> None:
    """FS2, I7, I12."""
    uploads = blob_folder(cramped.server) / "uploads"
    fillers: list[Path] = []
    while os.statvfs(uploads).f_ffree:
        fillers.append(uploads / f"filler-{len(fillers)}")
        fillers[-1].touch()
    content = some_bytes(1000)
    whole = f"/v2/{cramped.name}/blobs/uploads/?digest={digest_of(content)}"
    cramped.send("POST", whole, content)
    location = cramped.client.start_upload(cramped.name)
    cramped.send("PATCH", location, content)
    fillers.pop().unlink()  # enough to stage, too few for the digest's own folder
    cramped.send("PUT", with_digest(location, digest_of(content)), content)
    assert os.statvfs(uploads).f_ffree == 1, "what was staged is gone again"
    assert cramped.client.pull(f"{cramped.name}:v1") == cramped.image
    for filler in fillers:
        filler.unlink()
    response = cramped.client.put(
        with_digest(location, digest_of(content)), content=content
    )
    assert response.status_code == 201
    cramped.assert_it_goes_on()


# --- damaged objects


@pytest.fixture
def client(server: BerthServer, http: httpx.Client) -> RegistryClient:
    return admin_of(server, http)


@pytest.mark.parametrize("damage", ["truncated", "longer", "lost"])
def test_a_damaged_object_is_never_sent_as_if_it_were_whole(
    server: BerthServer, client: RegistryClient, damage: str
) -> None:
    """FS4, I2: fsck finds exactly this one, and a push of it again repairs it."""
    name, content = make.unique("admin/damaged"), some_bytes(100_000)
    digest = client.push_blob(name, content)
    intact = client.push_blob(name, some_bytes(100_000))
    [key] = objects_of(server, digest)
    path = blob_folder(server) / key
    if damage == "lost":
        path.unlink()
    else:
        with path.open("r+b") as file:
            file.truncate(len(content) + (1 if damage == "longer" else -1))
    response = client.get(f"/v2/{name}/blobs/{digest}", expect_5xx=True)
    assert response.status_code == 503
    assert error_codes(response) == ["UNAVAILABLE"]
    with pytest.raises(RuntimeError) as found:
        server.manage("fsck_registry", "--deep")
    assert str(found.value).count(digest) >= 1
    assert "1 problems" in str(found.value)
    assert intact not in str(found.value)
    client.push_blob(name, content)
    assert client.pull_blob(name, digest) == content
    assert_sound(server)


def test_a_flipped_bit_is_found_by_a_deep_check(
    server: BerthServer, client: RegistryClient
) -> None:
    """FS4, I16: and only by a deep one."""
    name, content = make.unique("admin/flipped"), some_bytes(100_000)
    digest = client.push_blob(name, content)
    [key] = objects_of(server, digest)
    path = blob_folder(server) / key
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    server.manage("fsck_registry")
    with pytest.raises(RuntimeError, match=digest):
        server.manage("fsck_registry", "--deep")
    path.write_bytes(content)
    assert_sound(server)


def test_an_object_that_shrinks_while_it_is_sent_cuts_the_answer(
    server: BerthServer, client: RegistryClient
) -> None:
    """FS4, I2: fewer bytes than Content-Length said, and a connection that breaks."""
    name, content = make.unique("admin/shrinking"), some_bytes(32 * MIB)
    digest = client.push_blob(name, content)
    [key] = objects_of(server, digest)
    token = client.token(f"repository:{name}:pull")
    with RawConnection(server.url) as connection:
        connection.send_head(
            "GET", f"/v2/{name}/blobs/{digest}", Authorization=f"Bearer {token}"
        )
        received = connection.socket.recv(65_536)
        assert received.startswith(b"HTTP/1.1 200")
        os.truncate(blob_folder(server) / key, 100)
        count = len(received)
        try:
            while piece := connection.socket.recv(MIB):
                count += len(piece)
        except ConnectionResetError:
            pass  # one way of breaking it
    assert count < len(content)
    client.push_blob(name, content)
    assert_sound(server)
