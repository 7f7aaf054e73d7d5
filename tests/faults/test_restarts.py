"""A registry that is ended or killed as a whole, and started again."""

import itertools
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.faults.conftest import ADMIN, ADMIN_PASSWORD, admin_of
from tests.faults.oracle import assert_sound, rows
from tests.images import digest_of, image, some_bytes
from tests.registry_client import RegistryClient, with_digest
from tests.servers import PROJECT_FOLDER, BerthServer, LoadedServer, children_of

MIB = 1024 * 1024
PUSHERS = 4
TIMEOUT_SECONDS = 60
NAME = f"{ADMIN}/app"


@pytest.fixture
def client(server: BerthServer, http: httpx.Client) -> RegistryClient:
    if server.process is None:
        server.start()
    return admin_of(server, http)


def wait_for(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_sigterm_ends_no_pull_and_uploads_resume(
    server: BerthServer, client: RegistryClient
) -> None:
    """P4: what is being sent is sent to its end; a session waits for the next start."""
    content = some_bytes(4 * MIB)
    digest = client.push_blob(NAME, content)
    first, rest = some_bytes(300_000), some_bytes(200_000)
    location = client.start_upload(NAME)
    location = client.patch(location, content=first).headers["Location"]
    token = client.token(f"repository:{NAME}:pull")
    headers = {"Authorization": f"Bearer {token}"}
    path = f"{server.url}/v2/{NAME}/blobs/{digest}"
    with (
        httpx.Client(timeout=60) as reader,
        reader.stream("GET", path, headers=headers) as answer,
    ):
        pieces = answer.iter_raw(64 * 1024)
        received = [next(pieces)]
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        time.sleep(1)
        received += pieces
    assert b"".join(received) == content
    server.process.wait(60)  # a second signal could end its last steps
    assert server.stop() == 0
    server.start()
    answer = client.patch(location, content=rest)
    location = answer.headers["Location"]
    assert answer.headers["Range"] == f"0-{len(first + rest) - 1}"
    whole = digest_of(first + rest)
    assert client.put(with_digest(location, whole)).status_code == 201
    assert client.pull_blob(NAME, whole) == first + rest


@contextmanager
def pushing(server: BerthServer, secret: str, word: str) -> Iterator[dict[str, bytes]]:
    """Push from several threads until the server is gone or the end; yield what is in.

    A manifest is in it, by its tag, once its push was answered 201.
    """
    acknowledged: dict[str, bytes] = {}
    stopping = threading.Event()

    def push(number: int) -> None:
        with httpx.Client(timeout=60) as http, suppress(httpx.TransportError):
            mine = RegistryClient(http, server.url, ADMIN, secret)
            for count in itertools.count():
                if stopping.is_set():
                    return
                pushed = image(some_bytes(50_000))
                mine.push(f"{NAME}:{word}-{number}-{count}", pushed)
                acknowledged[f"{word}-{number}-{count}"] = pushed.payload

    pushers = [threading.Thread(target=push, args=(each,)) for each in range(PUSHERS)]
    for pusher in pushers:
        pusher.start()
    try:
        wait_for(lambda: len(acknowledged) > 3 * PUSHERS)
        yield acknowledged
    finally:
        stopping.set()
        for pusher in pushers:
            pusher.join()


def test_what_was_acknowledged_survives_the_death_of_everything(
    server: BerthServer, client: RegistryClient
) -> None:
    """X1: killed under load; each image that was answered 201 is there, and sound."""
    client.push_blob(NAME, b"{}")  # so that it exists
    with pushing(server, client.secret, "killed") as acknowledged:
        server.kill()
    server.start()
    for tag, payload in acknowledged.items():
        assert client.pull(f"{NAME}:{tag}").payload == payload
    assert_sound(server)
    client.push(f"{NAME}:after", image())


@pytest.mark.own_database  # SQLite's; test_documented_commands.py has PostgreSQL's
def test_a_backup_made_during_pushes_is_whole_elsewhere(
    server: BerthServer, client: RegistryClient, http: httpx.Client, tmp_path: Path
) -> None:
    """X4: in the order of docs/backup.md, first the database and then the blobs.

    An upload that was under way may have lost its bytes; what was pushed has not.
    """
    client.push_blob(NAME, b"{}")
    elsewhere = tmp_path / "data"
    with pushing(server, client.secret, "saved") as acknowledged:
        saved = dict(acknowledged)
        elsewhere.mkdir(mode=0o700)
        with (
            closing(sqlite3.connect(server.data_folder / "berth.sqlite3")) as source,
            closing(sqlite3.connect(elsewhere / "berth.sqlite3")) as copy,
        ):
            source.backup(copy)
        for name in ("blobs", "keys"):
            done = ["cp", "-a", str(server.data_folder / name), str(elsewhere)]
            subprocess.run(done, check=False)  # drafts go while it copies
    restored = BerthServer(
        data_folder=elsewhere, BERTH_ADMIN_PASSWORD=ADMIN_PASSWORD, BERTH_WORKERS="1"
    )
    restored.manage("prepare")
    with restored:
        theirs = RegistryClient(http, restored.url, ADMIN, client.secret)
        for tag, payload in saved.items():
            assert theirs.pull(f"{NAME}:{tag}").payload == payload
        token = theirs.token(f"repository:{NAME}:pull")
        listed = theirs.get(f"/v2/{NAME}/tags/list", token=token).json()["tags"]
        for tag in listed:
            theirs.pull(f"{NAME}:{tag}")
        for (session,) in rows(restored, "SELECT uuid FROM distribution_upload"):
            upload = f"/v2/{NAME}/blobs/uploads/{session}"
            token = theirs.token(f"repository:{NAME}:pull,push")
            assert theirs.delete(upload, token=token).status_code == 204
        assert_sound(restored)


def test_a_server_without_file_descriptors_recovers(
    server: BerthServer, client: RegistryClient
) -> None:
    """FS6: nothing is answered 500 in the meantime, and no restart is needed."""
    pushed = image()
    client.push(f"{NAME}:descriptors", pushed)
    paths = ("/healthz", "/", "/api/v1/repositories", f"/v2/{NAME}/tags/list")
    for path in paths:
        httpx.get(f"{server.url}{path}", timeout=60)
    log_start = server.log_size()
    assert server.process is not None
    [worker] = children_of(server.process.pid)
    limits = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    used = max(int(path.name) for path in Path(f"/proc/{worker}/fd").iterdir())
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (used + 1, limits[1]))
    answers: set[int] = set()
    try:
        for _ in range(5):
            for path in paths:
                with suppress(httpx.TransportError):
                    answers.add(httpx.get(f"{server.url}{path}", timeout=5).status_code)
    finally:
        resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)
    assert 500 not in answers, server.log_tail(log_start)
    wait_for(lambda: _is_ready(server))
    assert client.pull(f"{NAME}:descriptors") == pushed


def _is_ready(server: BerthServer) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{server.url}/readyz", timeout=5).status_code == 200
    return False


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[LoadedServer]:
    """A server that was never started."""
    server = LoadedServer(
        data_folder=tmp_path / "data", BERTH_ADMIN_PASSWORD=ADMIN_PASSWORD
    )
    yield server
    server.unload()


def test_a_first_start_that_was_killed_is_completed_by_the_next(
    fresh: LoadedServer, tmp_path: Path
) -> None:
    """C28, C29: between two migrations; the next start finds its way from there."""
    server = fresh
    (tmp_path / "data" / "berth.sqlite3").unlink(missing_ok=True)  # no tables yet
    first = subprocess.Popen(
        [sys.executable, "manage.py", "prepare"],
        cwd=PROJECT_FOLDER,
        env=server.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: _migrations(server) > 20)
    first.kill()
    first.wait()
    assert _rows(server, "SELECT count(*) FROM sqlite_master") > 0
    server.manage("prepare")
    assert _migrations(server) > 20
    administrators = "SELECT count(*) FROM accounts_user WHERE is_superuser"
    namespaces = "SELECT count(*) FROM accounts_namespace WHERE name = 'admin'"
    assert _rows(server, administrators) == _rows(server, namespaces) == 1
    server.manage("prepare")
    assert _rows(server, administrators) == 1
    server.manage("migrate", "--check")


def _migrations(server: BerthServer) -> int:
    try:
        return _rows(server, "SELECT count(*) FROM django_migrations")
    except sqlite3.OperationalError:
        return 0  # there is no table yet


def _rows(server: BerthServer, sql: str) -> int:
    connection = sqlite3.connect(server.data_folder / "berth.sqlite3")
    try:
        return int(connection.execute(sql).fetchone()[0])
    finally:
        connection.close()
