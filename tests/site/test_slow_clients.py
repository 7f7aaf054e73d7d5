"""Clients that stop in the middle hold nothing that others need (A1).

The server has two workers with four threads each. Every sort of slow client comes with
many times as many connections as there are threads, and everybody else goes on.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.images import digest_of
from tests.registry_client import RegistryClient
from tests.servers import BerthServer
from tests.site.slow_clients import (
    Slow,
    Sort,
    half_body,
    half_chunks,
    half_headers,
    say,
    silence,
    unread,
    unread_and_half_closed,
)

pytestmark = pytest.mark.own_database

CONNECTIONS = 100
REQUEST_SECONDS = 3
TRANSFER_SECONDS = 4
BLOB = os.urandom(6_000_000)  # more than the sockets of both sides hold
NAME = "admin/slow"
PASSWORD = "a long password for slow clients"
TOKEN = "/v2/token"
FORM = "/accounts/login/"
API = "/api/v1/users/me/tokens"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BerthServer]:
    folder: Path = tmp_path_factory.mktemp("slow")
    server = BerthServer(
        data_folder=folder,
        BERTH_THREADS="4",
        BERTH_REQUEST_SECONDS=str(REQUEST_SECONDS),
        BERTH_TRANSFER_SECONDS=str(TRANSFER_SECONDS),
        BERTH_TRANSFER_RATE="2000",
        BERTH_ADMIN_PASSWORD=PASSWORD,
        BERTH_PUSH_VISIBILITY="public",
    )
    server.manage("prepare")
    with server:
        yield server


@pytest.fixture(scope="module")
def admin(server: BerthServer) -> Iterator[RegistryClient]:
    with httpx.Client(timeout=30) as http:
        client = RegistryClient(http, server.url, "admin", PASSWORD)
        client.push_blob(NAME, BLOB)
        yield client


@pytest.fixture
def bearer(admin: RegistryClient) -> str:
    token = admin.token(f"repository:{NAME}:pull,push")
    return f"Authorization: Bearer {token}\n"


def sorts_of_bodies(admin: RegistryClient, bearer: str) -> dict[str, list[Sort]]:
    """Return the sorts of clients that stop sending."""
    upload = admin.start_upload(NAME)
    return {
        "silence": [silence],
        "headers": [half_headers],
        "forms": [half_body(TOKEN), half_body(FORM), half_body(API)],
        "chunked forms": [half_chunks(TOKEN), half_chunks(FORM), half_chunks(API)],
        "manifests": [
            half_body(f"/v2/{NAME}/manifests/v1", "PUT", bearer),
            half_chunks(f"/v2/{NAME}/manifests/v1", "PUT", bearer),
        ],
        "uploads": [
            half_body(upload, "PATCH", bearer),
            half_chunks(upload, "PATCH", bearer),
        ],
    }


def test_whoever_stops_sending_holds_nobody_up(
    server: BerthServer, admin: RegistryClient, bearer: str
) -> None:
    for sorts in sorts_of_bodies(admin, bearer).values():
        with Slow(server.port, sorts, CONNECTIONS):
            assert_all_goes_on(server, admin)


def test_whoever_stops_reading_holds_nobody_up(
    server: BerthServer, admin: RegistryClient, bearer: str
) -> None:
    blob = f"/v2/{NAME}/blobs/{digest_of(BLOB)}"
    parts = f"{bearer}Range: bytes=0-2999999,3000001-5999999\n"
    for sort in (unread(blob, bearer), unread(blob, parts)):
        with Slow(server.port, [sort], CONNECTIONS):
            assert_all_goes_on(server, admin)


def wait_until(is_true: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def assert_all_goes_on(server: BerthServer, admin: RegistryClient) -> None:
    """Push, pull, look at a page and ask for health, each in a new connection."""
    with httpx.Client(timeout=20) as http:
        assert http.get(f"{server.url}/healthz").status_code == 200
        assert http.get(f"{server.url}/").status_code == 200
        form = {"grant_type": "password", "username": "x", "password": ""}
        assert http.post(f"{server.url}{TOKEN}", data=form).status_code == 401
        client = RegistryClient(http, server.url, "admin", PASSWORD)
        content = os.urandom(1000)
        client.push_blob(NAME, content)
        digest = digest_of(content)
        assert client.get(f"/v2/{NAME}/blobs/{digest}").content == content


def test_whoever_stops_is_hung_up_on(
    server: BerthServer, admin: RegistryClient, bearer: str
) -> None:
    """Small bodies and headers after seconds, uploads and downloads a little later."""
    blob = f"/v2/{NAME}/blobs/{digest_of(BLOB)}"
    with ExitStack() as stack:
        groups = {
            name: stack.enter_context(Slow(server.port, sorts, 4))
            for name, sorts in sorts_of_bodies(admin, bearer).items()
        }
        readers = [
            stack.enter_context(sort(blob, bearer)(server.port))
            for sort in (unread, unread_and_half_closed)
        ]
        wait_until(
            lambda: all(map(is_held_by_a_process, readers)), 20, "readers are accepted"
        )
        deadline_seconds = 3 * (REQUEST_SECONDS + TRANSFER_SECONDS) + 20
        for name, group in groups.items():
            wait_until(
                lambda group=group: group.open_count() == 0,
                deadline_seconds,
                f"{name} are closed",
            )
        # What the sockets hold can be read, and then the connection is at its end.
        time.sleep(2 * TRANSFER_SECONDS + 4)
        for reader in readers:
            assert not is_held_by_a_process(reader)
            assert bytes_until_the_end(reader) < len(BLOB)


def is_held_by_a_process(client: socket.socket) -> bool:
    """Return whether the server has its end open, and not only the kernel."""
    ports = [f"{end[1]:04X}" for end in (client.getpeername(), client.getsockname())]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if [end.partition(":")[2] for end in fields[1:3]] == ports:
            return fields[9] != "0"  # the inode
    return False


def bytes_until_the_end(reader: socket.socket) -> int:
    received = 0
    try:
        while piece := reader.recv(1_000_000):
            received += len(piece)
    except ConnectionResetError:
        pass
    return received


def test_a_form_that_stops_is_answered_408(server: BerthServer) -> None:
    for sort in (half_body(TOKEN), half_body(FORM), half_body(API)):
        with sort(server.port) as client:
            answer = client.recv(4000)
            assert answer.startswith(b"HTTP/1.1 408 "), answer[:300]


def test_a_slow_client_that_keeps_to_the_rate_is_served(
    server: BerthServer, admin: RegistryClient, bearer: str
) -> None:
    """Its upload takes longer than any deadline, and its pieces are small."""
    content = os.urandom(60_000)
    location = admin.start_upload(NAME)
    head = f"PATCH {location} HTTP/1.1\nHost: localhost:{server.port}\n{bearer}"
    with say(server.port, f"{head}Content-Length: {len(content)}\n\n") as client:
        for start in range(0, len(content), 5000):
            client.sendall(content[start : start + 5000])
            time.sleep(0.6)
        assert client.recv(4000).startswith(b"HTTP/1.1 202 ")
    closing = admin.put(f"{location}?digest={digest_of(content)}")
    assert closing.status_code == 201


def test_of_an_upload_that_stops_what_arrived_is_kept(
    server: BerthServer, admin: RegistryClient, bearer: str
) -> None:
    """UP-13: the client that comes back goes on where it was."""
    location = admin.start_upload(NAME)
    with half_body(location, "PATCH", bearer)(server.port) as client:
        answer = client.recv(4000)
    assert answer.startswith(b"HTTP/1.1 408 "), answer[:300]
    assert admin.get(location).headers["Range"] == "0-2"


def test_the_idlest_connections_of_an_address_end_first(tmp_path: Path) -> None:
    """An address has a number of connections; those in use stay."""
    server = BerthServer(
        data_folder=tmp_path,
        BERTH_WORKERS="1",
        BERTH_REQUEST_SECONDS="600",
        BERTH_CONNECTIONS_PER_ADDRESS="20",
    )
    server.manage("prepare")
    with server, httpx.Client(timeout=30) as http:
        url = f"{server.url}/healthz"
        assert http.get(url).status_code == 200
        with Slow(server.port, [silence, half_headers], 60) as slow:

            def asks_and_counts() -> bool:
                assert http.get(url).status_code == 200
                return slow.open_count() <= 20

            wait_until(asks_and_counts, 60, "the idlest are closed")
            assert slow.open_count() > 0
