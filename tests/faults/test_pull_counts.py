"""Counts are exact after any kill (L6, C27), and a pull never waits for them.

It holds G14 of reliability.md, too.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests import make
from tests.faults.conftest import MakeServer, admin_of
from tests.faults.oracle import rows
from tests.images import image
from tests.registry_client import RegistryClient
from tests.servers import BerthServer, Process

ASK_WORKER = "from distribution.tasks import count_abandoned_pulls as c; c.delay()"
COUNT_ABANDONED = "from distribution.pulls import count_abandoned as c; print(c())"
PULLS = 10_000
AT_ONCE = 16


@pytest.fixture
def server(make_server: MakeServer) -> Iterator[BerthServer]:
    made = make_server(BERTH_WORKERS="2")
    made.manage("prepare")
    made.start()
    yield made


@pytest.fixture
def pushed(server: BerthServer, http: httpx.Client) -> tuple[RegistryClient, str]:
    admin = admin_of(server, http)
    name = make.unique("admin/counted")
    admin.push(f"{name}:v1", image())
    return admin, name


def pull_often(client: RegistryClient, name: str, times: int) -> None:
    token = client.token(f"repository:{name}:pull")

    def pull(_: int) -> int:
        answer = client.get(f"/v2/{name}/manifests/v1", token=token)
        return answer.status_code

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert set(pool.map(pull, range(times))) == {200}


def counted(server: BerthServer) -> tuple[int, int]:
    """Return the pulls by the days, and by the repository."""
    [(days,)] = rows(server, "SELECT SUM(pull_count) FROM repositories_dailypulls")
    [(total,)] = rows(server, "SELECT SUM(pull_count) FROM repositories_repository")
    return int(days or 0), int(total or 0)


def count_abandoned(server: BerthServer) -> None:
    server.manage("shell", "--no-imports", "-c", COUNT_ABANDONED)


def test_concurrent_pulls_count_exactly_although_server_and_worker_are_killed(
    server: BerthServer, pushed: tuple[RegistryClient, str]
) -> None:
    """10,000 pulls; the server dies twice, and a worker when it has counted a file."""
    pull_often(*pushed, PULLS // 2)
    server.kill()
    with Process(server, "worker", BERTH_CRASH_AT="C27") as doomed:
        server.manage("shell", "--no-imports", "-c", ASK_WORKER)
        deadline = time.monotonic() + 60
        while doomed.is_running():
            assert time.monotonic() < deadline, "it had nothing to count"
            time.sleep(0.1)
    server.start()
    pull_often(*pushed, PULLS // 2)
    server.kill()
    count_abandoned(server)
    assert counted(server) == (PULLS, PULLS)
    count_abandoned(server)
    assert counted(server) == (PULLS, PULLS)


def test_a_batch_whose_counter_was_killed_is_counted_once(
    server: BerthServer, pushed: tuple[RegistryClient, str]
) -> None:
    server.kill()
    server.environment["BERTH_CRASH_AT"] = "C27"
    server.start()
    client, name = pushed
    for _ in range(20):  # who counts wakes two seconds after the first pull: be quick
        assert client.head(f"/v2/{name}/manifests/v1").status_code == 200
    pull_often(*pushed, 20)
    # Whoever counts dies when the rows are written and the file is still there.
    with pytest.raises(RuntimeError):
        for _ in range(2):  # the server may have died of it already
            count_abandoned(server)
            server.kill()
    server.kill()
    server.environment["BERTH_CRASH_AT"] = ""
    count_abandoned(server)
    assert counted(server) == (20, 20)


def test_a_recount_changes_nothing_that_adds_up(
    server: BerthServer, pushed: tuple[RegistryClient, str]
) -> None:
    pull_often(*pushed, 10)
    server.kill()
    count_abandoned(server)
    recount = (
        "from repositories.pulls.counting import recount_pulls as r; "
        "from repositories.models import Repository; "
        "print(r()); Repository.objects.update(pull_count=99); print(r(), r())"
    )
    printed = server.manage("shell", "--no-imports", "-c", recount)
    assert printed.split()[-3:] == ["0", "1", "0"]
    assert counted(server) == (10, 10)


def test_a_folder_that_cannot_be_written_to_stops_no_pull(
    server: BerthServer, pushed: tuple[RegistryClient, str]
) -> None:
    (server.data_folder / "pulls").write_text("a file where the folder should be")
    pull_often(*pushed, 5)
    assert "pulls are not counted" in server.log_tail()
