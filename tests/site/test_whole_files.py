"""Files go to Granian in one piece while a worker has memory for them.

They are counted until the client has taken them. So clients that do not read make a
worker hold no more than WHOLE_FILES_MAX_BYTES.
"""

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from distribution.storage.base import FileSpan
from registry_site.server import replies
from registry_site.server.whole_files import (
    WHOLE_FILE_MAX_BYTES,
    WHOLE_FILES_MAX_BYTES,
    WholeFiles,
    buffers,
    client_name,
    whole_files,
)
from tests.images import digest_of
from tests.registry_client import RegistryClient
from tests.servers import BerthServer
from tests.site.slow_clients import Slow, unread

NAME = "admin/whole"
PASSWORD = "a long password for whole files"
MIB = 1024 * 1024
UNREAD_CLIENTS = 300


def watched() -> WholeFiles:
    files = WholeFiles()
    files.is_watched = True
    return files


def fill(files: WholeFiles, size_bytes: int) -> int:
    """Enter one answer for each of many clients; return how many had room."""
    return sum(
        send_one(files, client_name("192.0.2.1", n), size_bytes) for n in range(200)
    )


def send_one(files: WholeFiles, client: str, size_bytes: int) -> bool:
    """Enter an answer, and let Granian have it at once if there was room."""
    has_room = files.enter(client, size_bytes)
    if has_room:
        files.sent(client)
    return has_room


def test_all_clients_together_hold_no_more_than_the_limit() -> None:
    files = watched()
    assert fill(files, MIB) == WHOLE_FILES_MAX_BYTES // MIB
    assert not files.enter("another", 1)


def test_a_connection_counts_its_last_two_answers() -> None:
    """If requests are pipelined, the server may have one of them in its buffer."""
    files = watched()
    for _ in range(1000):
        assert send_one(files, "client", WHOLE_FILE_MAX_BYTES)
    assert fill(files, MIB) == WHOLE_FILES_MAX_BYTES // MIB - 4


def test_what_was_taken_is_forgotten_and_what_is_newer_than_the_look_stays() -> None:
    files = watched()
    looked_at = time.monotonic()
    assert fill(files, MIB)
    files.release(set(), looked_at)
    assert not files.enter("another", 1)
    files.release({client_name("192.0.2.1", 0)}, time.monotonic())
    assert fill(files, MIB) == WHOLE_FILES_MAX_BYTES // MIB - 1
    files.release(set(), time.monotonic() + 1)
    assert fill(files, MIB) == WHOLE_FILES_MAX_BYTES // MIB


def test_an_answer_that_is_being_read_from_the_disk_stays_counted() -> None:
    """Its connection was silent since the request, as one whose answer is out."""
    files = watched()
    assert files.enter("client", MIB)
    files.release(set(), time.monotonic() + 60)
    assert files.held_bytes == MIB
    looked_at = time.monotonic()
    files.sent("client")
    files.release(set(), looked_at)
    assert files.held_bytes == MIB
    files.release(set(), time.monotonic() + 60)
    assert files.held_bytes == 0


def test_nothing_is_held_where_connections_are_not_watched() -> None:
    assert not WholeFiles().enter("client", 1)


def test_large_files_are_never_held() -> None:
    assert not watched().enter("client", WHOLE_FILE_MAX_BYTES + 1)


def test_a_buffer_has_the_length_of_the_file() -> None:
    for size_bytes in (MIB, 1, 2 * MIB, 70_000, MIB, 0):
        with buffers.borrow(size_bytes) as buffer:
            assert len(buffer) == size_bytes
            with buffers.borrow(size_bytes) as other:
                assert other is not buffer


class Sent:
    """Records how Granian would be asked to send something."""

    def __init__(self) -> None:
        self.body: bytes | None = None
        self.file_range: tuple[str, int, int] | None = None
        self.counted_bytes = 0

    def response_bytes(self, _: int, __: Any, body: bytearray) -> None:
        self.body = bytes(body)
        whole_files.release(set(), time.monotonic() + 60)
        self.counted_bytes = whole_files.held_bytes

    def response_file_range(
        self, _: int, __: Any, path: str, start: int, end: int
    ) -> None:
        self.file_range = path, start, end


def send(path: Path, start: int, end: int) -> Sent:
    sent = Sent()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        span = FileSpan(str(path), start, end, descriptor)
        replies._send_file(sent, 200, [], span, "client")
    finally:
        os.close(descriptor)
    return sent


def test_a_file_is_sent_whole_unless_it_is_large_or_ends_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that ends early is left to Granian, which cuts the answer."""
    monkeypatch.setattr(whole_files, "is_watched", True)
    path = tmp_path / "file"
    content = os.urandom(WHOLE_FILE_MAX_BYTES + 10)
    path.write_bytes(content)
    sent = send(path, 0, MIB)
    assert sent.body == content[:MIB]
    assert sent.counted_bytes == MIB
    assert send(path, 9, WHOLE_FILE_MAX_BYTES).body == content[9:WHOLE_FILE_MAX_BYTES]
    for start, end in ((0, len(content)), (MIB, len(content) + 1)):
        sent = send(path, start, end)
        assert sent.body is None
        assert sent.file_range == (str(path), start, end)
    whole_files.release(set(), time.monotonic() + 60)
    assert whole_files.held_bytes == 0


# --- with a server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BerthServer]:
    server = BerthServer(
        data_folder=tmp_path_factory.mktemp("whole"),
        BERTH_WORKERS="1",
        BERTH_ADMIN_PASSWORD=PASSWORD,
        BERTH_PUSH_VISIBILITY="public",
        BERTH_CONNECTIONS_PER_ADDRESS=str(UNREAD_CLIENTS * 2),
    )
    server.manage("prepare")
    with server:
        yield server


@pytest.fixture
def admin(server: BerthServer) -> Iterator[RegistryClient]:
    with httpx.Client(timeout=60) as http:
        yield RegistryClient(http, server.url, "admin", PASSWORD)


@pytest.mark.own_database
def test_blobs_of_every_size_arrive_intact_side_by_side(
    server: BerthServer, admin: RegistryClient
) -> None:
    """Buffers are used again, and no answer gets bytes of another one."""
    sizes = (0, 1, 4096, 65_535, 65_536, 300_000, MIB, 2 * MIB, 2 * MIB + 1, 3 * MIB)
    blobs = [os.urandom(size) for size in sizes]
    for blob in blobs:
        admin.push_blob(NAME, blob)

    def read_all(first: int) -> None:
        with httpx.Client(timeout=60) as http:
            client = RegistryClient(http, server.url, "admin", PASSWORD)
            for blob in (blobs[first:] + blobs[:first]) * 3:
                target = f"/v2/{NAME}/blobs/{digest_of(blob)}"
                assert client.get(target).content == blob
                if len(blob) > 10:
                    part = client.get(target, headers={"Range": "bytes=3-"})
                    assert part.status_code == 206
                    assert part.content == blob[3:]
                    assert part.headers["Content-Length"] == str(len(blob) - 3)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read_all, range(8)))


@pytest.mark.own_database
def test_clients_that_do_not_read_cost_a_worker_bounded_memory(
    server: BerthServer, admin: RegistryClient
) -> None:
    """300 of them ask for 600 MB, twice, and others are served."""
    blob = os.urandom(WHOLE_FILE_MAX_BYTES)
    admin.push_blob(NAME, blob)
    target = f"/v2/{NAME}/blobs/{digest_of(blob)}"
    assert admin.get(target).content == blob
    bearer = f"Authorization: Bearer {admin.token(f'repository:{NAME}:pull')}\n"
    before = peak_memory_bytes(server)
    host = f"Host: localhost:{server.port}\n"
    ask_twice = f"{bearer}\nGET {target} HTTP/1.1\n{host}{bearer}"
    with Slow(server.port, [unread(target, ask_twice)], UNREAD_CLIENTS) as slow:
        for client in slow.sockets:  # the answer begins
            assert client.recv(9, socket.MSG_PEEK) == b"HTTP/1.1 "
        assert admin.get(target).content == blob
        added = peak_memory_bytes(server) - before
    assert added < 300 * MIB, f"{added / MIB:.0f} MiB"


def peak_memory_bytes(server: BerthServer) -> int:
    assert server.process is not None
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    peaks = [
        int(line.split()[1]) * 1024
        for child in children
        for line in Path(f"/proc/{child}/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    ]
    return max(peaks)
