"""Parts that hang (SIGSTOP): what needs them fails in time, the rest continues.

And a PostgreSQL whose disk is full. One Berth of all its processes with both services;
docs/development/reliability.md has the whole matrix.

It holds P8, P9, DB10 of reliability.md, too.
"""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import psycopg2
import pytest
from psycopg2.extensions import (
    TRANSACTION_STATUS_ACTIVE,
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_INTRANS,
)

from database.postgresql.silence import Silence
from registry_site.heartbeats import BEAT_SECONDS
from tests.faults.disks import small_disk
from tests.faults.test_full_disks import fill
from tests.faults.test_worker_loss import (
    GROW_OLD,
    SCHEDULER_IS_GONE,
    WORKER_IS_GONE,
    heartbeat_ages,
    wait_until,
)
from tests.images import image
from tests.servers import (
    LoadedServer,
    Postgres,
    Process,
    children_of,
    run_postgres_with_tables,
)
from tests.webhooks.receivers import run_receiver
from tests.webhooks.stack import ADMIN, Stack, run_stack

pytestmark = pytest.mark.own_database

THREADS = 4  # of the web worker; fewer than the requests that come at once
STATE = "/-/admin/site/"
NEEDS_DATABASE = (
    ("GET", "/"),
    ("GET", "/search?q=app"),
    ("GET", "/api/v1/repositories"),
    ("POST", "/api/v1/organizations"),
    ("GET", f"/v2/{ADMIN}/app/manifests/v1"),
    ("GET", f"/v2/{ADMIN}/app/tags/list"),
    ("POST", f"/v2/{ADMIN}/app/blobs/uploads/"),
)


LIMITS = """
from celery.signals import worker_init
from django.db import connection
worker_init.send(None)
def show(name):
    with connection.cursor() as cursor:
        cursor.execute("SHOW " + name)
        return cursor.fetchone()[0]
print("worker", show("idle_in_transaction_session_timeout"), show("lock_timeout"))
"""
WAITS = """
from accounts.models import Namespace
from database import waits
from django.db import connection, transaction
import threading, time
waits.LOCK_SECONDS, waits.IDLE_SECONDS = 1, 3
waits.limit_waits(is_web=True)
def try_to_lock():
    try:
        with transaction.atomic():
            Namespace.objects.select_for_update().get(name="admin")
    except Exception as error:
        print(type(error).__name__, "of one that waits:", error)
    connection.close()
def run():
    with transaction.atomic():
        Namespace.objects.select_for_update().get(name="admin")
        thread = threading.Thread(target=try_to_lock)
        thread.start()
        thread.join()
        time.sleep(4)
        Namespace.objects.count()
try:
    run()
except Exception as error:
    print(type(error).__name__, "of one that hung:", error)
"""


@dataclass
class Parts:
    """A Berth and its database, which can be made to hang."""

    stack: Stack
    postgres: Postgres
    pulses: dict[str, int]
    repository: str

    @property
    def url(self) -> str:
        return self.stack.server.url

    def ready(self) -> httpx.Response:
        return httpx.get(f"{self.url}/readyz", timeout=60)


@pytest.fixture(scope="module")
def parts(
    http: httpx.Client, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Parts]:
    folder = tmp_path_factory.mktemp("hung")
    (folder / "data").mkdir()
    with (
        run_postgres_with_tables(folder / "postgres") as postgres,
        run_stack(
            folder / "data",
            "redis",
            http,
            postgres.url("berth"),
            server_class=LoadedServer,
            BERTH_WORKERS="1",
            BERTH_THREADS=str(THREADS),
        ) as stack,
    ):
        pulses = {}
        stack.scheduler.stop()
        for process in (stack.worker, stack.scheduler):
            reading, writing = os.pipe()
            process.start(pulse=writing)
            os.close(writing)
            pulses[process.log_path.name.partition("-")[0]] = reading
        name = f"{ADMIN}/app"
        stack.client.push(f"{name}:v1", image())
        stack.page(STATE)  # signs in
        yield Parts(stack, postgres, pulses, name)


@contextmanager
def hanging(*pids: int) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def at_once(questions: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """Ask all of it at the same time, and return the answers."""
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda ask=ask: answers.append(ask()))
        for ask in questions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(questions), "one got no answer"
    return answers


def questions(parts: Parts) -> list[Callable[[], httpx.Response]]:
    """Return a request of each shape that needs the database."""
    client = parts.stack.client
    tokens = {
        method: client.token_for(parts.repository, "GET" if method == "GET" else "PUT")
        for method in ("GET", "POST")
    }
    found: list[Callable[[], httpx.Response]] = []
    for method, path in NEEDS_DATABASE:
        secret = tokens[method] if path.startswith("/v2/") else client.secret
        headers = {"Authorization": f"Bearer {secret}"}
        found.append(
            partial(
                httpx.request, method, f"{parts.url}{path}", headers=headers, timeout=60
            )
        )
    return found


def test_a_database_that_hangs_is_an_outage_and_holds_no_thread(parts: Parts) -> None:
    """DB2: 503 with Retry-After, the others are served, and it recovers by itself."""
    asked = questions(parts)
    at_once(asked * 2)  # each thread has a connection, which is open and then silent
    assert parts.ready().status_code == 200
    with parts.postgres.hanging():
        for answer in at_once(asked * 2):
            assert answer.status_code == 503, (answer.url, answer.text[-300:])
            assert int(answer.headers["Retry-After"]) > 0, answer.url
        # From now on nothing waits, so whatever needs no database has its threads.
        started = time.monotonic()
        for _ in range(5):
            assert {answer.status_code for answer in at_once(asked)} == {503}
            assert httpx.get(f"{parts.url}/healthz", timeout=60).status_code == 200
        assert time.monotonic() - started < 5 * 4, "each waited for a connection"
        ready = parts.ready()
        assert ready.status_code == 503
        assert ready.json()["database"] == "unavailable"
        assert ready.json()["status"] == "unavailable"
    wait_until(parts.stack, lambda: parts.ready().status_code == 200, 30)
    pushed = image()
    parts.stack.client.push(f"{parts.repository}:back", pushed)
    assert parts.stack.client.pull(f"{parts.repository}:back") == pushed
    log = parts.stack.server.log_tail(limit=10**6)
    assert "the database does not answer; requests get 503 until it does" in log
    assert "the database answers again" in log
    assert "Traceback" not in log
    # The worker has waited, and continues: its tasks did not fail.
    wait_until(parts.stack, lambda: max(heartbeat_ages(parts.stack).values()) < 60)


def test_a_web_worker_that_is_killed_or_hangs_is_replaced(parts: Parts) -> None:
    """Also when it is the only one; its upload resumes from the durable bytes (P1)."""
    server, client = parts.stack.server, parts.stack.client
    assert server.process is not None
    main = server.process.pid
    [killed] = children_of(main)
    os.kill(killed, signal.SIGKILL)
    wait_until(parts.stack, lambda: killed not in children_of(main) and _answers(parts))
    [worker] = children_of(main)
    time.sleep(4)  # it has shown that it runs
    location = client.start_upload(parts.repository)
    os.kill(worker, signal.SIGSTOP)
    wait_until(parts.stack, lambda: children_of(main) != [worker])
    wait_until(parts.stack, lambda: _answers(parts), 60)
    assert children_of(main) != [worker]
    assert f"web worker {worker} hangs; another one takes its place" in server.log_tail(
        limit=10**6
    )
    assert client.get(location).status_code == 204
    client.push(f"{parts.repository}:replaced", image())


def _answers(parts: Parts) -> bool:
    try:
        return httpx.get(f"{parts.url}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_worker_and_scheduler_that_hang_are_missed_and_stop_nothing_else(
    parts: Parts,
) -> None:
    """Pushes, pages and API continue; the status page names both (P7)."""
    stack = parts.stack
    wait_until(stack, lambda: max(heartbeat_ages(stack).values()) < 60)
    for name, pulse in parts.pulses.items():
        assert select.select([pulse], [], [], 30)[0], f"{name} shows no pulse"
        assert os.read(pulse, 1), name
    with run_receiver() as receiver:
        repository = stack.new_repository()
        stack.hook(repository, f"{receiver.url}/ok")
        with hanging(_pid(stack.worker), _pid(stack.scheduler)):
            stack.push_tags(repository, ["v1"])
            time.sleep(1)  # a beat that was on its way
            stack.run_code(GROW_OLD)
            time.sleep(BEAT_SECONDS + 2)
            page = stack.page(STATE)
            assert WORKER_IS_GONE in page
            assert SCHEDULER_IS_GONE in page
            ready = parts.ready()
            assert ready.status_code == 200
            assert ready.json()["status"] == "ok"
            stack.push_tags(repository, ["v2"])
        receiver.wait_for(4)  # two tags, each beside one for its image
        wait_until(stack, lambda: "No heartbeat" not in stack.page(STATE))


def _pid(process: Process) -> int:
    assert process.process is not None
    return process.process.pid


@pytest.fixture
def small_tables(
    parts: Parts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The table of uploads on a disk of its own, which is as small as can be."""
    folder = tmp_path_factory.mktemp("small")
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o711)
    with (
        small_disk(folder, "size=1m"),
        closing(psycopg2.connect(parts.postgres.url("berth"))) as connection,
    ):
        os.chown(folder, parts.postgres.folder.stat().st_uid, -1)
        connection.autocommit = True
        run = connection.cursor().execute
        run(f"CREATE TABLESPACE small LOCATION '{folder}'")
        run("ALTER TABLE distribution_upload SET TABLESPACE small")
        yield folder
        run("ALTER TABLE distribution_upload SET TABLESPACE pg_default")
        run("DROP TABLESPACE small")


def test_a_database_whose_disk_is_full_is_said_and_serves_pulls(
    parts: Parts, small_tables: Path
) -> None:
    """DB9: 507, readiness names the part, and writes work once there is space."""
    client = parts.stack.client
    token = client.token(f"repository:{parts.repository}:pull,push")

    def begin_upload() -> int:
        return httpx.post(
            f"{parts.url}/v2/{parts.repository}/blobs/uploads/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        ).status_code

    assert begin_upload() == 202
    filler = fill(small_tables)
    answers = [begin_upload()]
    while answers[-1] == 202:  # there is room in the pages that the table has
        assert len(answers) < 500
        answers.append(begin_upload())
    assert answers[-1] == 507
    client.pull(f"{parts.repository}:v1")
    ready = parts.ready()
    assert ready.status_code == 503
    assert ready.json()["database"] == "full"
    assert ready.json()["pulls"] == "ok"
    filler.unlink()
    assert begin_upload() == 202


def test_rows_that_a_hung_process_holds_are_free_again(parts: Parts) -> None:
    """No one waits for a row without an end, and its holder loses it."""
    assert "worker 1min 0" in parts.stack.run_code(LIMITS)
    printed = parts.stack.run_code(WAITS)
    assert "OperationalError of one that waits: canceling statement" in printed
    assert "OperationalError of one that hung: " in printed


@pytest.mark.parametrize(
    ("text", "patience", "is_silent"),
    [
        ("connection to 10.0.0.1 failed: No route to host", 60, True),
        ("timeout expired", 60, True),
        ("::1: timeout expired\n127.0.0.1: FATAL:  too many clients", 0, False),
        ("FATAL:  the database system is starting up", 0, False),
        ("connection to 10.0.0.1 failed: Connection refused", 0, False),
    ],
)
def test_what_a_database_says_is_an_answer_however_late(
    text: str, patience: float, is_silent: bool
) -> None:
    silence = Silence()
    silence._is_watched = True

    def refuse() -> None:
        raise psycopg2.OperationalError(text)

    with pytest.raises(psycopg2.OperationalError):
        silence.connect(refuse, patience=patience)
    assert silence.is_silent == is_silent


class Connection:
    """As much of a connection as is looked at; it is not shut down twice."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.here, self.there = socket.socketpair()

    def get_transaction_status(self) -> int:
        return self.status

    def fileno(self) -> int:
        return self.here.fileno()

    def is_cut(self) -> bool:
        with suppress(BlockingIOError):
            return not self.there.recv(1, socket.MSG_DONTWAIT)
        return False


def test_a_connection_that_cannot_be_made_ends_no_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine that is too busy for new connections answers on the ones it has."""
    monkeypatch.setattr("database.postgresql.silence.ASKED_AFTER_SECONDS", 0.2)
    silence = Silence()
    silence._is_watched = True
    states = (TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS)
    idle, busy = (Connection(state) for state in states)
    young, old = (Connection(TRANSACTION_STATUS_ACTIVE) for _ in range(2))
    young.status = TRANSACTION_STATUS_INTRANS
    for connection in (idle, busy, young, old):
        silence.connect(lambda made=connection: made, patience=60)

    def fail() -> None:
        raise psycopg2.OperationalError("timeout expired")

    with pytest.raises(psycopg2.OperationalError):
        silence.connect(fail, patience=60)
    silence.look()
    time.sleep(0.3)
    young.status = TRANSACTION_STATUS_ACTIVE
    silence.look()
    cut = [connection.is_cut() for connection in (idle, busy, young, old)]
    for connection in (idle, busy, young, old):
        connection.here.close()
        connection.there.close()
    assert cut == [True, False, False, True]
