"""Many at once: all succeed, nothing is kept or counted twice (L1 - L9, N1, N2).

It holds DB5, DB7, DB8 of reliability.md, too.
"""

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from distribution.models import Blob, BlobLink, Upload
from repositories.models import Event, Manifest, Repository, Tag, TagMove
from tests import images, make
from tests.conftest import Cast
from tests.faults.oracle import assert_sound, objects_of
from tests.images import digest_of, some_bytes
from tests.registry_client import (
    RawConnection,
    RegistryClient,
    repository_of,
    with_digest,
)
from tests.servers import BerthServer

pytestmark = pytest.mark.usefixtures("database")

MIB = 1024 * 1024
Result = TypeVar("Result")


def at_once(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run all of them at the same moment, each in a thread of its own."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], Result]) -> Result:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def row(name: str) -> Repository:
    namespace, _, rest = name.partition("/")
    return Repository.objects.get(namespace__name=namespace, name=rest)


def statuses(responses: Sequence[httpx.Response]) -> list[int]:
    return sorted(response.status_code for response in responses)


# --- blobs


def test_the_same_blob_pushed_by_many_to_one_repository(
    bob: RegistryClient, api: str, registry: BerthServer
) -> None:
    """L1, R-43: 32 x 201, one object, counted once."""
    content = some_bytes(10 * MIB)
    digest = digest_of(content)
    bob.push_blob(api, b"{}")
    targets = [with_digest(bob.start_upload(api), digest) for _ in range(32)]
    answers = at_once(
        [lambda target=target: bob.put(target, content=content) for target in targets]
    )
    assert statuses(answers) == [201] * 32
    assert len(objects_of(registry, digest)) == 1
    assert Blob.objects.filter(digest=digest).count() == 1
    assert BlobLink.objects.filter(blob__digest=digest).count() == 1
    assert row(api).size_bytes == len(content) + len(b"{}")
    assert bob.pull_blob(api, digest) == content


def test_the_same_image_pushed_by_many_to_repositories_of_their_own(
    bob: RegistryClient, cast: Cast, registry: BerthServer
) -> None:
    """L2, R-43: the blobs in all orders; no deadlock, one object for each blob."""
    image = images.image(*(some_bytes(MIB) for _ in range(3)))
    names = []
    for _ in range(32):
        repository = make.repository(cast.acme.namespace, make.unique("twin"))
        make.grant(repository, cast.backend, "write")
        names.append(repository.full_name)

    def push(name: str) -> str:
        blobs = random.sample(image.blobs, len(image.blobs))
        for blob in blobs:
            bob.push_blob_like_docker(name, blob)
        return bob.push(f"{name}:v1", image)

    pushed = at_once([lambda name=name: push(name) for name in names])
    assert pushed == [image.digest] * 32
    for blob in image.blobs:
        assert len(objects_of(registry, digest_of(blob))) == 1
        assert BlobLink.objects.filter(blob__digest=digest_of(blob)).count() == 32
    used = sum(len(blob) for blob in image.blobs)
    assert {row(name).size_bytes for name in names} == {used}
    assert bob.pull(f"{names[-1]}:v1") == image


def test_a_new_repository_that_many_push_to_is_made_once(
    alice: RegistryClient, cast: Cast
) -> None:
    """L4: no 5xx, and one event of its creation."""
    name = f"{cast.acme.namespace.name}/{make.unique('fresh')}"
    image = images.image()
    pushed = at_once([lambda: alice.push(f"{name}:v1", image)] * 16)
    assert set(pushed) == {image.digest}
    created = Event.objects.filter(
        repository=row(name), kind=Event.Kind.REPOSITORY_CREATED
    )
    assert created.count() == 1
    assert alice.pull(f"{name}:v1") == image


# --- one session, two requests


@pytest.mark.parametrize("arrived", [b"", b"first|"], ids=["first", "later"])
def test_two_chunks_of_one_session_never_interleave(
    bob: RegistryClient, api: str, registry: BerthServer, arrived: bytes
) -> None:
    """L9: sent piece by piece in turns; one 202, the other 416, and whole bytes."""
    token = bob.token(f"repository:{api}:pull,push")
    location = bob.start_upload(api)
    if arrived:
        location = bob.patch(location, content=arrived).headers["Location"]
    chunks = [letter * 50_000 for letter in (b"a", b"b")]
    connections = [RawConnection(registry.url) for _ in chunks]
    try:
        for connection, chunk in zip(connections, chunks, strict=True):
            connection.send_head(
                "PATCH",
                location,
                Authorization=f"Bearer {token}",
                Content_Length=str(len(chunk)),
                Content_Range=f"{len(arrived)}-{len(arrived) + len(chunk) - 1}",
            )
        for start in range(0, 50_000, 10_000):
            for connection, chunk in zip(connections, chunks, strict=True):
                # The slower one is refused, perhaps before all of it was sent.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.send(chunk[start : start + 10_000])
        answers = [connection.receive("PATCH") for connection in connections]
    finally:
        for connection in connections:
            connection.socket.close()
    assert sorted(answer.status for answer in answers) == [202, 416]
    winner = [answer.status for answer in answers].index(202)
    whole = arrived + chunks[winner]
    response = bob.put(with_digest(location, digest_of(whole)))
    assert response.status_code == 201, response.text
    assert bob.pull_blob(api, digest_of(whole)) == whole


@pytest.mark.parametrize("chunks", [1, 2])
def test_a_finish_sent_twice_at_once_never_loses_the_blob(
    bob: RegistryClient, api: str, registry: BerthServer, chunks: int
) -> None:
    """A client that timed out and repeats: the losers take nothing (R-43, I1, C7)."""
    for _ in range(10):
        content = some_bytes(20_000)
        location = bob.start_upload(api)
        for start in range(0, 20_000, 20_000 // chunks):
            piece = content[start : start + 20_000 // chunks]
            location = bob.patch(location, content=piece).headers["Location"]
        target = with_digest(location, digest_of(content))
        answers = at_once([lambda target=target: bob.put(target)] * 4)
        assert set(statuses(answers)) <= {201, 404, 416}
        assert 201 in statuses(answers)  # and again, once the blob is there
        assert bob.pull_blob(api, digest_of(content)) == content
        assert len(objects_of(registry, digest_of(content))) == 1


def test_a_chunk_against_a_finish_of_the_same_session(
    bob: RegistryClient, api: str
) -> None:
    """L9: either may be first; what was acknowledged is there, and whole."""
    for _ in range(15):
        first, more = some_bytes(20_000), some_bytes(20_000)
        location = bob.start_upload(api)
        location = bob.patch(location, content=first).headers["Location"]
        finish = with_digest(location, digest_of(first))
        patched, finished = at_once(
            [
                lambda path=location, body=more: bob.patch(path, content=body),
                lambda path=finish: bob.put(path),
            ]
        )
        assert patched.status_code in {202, 404, 416}
        assert finished.status_code in {201, 400, 404, 416}
        if finished.status_code == 201:
            assert bob.pull_blob(api, digest_of(first)) == first
        elif patched.status_code == 202 and finished.status_code != 400:
            whole = first + more
            again = bob.put(with_digest(location, digest_of(whole)))
            assert again.status_code == 201, again.text
            assert bob.pull_blob(api, digest_of(whole)) == whole


# --- tags


def _unbroken(name: str, tag: str) -> list[TagMove]:
    """Return a tag's history, in which every step begins where the last one ended."""
    history = list(
        TagMove.objects.filter(repository=row(name), name=tag).order_by("pk")
    )
    at = ""
    for move in history:
        assert move.previous_digest == at
        assert move.digest != at
        at = move.digest
    current = Tag.objects.filter(repository=row(name), name=tag)
    assert at == "".join(current.values_list("manifest__digest", flat=True))
    return history


def test_a_tag_that_many_move_is_always_one_of_them(
    bob: RegistryClient, carol: RegistryClient, api: str, registry: BerthServer
) -> None:
    """L3, I3, I10: never 404, never a mix; the history and its events are a chain."""
    moved = [images.image() for _ in range(16)]
    for image in moved:
        bob.push(api, image)
    bob.push(f"{api}:v1", moved[0])
    payloads = {image.digest: image.payload for image in moved}
    stopping = threading.Event()

    def read() -> int:
        count = 0
        while not stopping.is_set():
            response = carol.get(f"/v2/{api}/manifests/v1")
            assert response.status_code == 200
            assert payloads[response.headers["Docker-Content-Digest"]] == (
                response.content
            )
            assert carol.tags(api) == ["v1"]
            count += 1
        return count

    def write(image: images.Image) -> None:
        for _ in range(6):
            assert bob.put_manifest(api, "v1", image).status_code == 201

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read) for _ in range(8)]
        try:
            at_once([lambda image=image: write(image) for image in moved])
        finally:
            stopping.set()
        assert all(reader.result() > 0 for reader in readers)
    history = _unbroken(api, "v1")
    events = Event.objects.filter(repository=row(api), kind=Event.Kind.TAG_PUSHED)
    assert [
        (event.detail["previous_digest"], event.detail["digest"])
        for event in events.order_by("pk")
    ] == [(move.previous_digest, move.digest) for move in history]
    assert_sound(registry)


def test_moving_against_deleting_tags_and_manifests(
    alice: RegistryClient, api: str, registry: BerthServer
) -> None:
    """L5, R-43, G5: no deadlock, no 5xx, and a history that makes sense."""
    moved = [images.image(), images.image()]
    for image in moved:
        alice.push(api, image)
    manifests = f"/v2/{api}/manifests"

    def put(image: images.Image) -> int:
        path = f"{image.digest}?tag=b&tag=a"
        return alice.put_manifest(api, path, image).status_code

    for _ in range(12):
        steps: list[Callable[[], int]] = [
            *(lambda image=image: put(image) for image in moved * 2),
            *(
                lambda image=image: alice.put_manifest(api, "a", image).status_code
                for image in moved
            ),
            lambda: alice.delete(f"{manifests}/a").status_code,
            lambda: alice.delete(f"{manifests}/b").status_code,
            lambda: alice.delete(f"{manifests}/{moved[0].digest}").status_code,
        ]
        answers = at_once(random.sample(steps, len(steps)))
        assert set(answers) <= {201, 202, 404}
    for tag in ("a", "b"):
        _unbroken(api, tag)
    assert_sound(registry)


def test_of_many_that_create_a_tag_on_condition_one_succeeds(
    bob: RegistryClient, api: str
) -> None:
    """MAN-16, I10: If-None-Match: * is not true for two of them."""
    moved = [images.image() for _ in range(8)]
    for image in moved:
        bob.push(api, image)
    for serial in range(5):
        tag = f"once-{serial}"
        answers = at_once(
            [
                lambda image=image, tag=tag: bob.put_manifest(
                    api, tag, image, headers={"If-None-Match": "*"}
                )
                for image in moved
            ]
        )
        assert statuses(answers) == [201] + [412] * 7
        assert len(_unbroken(api, tag)) == 1


def test_of_many_that_change_a_tag_on_condition_one_succeeds(
    alice: RegistryClient, api: str
) -> None:
    """If-Match of one digest holds for one push or deletion of a tag only (C6)."""
    moved = [images.image() for _ in range(5)]
    for image in moved:
        alice.push(api, image)
    path = f"/v2/{api}/manifests"
    for serial in range(5):
        first = images.image()
        alice.push(f"{api}:moving-{serial}", first)
        tag, headers = f"moving-{serial}", {"If-Match": f'"{first.digest}"'}
        steps: list[Callable[[], int]] = [
            lambda image=image, tag=tag, headers=headers: (
                alice.put_manifest(api, tag, image, headers=headers).status_code
            )
            for image in moved
        ]
        steps += [
            lambda tag=tag, headers=headers: (
                alice.delete(f"{path}/{tag}", headers=headers).status_code
            )
        ] * 2
        answers = sorted(at_once(random.sample(steps, len(steps))))
        # Behind a deletion that came first, there is no tag: 404 for the other one.
        assert len([status for status in answers if status < 300]) == 1, answers
        assert set(answers) <= {201, 202, 404, 412}
        _unbroken(api, tag)


def test_the_same_manifest_pushed_by_many(bob: RegistryClient, api: str) -> None:
    """R-43: docker/buildx#3722; one manifest, one move, one event."""
    image = images.image()
    for blob in image.blobs:
        bob.push_blob(api, blob)
    answers = at_once([lambda: bob.put_manifest(api, "v1", image)] * 16)
    assert statuses(answers) == [201] * 16
    assert Manifest.objects.filter(repository=row(api)).count() == 1
    assert len(_unbroken(api, "v1")) == 1
    assert (
        Event.objects.filter(repository=row(api))
        .exclude(kind=Event.Kind.REPOSITORY_CREATED)
        .count()
        == 1
    )


# --- answers that nobody hears, clients that go away


def _send_and_hang_up(
    client: RegistryClient, token: str, method: str, path: str, **request: Any
) -> None:
    """Send a whole request and cut the connection without reading the answer."""
    content: bytes = request.get("content", b"")
    with RawConnection(client.url) as connection:
        connection.send_head(
            method,
            path,
            Authorization=f"Bearer {token}",
            Content_Length=str(len(content)),
            Content_Type=request.get("content_type"),
            Content_Range=request.get("content_range"),
        )
        connection.send(content)
        connection.reset()


def test_a_write_whose_answer_was_lost_can_be_repeated(
    alice: RegistryClient, api: str, other: str, registry: BerthServer
) -> None:
    """N1, I9: for every route that writes, a naive retry ends in the same place."""
    image, content = images.image(some_bytes(10_000)), some_bytes(200_000)
    digest = digest_of(content)
    scope = f"repository:{api}:pull,push,delete"
    token = alice.token(scope, f"repository:{other}:pull")

    def lose(method: str, path: str, **request: Any) -> None:
        _send_and_hang_up(alice, token, method, path, **request)

    # POST, PATCH, PUT of a session
    lose("POST", f"/v2/{api}/blobs/uploads/")
    location = alice.start_upload(api)
    lose("PATCH", location, content=content, content_range=f"0-{len(content) - 1}")
    _until_arrived(alice, location, content)
    target = with_digest(location, digest)
    lose("PUT", target)
    assert alice.put(target).status_code in {201, 404, 416}
    alice.push_blob_like_docker(api, content)
    # POST of a whole blob, a mount
    whole = some_bytes(30_000)
    target = f"/v2/{api}/blobs/uploads/?digest={digest_of(whole)}"
    lose("POST", target, content=whole)
    assert alice.post(target, content=whole).status_code == 201
    mounted = alice.push_blob(other, some_bytes())
    target = f"/v2/{api}/blobs/uploads/?mount={mounted}&from={other}"
    lose("POST", target)
    assert alice.post(target, token=token).status_code == 201
    # a manifest, by tag and by digest
    for blob in image.blobs:
        alice.push_blob(api, blob)
    for reference in ("v1", image.digest):
        lose(
            "PUT",
            f"/v2/{api}/manifests/{reference}",
            content=image.payload,
            content_type=image.media_type,
        )
        assert alice.put_manifest(api, reference, image).status_code == 201
    assert alice.pull(f"{api}:v1") == image
    assert len(_unbroken(api, "v1")) == 1
    # and away with it all
    location = alice.start_upload(api)
    for path in (
        location,
        f"/v2/{api}/manifests/v1",
        f"/v2/{api}/manifests/{image.digest}",
        f"/v2/{api}/blobs/{digest}",
    ):
        lose("DELETE", path)
        assert alice.delete(path, token=token).status_code in {202, 204, 404}
        gone = alice.get(path, token=token)
        assert gone.status_code == 404
    assert len(_unbroken(api, "v1")) == 2
    used = sum(
        BlobLink.objects.filter(repository=row(api)).values_list(
            "blob__size_bytes", flat=True
        )
    )
    assert row(api).size_bytes == used
    Upload.objects.filter(repository=row(api)).delete()
    assert_sound(registry)


def _until_arrived(client: RegistryClient, location: str, content: bytes) -> None:
    """Ask what arrived and send the rest, until everything is there (UP-13)."""
    token = client.token(f"repository:{repository_of(location)}:pull,push")
    for _ in range(20):
        response = client.get(location, token=token)
        assert response.status_code == 204
        last = int(response.headers["Range"].partition("-")[2])
        offset = last + 1 if last else 0
        if offset == len(content):
            return
        client.patch(
            location,
            content=content[offset:],
            headers={"Content-Range": f"{offset}-{len(content) - 1}"},
        )
    raise AssertionError("the upload never came to its end")


def _open_files(server: BerthServer) -> list[str]:
    """Return what every process of the server has open."""
    assert server.process is not None
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if os.getpgid(int(folder.name)) != server.process.pid:
                continue
            descriptors = list((folder / "fd").iterdir())
        except (ProcessLookupError, FileNotFoundError):
            continue  # gone while looking
        for descriptor in descriptors:
            with contextlib.suppress(FileNotFoundError):  # closed while looking
                found.append(os.readlink(descriptor))
    return found


def test_clients_that_vanish_leave_nothing_open(
    bob: RegistryClient, api: str, registry: BerthServer
) -> None:
    """N2, I13: files and sockets of downloads that were cut off are closed again."""
    digest = bob.push_blob(api, some_bytes(16 * MIB))
    token = bob.token(f"repository:{api}:pull")
    path = f"/v2/{api}/blobs/{digest}"

    def vanish(count: int) -> None:
        for _ in range(count):
            with RawConnection(registry.url) as connection:
                connection.send_head("GET", path, Authorization=f"Bearer {token}")
                assert connection.socket.recv(65_536).startswith(b"HTTP/1.1 200")
                connection.reset()

    def settled(at_most: int) -> int:
        """Wait for the server to notice; a leak never settles."""
        for _ in range(300):
            files = _open_files(registry)
            reading = [name for name in files if digest[7:] in name]
            if not reading and len(files) <= at_most:
                return len(files)
            time.sleep(0.1)
        raise AssertionError(f"{len(reading)} downloads, {len(files)} files are open")

    clients = 200
    vanish(clients)  # every thread has opened its database by now
    baseline = settled(at_most=10_000)
    vanish(clients)
    # Far fewer than one for each client: threads may still open their database.
    settled(at_most=baseline + clients // 4)
    assert bob.pull_blob(api, digest)
