"""Berth with its blobs in S3: pushes, pulls, nodes, garbage, crashes, S3 that hangs.

The store's own contract is in tests/distribution/storage. Here are the real server, the
real commands and a SeaweedFS.

It holds FS10, FS11 of reliability.md, too.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests import images, make
from tests.faults.conftest import MakeServer, admin_of
from tests.faults.oracle import assert_sound, rows
from tests.faults.test_crash_points import SERVING, Mortal
from tests.images import digest_of, some_bytes
from tests.registry_client import RawConnection, RegistryClient, with_digest
from tests.s3_servers import BUCKET, SeaweedFS
from tests.servers import BerthServer, LoadedServer

pytestmark = [pytest.mark.xdist_group("s3"), pytest.mark.own_database]

MIB = 1024 * 1024
LARGE = some_bytes(19 * MIB + 7)  # two parts and a tail
LOCATION = "registry/blobs"

COLLECT = """
import time
from datetime import timedelta
from django.utils import timezone
from distribution.garbage import collect_garbage
from distribution.models import Blob, BlobLink
then = timezone.now() - timedelta(days=3)
Blob.objects.update(created_at=then)
BlobLink.objects.update(linked_at=then)
collect_garbage()
BlobLink.objects.exclude(marked_at=None).update(marked_at=then)
now = time.time
time.time = lambda: now() + 3 * 86400
print(collect_garbage())
"""


@pytest.fixture(scope="module")
def environment(seaweedfs: SeaweedFS) -> dict[str, str]:
    return {
        **seaweedfs.environment(LOCATION),
        "BERTH_GARBAGE_CONFIRM_PERCENT": "100",
    }


@pytest.fixture(scope="module")
def server(make_server: MakeServer, environment: dict[str, str]) -> LoadedServer:
    made = make_server(**environment)
    made.modules = SERVING
    made.manage("prepare")
    made.start()
    return made


@pytest.fixture
def admin(server: BerthServer, http: httpx.Client) -> RegistryClient:
    return admin_of(server, http)


@pytest.fixture
def name(admin: RegistryClient) -> str:
    name = make.unique("admin/bucket")
    admin.push_blob(name, b"{}")
    return name


@pytest.fixture
def mortal(server: LoadedServer, admin: RegistryClient) -> Iterator[Mortal]:
    mortal = Mortal(server, admin)
    mortal.new_repository()
    admin.push_blob(mortal.name, b"{}")
    yield mortal
    for (session,) in rows(server, "SELECT uuid FROM distribution_upload"):
        location = f"/v2/{mortal.name}/blobs/uploads/{session}"
        admin.delete(location, token=mortal.push_token())


def test_images_are_pushed_and_pulled(
    server: BerthServer, admin: RegistryClient, name: str, seaweedfs: SeaweedFS
) -> None:
    """In one request or several, whole or in ranges; and nothing is on the disk."""
    of_others = set(seaweedfs.names())
    pushed = images.image(LARGE, b"", some_bytes(70_000))
    admin.push(f"{name}:v1", pushed)
    assert admin.pull(f"{name}:v1") == pushed
    path = f"/v2/{name}/blobs/{digest_of(LARGE)}"
    assert admin.head(path).headers["Content-Length"] == str(len(LARGE))
    for header, expected in {
        "bytes=0-9": LARGE[:10],
        f"bytes={8 * MIB - 5}-{8 * MIB + 5}": LARGE[8 * MIB - 5 : 8 * MIB + 6],
        f"bytes={len(LARGE) - 3 * MIB}-": LARGE[-3 * MIB :],
        "bytes=-7": LARGE[-7:],
    }.items():
        part = admin.get(path, headers={"Range": header})
        assert (part.status_code, part.content) == (206, expected)
    parts = admin.get(path, headers={"Range": "bytes=0-4,100-104"})
    assert parts.status_code == 206
    assert LARGE[:5] in parts.content and LARGE[100:105] in parts.content
    assert not list(Path(server.data_folder).glob("blobs/**/*"))
    own = set(seaweedfs.names()) - of_others
    assert own and all(found.startswith(LOCATION) for found in own)
    assert_sound(server)


@pytest.mark.parametrize("ends", [(3 * MIB, 12 * MIB, len(LARGE)), (9 * MIB, 9 * MIB)])
def test_an_upload_continues_on_another_node(
    server: BerthServer,
    make_server: MakeServer,
    environment: dict[str, str],
    admin: RegistryClient,
    name: str,
    ends: tuple[int, ...],
) -> None:
    """I6: with a tail and without one; the other node also finishes it."""
    with make_server(server, BERTH_URL=server.url, **environment) as other:
        nodes = [admin, replace(admin, url=other.url)]
        location, start = admin.start_upload(name), 0
        for turn, end in enumerate(ends):
            answer = nodes[turn % 2].patch(location, content=LARGE[start:end])
            assert answer.status_code == 202, answer.text
            received = nodes[(turn + 1) % 2].get(
                location, token=admin.token(f"repository:{name}:pull,push")
            )
            assert received.headers["Range"] == f"0-{end - 1}"
            start = end
        digest = digest_of(LARGE[:start])
        answer = nodes[1].put(with_digest(location, digest))
        assert answer.status_code == 201, answer.text
        assert nodes[0].pull_blob(name, digest) == LARGE[:start]
    assert_sound(server)


def test_what_a_push_left_is_collected(
    server: BerthServer, admin: RegistryClient, name: str, seaweedfs: SeaweedFS
) -> None:
    """I7, FS11: canceled, wrong or abandoned uploads, and what no manifest needs."""
    kept, gone = images.image(some_bytes()), images.image(LARGE[: 9 * MIB])
    admin.push(f"{name}:kept", kept)
    admin.push(f"{name}:gone", gone)
    canceled = admin.start_upload(name)
    wrong = admin.start_upload(name)
    for location in (canceled, wrong):
        for at in (0, 10 * MIB):
            admin.patch(location, content=LARGE[at : at + 10 * MIB])
    before = len(seaweedfs.names(LOCATION))
    token = admin.token(f"repository:{name}:pull,push")
    assert admin.delete(canceled, token=token).status_code == 204
    refused = admin.put(with_digest(wrong, digest_of(b"something else")))
    assert refused.status_code == 400
    assert len(seaweedfs.names(LOCATION)) == before - 4, "a tail of each request"
    assert seaweedfs.uploads(LOCATION) == []
    unknown = f"{LOCATION}/objects/{'f' * 32}-00000000"
    client = seaweedfs.client()
    client.create_multipart_upload(Bucket=BUCKET, Key=unknown)
    client.put_object(Bucket=BUCKET, Key=unknown, Body=b"no row")
    admin.delete(f"/v2/{name}/manifests/{gone.digest}")
    server.manage("shell", "--no-imports", "-c", COLLECT)
    stored = {f"{LOCATION}/{key}" for key, in rows(
        server, "SELECT storage_key FROM distribution_blob"
    )}  # fmt: skip
    assert set(seaweedfs.names(LOCATION)) == {*stored, f"{LOCATION}/berth-store"}
    assert seaweedfs.uploads(LOCATION) == []
    assert admin.pull(f"{name}:kept") == kept
    assert admin.head(
        f"/v2/{name}/blobs/{digest_of(LARGE[: 9 * MIB])}"
    ).status_code == (404)
    assert_sound(server)


def test_a_lost_object_is_found_and_a_push_repairs_it(
    server: BerthServer, admin: RegistryClient, name: str, seaweedfs: SeaweedFS
) -> None:
    """FS4, I2: never a short 200."""
    content = some_bytes(3 * MIB)
    digest = admin.push_blob_like_docker(name, content)
    [(key,)] = rows(
        server, f"SELECT storage_key FROM distribution_blob WHERE digest = '{digest}'"
    )
    object_name = f"{LOCATION}/{key}"
    client = seaweedfs.client()
    path = f"/v2/{name}/blobs/{digest}"
    for damage in (None, content[:-1]):
        if damage is None:
            client.delete_object(Bucket=BUCKET, Key=object_name)
        else:
            client.put_object(Bucket=BUCKET, Key=object_name, Body=damage)
        assert admin.get(path, expect_5xx=True).status_code == 503
        with pytest.raises(RuntimeError, match=digest):
            server.manage("fsck_registry")
        admin.push_blob(name, content)
        assert admin.pull_blob(name, digest) == content
        [(key,)] = rows(
            server,
            f"SELECT storage_key FROM distribution_blob WHERE digest = '{digest}'",
        )
        object_name = f"{LOCATION}/{key}"
    assert_sound(server)


# --- crashes


@pytest.mark.parametrize(
    ("point", "arrived"),
    [("C20", 3 * MIB), ("C21", 0), ("C21", 9 * MIB)],
    ids=["C20 behind a tail", "C21 of the first request", "C21 of a later one"],
)
def test_parts_that_were_not_recorded_do_not_count(
    mortal: Mortal, point: str, arrived: int, seaweedfs: SeaweedFS
) -> None:
    """C20, C21: what a dead request began is begun again; the digest is right."""
    location = mortal.client.start_upload(mortal.name)
    if arrived:
        mortal.client.patch(location, content=LARGE[:arrived])
    mortal.die(point, "PATCH", location, content=LARGE[arrived:])
    assert mortal.received(location) == arrived
    answer = mortal.client.patch(location, content=LARGE[arrived:])
    assert answer.status_code == 202, answer.text
    answer = mortal.client.put(with_digest(location, digest_of(LARGE)))
    assert answer.status_code == 201, answer.text
    assert mortal.client.pull_blob(mortal.name, digest_of(LARGE)) == LARGE
    mortal.steady.manage("shell", "--no-imports", "-c", COLLECT)
    assert seaweedfs.uploads(LOCATION) == []


@pytest.mark.parametrize(
    ("point", "chunks"), [("C06", 1), ("C22", 1), ("C22", 2), ("C23", 2)]
)
def test_a_push_that_died_at_its_end_is_repeated(
    mortal: Mortal, point: str, chunks: int, seaweedfs: SeaweedFS
) -> None:
    """C22, C23: completed without a row, and with one; the PUT again is 201."""
    content = some_bytes(11 * MIB)
    location = mortal.client.start_upload(mortal.name)
    for start in range(0, len(content), len(content) // chunks):
        piece = content[start : start + len(content) // chunks]
        mortal.client.patch(location, content=piece)
    target = with_digest(location, digest_of(content))
    mortal.die(point, "PUT", target)
    assert mortal.has_blob(digest_of(content)) == (point == "C23")
    assert mortal.client.put(target).status_code == 201
    assert mortal.client.pull_blob(mortal.name, digest_of(content)) == content
    mortal.steady.manage("shell", "--no-imports", "-c", COLLECT)
    assert seaweedfs.names(f"{LOCATION}/uploads/") == []


# --- S3 that hangs, and clients that do


def test_while_s3_hangs_all_else_goes_on(
    server: BerthServer, admin: RegistryClient, name: str, seaweedfs: SeaweedFS
) -> None:
    """FS10, I12: 503 within five seconds; pages and manifests at once; it ends."""
    pushed = images.image(some_bytes(3 * MIB))
    admin.push(f"{name}:v1", pushed)
    path = f"/v2/{name}/blobs/{digest_of(pushed.blobs[-1])}"
    upload = admin.start_upload(name)
    others = (f"/v2/{name}/manifests/v1", "/healthz", "/accounts/login/")
    for question in (*others, path):  # the first page of a process takes its time
        assert admin.get(question).status_code == 200
    with seaweedfs.hanging(), ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(_timed, admin, path) for _ in range(20)]
        time.sleep(0.5)
        for question in others:
            began = time.monotonic()
            assert admin.get(question).status_code == 200
            assert time.monotonic() - began < 3, "threads are left for them"
        for status, seconds in (question.result() for question in asked):
            assert status == 503
            assert seconds < 8, "5 s, and what a busy machine adds"
        began = time.monotonic()
        for _ in range(3):
            assert admin.get(path, expect_5xx=True).status_code == 503
            answer = admin.patch(upload, content=some_bytes(), expect_5xx=True)
            assert answer.status_code == 503
            assert admin.get(f"/v2/{name}/manifests/v1").status_code == 200
        assert time.monotonic() - began < 8, "once, one of them tried"
    deadline = time.monotonic() + 20
    while _ask(admin, path).status_code == 503:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert admin.pull(f"{name}:v1") == pushed
    answer = admin.patch(upload, content=LARGE)
    assert answer.status_code == 202, answer.text
    assert admin.put(with_digest(upload, digest_of(LARGE))).status_code == 201
    assert "Traceback" not in server.log_tail()


def _ask(client: RegistryClient, path: str) -> httpx.Response:
    token = client.token_for(path.partition("/blobs")[0].removeprefix("/v2/"), "GET")
    headers = {"Authorization": f"Bearer {token}"}
    return client.http.get(client.url + path, headers=headers)


def _timed(client: RegistryClient, path: str) -> tuple[int, float]:
    began = time.monotonic()
    status = _ask(client, path).status_code
    return status, time.monotonic() - began


def test_clients_that_read_slowly_hold_no_thread(
    server: BerthServer, admin: RegistryClient, name: str
) -> None:
    """N3: more of them than threads answer requests or send streams; others pull."""
    digest = admin.push_blob_like_docker(name, LARGE)
    path = f"/v2/{name}/blobs/{digest}"
    assert admin.pull_blob(name, digest) == LARGE
    token = admin.token(f"repository:{name}:pull")
    slow = [RawConnection(server.url) for _ in range(80)]
    try:
        for connection in slow:
            connection.send_head("GET", path, Authorization=f"Bearer {token}")
        for connection in slow:
            assert connection.socket.recv(20).startswith(b"HTTP/1.1 200")
        assert admin.pull_blob(name, digest) == LARGE
        assert admin.get("/healthz").status_code == 200
    finally:
        for connection in slow:
            connection.reset()
    assert "Traceback" not in server.log_tail()
