"""Bodies that end too early, and bodies that no library would send (UP-13, DJ-1)."""

import time

import pytest

from tests import images
from tests.images import digest_of, some_bytes
from tests.registry_client import (
    TIMEOUT_SECONDS,
    RawConnection,
    RegistryClient,
    with_digest,
)


def wait_for_offset(client: RegistryClient, location: str, expected: str) -> None:
    """Ask until the server has noticed that the other connection is gone."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (found := client.get(location).headers.get("Range")) != expected:
        assert time.monotonic() < deadline, f"the session stays at {found}"
        time.sleep(0.02)


def bearer(client: RegistryClient, name: str) -> str:
    return f"Bearer {client.token(f'repository:{name}:pull,push')}"


@pytest.mark.parametrize("before", [b"", b"0123456789"])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_what_arrived_of_a_promised_length_counts(
    bob: RegistryClient, api: str, method: str, before: bytes
) -> None:
    """UP-13: the status is true, and the client goes on from there."""
    content = before + some_bytes(1000)
    location = bob.start_upload(api)
    if before:
        bob.patch(location, content=before)
    target = with_digest(location, digest_of(content))
    with RawConnection(bob.url) as connection:
        connection.send_head(
            method,
            target if method == "PUT" else location,
            Authorization=bearer(bob, api),
            Content_Length=str(len(content) - len(before)),
        )
        connection.send(content[len(before) : 400])
    wait_for_offset(bob, location, "0-399")
    headers = {"Content-Range": f"400-{len(content) - 1}"}
    response = bob.patch(location, content=content[400:], headers=headers)
    assert response.status_code == 202
    assert bob.put(target).status_code == 201
    assert bob.pull_blob(api, digest_of(content)) == content


@pytest.mark.parametrize("before", [b"", b"0123456789"])
def test_what_arrived_of_a_stream_counts(
    bob: RegistryClient, api: str, before: bytes
) -> None:
    """UP-13, R-50: real chunked transfer encoding, cut off between two chunks."""
    content = before + some_bytes(1000)
    location = bob.start_upload(api)
    if before:
        bob.patch(location, content=before)
    with RawConnection(bob.url) as connection:
        connection.send_head(
            "PATCH",
            location,
            Authorization=bearer(bob, api),
            Transfer_Encoding="chunked",
        )
        connection.send_chunk(content[len(before) : 400])
    wait_for_offset(bob, location, "0-399")
    assert bob.patch(location, content=[content[400:]]).status_code == 202
    assert bob.put(with_digest(location, digest_of(content))).status_code == 201
    assert bob.pull_blob(api, digest_of(content)) == content


@pytest.mark.parametrize("whole_chunk", [True, False])
def test_a_stream_that_is_reset_leaves_a_session_to_go_on_with(
    bob: RegistryClient, api: str, whole_chunk: bool
) -> None:
    """UP-13, UP-12: whatever arrived, a truthful status leads to the right blob."""
    content = some_bytes(300_000)
    location = bob.start_upload(api)
    connection = RawConnection(bob.url)
    connection.send_head(
        "PATCH",
        location,
        Authorization=bearer(bob, api),
        Transfer_Encoding="chunked",
    )
    connection.send_chunk(content[:100_000])
    if not whole_chunk:
        connection.send(b"10000\r\n" + content[100_000:110_000])
    connection.reset()
    done = False
    while not done:  # the dying request may still move the offset
        last = int(bob.get(location).headers["Range"].removeprefix("0-"))
        first = last + 1 if last else 0
        headers = {"Content-Range": f"{first}-{len(content) - 1}"}
        response = bob.patch(location, content=content[first:], headers=headers)
        assert response.status_code in {202, 416}
        done = response.status_code == 202
    assert bob.put(with_digest(location, digest_of(content))).status_code == 201
    assert bob.pull_blob(api, digest_of(content)) == content


@pytest.mark.parametrize("how", ["length", "chunked"])
@pytest.mark.parametrize("path", ["manifests/v1", "blobs/uploads/?digest={digest}"])
def test_half_a_body_becomes_nothing(
    bob: RegistryClient, api: str, path: str, how: str
) -> None:
    """UP-13, UP-2, MAN-2: neither half a manifest nor half a blob is ever visible."""
    image = images.image()
    digest = image.digest
    for blob in image.blobs:
        bob.push_blob(api, blob)
    with RawConnection(bob.url) as connection:
        connection.send_head(
            "PUT" if path.startswith("manifests") else "POST",
            f"/v2/{api}/{path.format(digest=digest)}",
            Authorization=bearer(bob, api),
            Content_Type=image.media_type,
            Content_Length=str(len(image.payload)) if how == "length" else None,
            Transfer_Encoding="chunked" if how == "chunked" else None,
        )
        half = image.payload[: len(image.payload) // 2]
        if how == "chunked":
            connection.send_chunk(half)
        else:
            connection.send(half)
    # A push of the same by another connection comes out right in any case.
    assert bob.put_manifest(api, "v2", image).status_code == 201
    assert bob.tags(api) == ["v2"]
    assert bob.head(f"/v2/{api}/blobs/{digest}").status_code == 404
    assert bob.pull(f"{api}:v2") == image


def test_chunks_of_every_size_arrive(bob: RegistryClient, api: str) -> None:
    """DJ-1, R-50, UP-4: one byte at a time, extensions and trailers included."""
    content = some_bytes(600)
    location = bob.start_upload(api)
    with RawConnection(bob.url) as connection:
        connection.send_head(
            "PATCH",
            location,
            Authorization=bearer(bob, api),
            Transfer_Encoding="chunked",
        )
        for piece in content[:100]:
            connection.send_chunk(bytes([piece]))
        connection.send(b"1f4;name=value\r\n" + content[100:] + b"\r\n")
        connection.send_chunk(b"")
        answer = connection.receive("PATCH")
    assert answer.status == 202
    assert answer.headers["Range"] == "0-599"
    assert answer.headers["Content-Length"] == "0"
    assert bob.put(with_digest(location, digest_of(content))).status_code == 201


def test_a_body_is_only_asked_for_when_it_is_wanted(
    bob: RegistryClient, api: str
) -> None:
    """DJ-1: Expect: 100-continue, as curl sends it."""
    content = some_bytes(2000)
    location = bob.start_upload(api)
    with RawConnection(bob.url) as connection:
        connection.send_head(
            "PUT",
            with_digest(location, digest_of(content)),
            Authorization=bearer(bob, api),
            Content_Length=str(len(content)),
            Expect="100-continue",
        )
        first = connection.socket.recv(12)
        assert first == b"HTTP/1.1 100"
        connection.socket.recv(1000)
        connection.send(content)
        assert connection.receive("PUT").status == 201
    assert bob.pull_blob(api, digest_of(content)) == content
