"""Counts are exact after any kill (L6, C27), and a pull never waits for them.

It holds G14 of reliability.md, too.
"""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import httpx
import pytest

from tests import make
from tests.faults.conftest import MakeServer, admin_of
from tests.faults.oracle import rows
from tests.images import image
from tests.registry_client import RegistryClient
from tests.servers import BerthServer, LoadedServer, Process

ASK_WORKER = "from distribution.tasks import count_abandoned_pulls as c; c.delay()"
COUNT_ABANDONED = "from distribution.pulls import count_abandoned as c; print(c())"
PULLS = 10_000
AT_ONCE = 16


@pytest.fixture(scope="module")
def prepared(make_server: MakeServer) -> LoadedServer:
    made = make_server(BERTH_WORKERS="2")
    made.manage("prepare")
    return made


@pytest.fixture
def server(prepared: LoadedServer) -> LoadedServer:
    """The server of the module, which each test kills."""
    if prepared.process is None:
        prepared.start()
    return prepared


@pytest.fixture
def pushed(server: LoadedServer, http: httpx.Client) -> tuple[RegistryClient, str]:
    admin = admin_of(server, http)
    name = make.unique("admin/counted")
    admin.push(f"{name}:v1", image())
    return admin, name


def pull_often(client: RegistryClient, name: str, times: int) -> None:
    """Pull from several connections at once, with a client that costs next to nothing.

    The processor is the server's, which has to count.
    """
    headers = {"Authorization": f"Bearer {client.token(f'repository:{name}:pull')}"}
    address = client.url.removeprefix("http://")

    def pull(count: int) -> set[int]:
        connection = HTTPConnection(address, timeout=60)
        statuses = set()
        for _ in range(count):
            connection.request("GET", f"/v2/{name}/manifests/v1", headers=headers)
            answer = connection.getresponse()
            answer.read()
            statuses.add(answer.status)
        connection.close()
        return statuses

    shares = [len(range(place, times, AT_ONCE)) for place in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert set().union(*pool.map(pull, shares)) == {200}


def counted(server: BerthServer, name: str) -> tuple[int, int]:
    """Return the pulls of a repository, by its days and by itself."""
    namespace, _, rest = name.partition("/")
    [(key, total)] = rows(
        server,
        "SELECT r.id, r.pull_count FROM repositories_repository r "
        "JOIN accounts_namespace n ON n.id = r.namespace_id "
        f"WHERE n.name = '{namespace}' AND r.name = '{rest}'",
    )
    [(days,)] = rows(
        server,
        "SELECT SUM(pull_count) FROM repositories_dailypulls "
        f"WHERE repository_id = {key}",
    )
    return int(days or 0), int(total)


def count_abandoned(server: LoadedServer, **settings: str) -> None:
    server.manage("shell", "--no-imports", "-c", COUNT_ABANDONED, **settings)


def test_concurrent_pulls_count_exactly_although_server_and_worker_are_killed(
    server: LoadedServer, pushed: tuple[RegistryClient, str]
) -> None:
    """10,000 pulls; the server dies twice, and a worker when it has counted a file."""
    _, name = pushed
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
    assert counted(server, name) == (PULLS, PULLS)
    count_abandoned(server)
    assert counted(server, name) == (PULLS, PULLS)


def test_a_batch_whose_counter_was_killed_is_counted_once(
    server: LoadedServer, pushed: tuple[RegistryClient, str]
) -> None:
    server.kill()
    server.environment["BERTH_CRASH_AT"] = "C27"
    server.start()
    del server.environment["BERTH_CRASH_AT"]
    client, name = pushed
    for _ in range(20):  # who counts wakes two seconds after the first pull: be quick
        assert client.head(f"/v2/{name}/manifests/v1").status_code == 200
    pull_often(*pushed, 20)
    # Whoever counts dies when the rows are written and the file is still there.
    with pytest.raises(RuntimeError):
        for _ in range(2):  # the server may have died of it already
            count_abandoned(server, BERTH_CRASH_AT="C27")
            server.kill()
    server.kill()
    count_abandoned(server)
    assert counted(server, name) == (20, 20)


def test_a_recount_changes_nothing_that_adds_up(
    server: LoadedServer, pushed: tuple[RegistryClient, str]
) -> None:
    _, name = pushed
    pull_often(*pushed, 10)
    server.kill()
    count_abandoned(server)
    recount = (
        "from repositories.pulls.counting import recount_pulls as r; "
        "from repositories.models import Repository; print(r()); "
        f"Repository.objects.filter(name={name.partition('/')[2]!r})"
        ".update(pull_count=99); print(r(), r())"
    )
    printed = server.manage("shell", "--no-imports", "-c", recount)
    assert printed.split()[-3:] == ["0", "1", "0"]
    assert counted(server, name) == (10, 10)


def test_a_folder_that_cannot_be_written_to_stops_no_pull(
    server: LoadedServer, pushed: tuple[RegistryClient, str]
) -> None:
    folder = server.data_folder / "pulls"
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("a file where the folder should be")
    log_start = server.log_size()
    pull_often(*pushed, 5)
    assert "pulls are not counted" in server.log_tail(log_start)
    server.kill()
    folder.unlink()
