"""The database goes away and comes back (DB1, DB3, DB4): 503, and no restart."""

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psycopg2
import pytest

from tests.faults.conftest import ADMIN, MakeServer, admin_of
from tests.images import image
from tests.registry_client import RegistryClient, error_codes
from tests.servers import BerthServer, Postgres, run_postgres_with_tables

pytestmark = pytest.mark.own_database

RECOVERY_SECONDS = 10
CONNECTIONS = 30
SIGN_IN = """
from django.conf import settings
from accounts.models import User
from tests.pages import session_cookie
admin = User.objects.get(username="admin")
print(f"{settings.SESSION_COOKIE_NAME}={session_cookie(admin)}")
"""


@pytest.fixture
def name() -> str:
    return f"{ADMIN}/app"


def test_without_its_database_the_registry_says_so_and_recovers(
    make_server: MakeServer, http: httpx.Client, tmp_path: Path, name: str
) -> None:
    """DB1, DB3, DB4: 503 with Retry-After; back within ten seconds; nothing is lost."""
    with run_postgres_with_tables(
        tmp_path / "postgres", max_connections=CONNECTIONS
    ) as postgres:
        server = make_server()
        server.environment["DATABASE_URL"] = postgres.url("berth")
        server.manage("prepare")
        with server:
            client = admin_of(server, http)
            pushed = image()
            client.push(f"{name}:v1", pushed)
            client.pull(f"{name}:v1")
            session = server.manage("shell", "--no-imports", "-c", SIGN_IN).split()[-1]
            postgres.stop()
            assert_unavailable(client, name)
            assert_pages_are_unavailable(server, client, session)
            assert http.get(f"{server.url}/healthz").status_code == 200
            assert http.get(f"{server.url}/readyz").status_code == 503
            postgres.start()
            wait_until_ready(server, http)
            assert client.pull(f"{name}:v1").payload == pushed.payload
            client.push(f"{name}:v2", image())
            cookies = {"Cookie": session}
            assert http.get(f"{server.url}/", headers=cookies).status_code == 200
            assert_acknowledged_pushes_stay(server, client, postgres, name, http)
            assert_taken_connections_are_no_server_error(server, client, postgres, name)


def assert_acknowledged_pushes_stay(
    server: BerthServer,
    client: RegistryClient,
    postgres: Postgres,
    name: str,
    http: httpx.Client,
) -> None:
    """A restart during pushes loses no manifest that was answered 201 (DB3)."""
    pushed = image()
    client.push(f"{name}:v3", pushed)
    acknowledged: list[str] = []
    others: set[int] = set()
    stopping = threading.Event()
    token = client.token(f"repository:{name}:pull,push")

    def push() -> None:
        for number in itertools.count():
            if stopping.is_set():
                return
            answer = httpx.put(
                f"{server.url}/v2/{name}/manifests/restart-{number}",
                content=pushed.payload,
                headers={
                    "Content-Type": pushed.media_type,
                    "Authorization": f"Bearer {token}",
                },
                timeout=60,
            )
            if answer.status_code == 201:
                acknowledged.append(f"restart-{number}")
            else:
                others.add(answer.status_code)

    pusher = threading.Thread(target=push)
    pusher.start()
    wait_for(lambda: len(acknowledged) > 3)
    postgres.stop()
    wait_for(lambda: bool(others))
    postgres.start()
    wait_until_ready(server, http)
    count = len(acknowledged)
    wait_for(lambda: len(acknowledged) > count + 3)
    stopping.set()
    pusher.join()
    assert others == {503}
    listed = client.get(f"/v2/{name}/tags/list", token=token).json()["tags"]
    assert set(acknowledged) <= set(listed)
    assert client.pull(f"{name}:{acknowledged[-1]}") == pushed


def assert_taken_connections_are_no_server_error(
    server: BerthServer, client: RegistryClient, postgres: Postgres, name: str
) -> None:
    """With all connections in use, a request waits or is 503, never 500 (DB4)."""
    server.stop()
    server.start()  # its threads have no connection yet
    token = client.token(f"repository:{name}:pull")
    with ExitStack() as held:
        with suppress(psycopg2.OperationalError):
            for _ in range(2 * CONNECTIONS):
                taken = psycopg2.connect(postgres.url("berth"))
                held.callback(taken.close)
        answers = set()
        for path in (f"/v2/{name}/tags/list", "/api/v1/repositories", "/", "/readyz"):
            for _ in range(5):
                headers = {"Authorization": f"Bearer {token}"} if "v2" in path else {}
                with httpx.Client(base_url=server.url, timeout=60) as http:
                    answer = http.get(path, headers=headers)
                answers.add(answer.status_code)
                if answer.status_code != 200:
                    assert int(answer.headers["Retry-After"]) > 0, path
        assert 503 in answers
        assert answers <= {200, 503}
    answer = client.get(f"/v2/{name}/tags/list", token=token)
    assert answer.status_code == 200


def wait_for(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_pages_are_unavailable(
    server: BerthServer, client: RegistryClient, session: str
) -> None:
    """Every route answers 503 with Retry-After, in the shape of its kind (E9)."""
    page = {"Cookie": session}
    token = {"Authorization": f"Bearer {client.secret}"}
    basic = httpx.BasicAuth(client.username, client.secret)
    for method, path, headers in (
        ("GET", "/", page),
        ("GET", "/", {}),
        ("GET", f"/{ADMIN}", {}),
        ("GET", f"/{ADMIN}/app", page),
        ("GET", f"/{ADMIN}/app/-/settings", page),
        ("POST", f"/{ADMIN}/app/-/settings", page),
        ("GET", "/no/such/page", {}),
        ("GET", "/search?q=app", {}),
        ("GET", "/-/admin/site/", page),
        ("GET", "/-/admin/", page),
        ("GET", "/metrics", page),
        ("GET", "/accounts/email/", page),
        ("GET", "/api/v1/user", token),
        ("GET", "/api/v1/repositories", token),
        ("GET", "/api/v1/repositories", {}),
        ("POST", "/api/v1/organizations", token),
        ("GET", "/v1/search?q=app", {}),
        ("GET", f"/v2/token?service=x&scope=repository:{ADMIN}/app:pull", None),
    ):
        with httpx.Client(base_url=server.url, timeout=60) as http:
            auth = basic if headers is None else None
            answer = http.request(method, path, headers=headers, auth=auth)
        if answer.status_code in {403, 404} and method == "POST":
            continue  # refused before anything was read
        assert answer.status_code == 503, (method, path, answer.text[-300:])
        assert int(answer.headers["Retry-After"]) > 0, path
        if path.startswith("/api/"):
            [error] = answer.json()["errors"]
            assert error["code"] == "unavailable"
        elif not path.startswith(("/v1/", "/v2/")):
            assert "does not answer" in answer.text, path
    assert "Traceback" not in server.log_tail()


def assert_unavailable(client: RegistryClient, name: str) -> None:
    pull = client.token_for(name, "GET")
    push = client.token_for(name, "PUT")
    for method, path, token in (
        ("GET", f"/v2/{name}/manifests/v1", pull),
        ("HEAD", f"/v2/{name}/manifests/v1", pull),
        ("GET", f"/v2/{name}/tags/list", pull),
        ("POST", f"/v2/{name}/blobs/uploads/", push),
        ("PUT", f"/v2/{name}/manifests/v2", push),
    ):
        response = client.request(method, path, token=token, expect_5xx=True)
        assert response.status_code == 503, (method, path)
        assert int(response.headers["Retry-After"]) > 0
        if method != "HEAD":
            assert error_codes(response) == ["UNAVAILABLE"]
    # Nothing is asked of the database here.
    assert client.get("/v2/", token="").status_code == 401
    assert client.get("/v2/", token=pull).status_code == 200


def wait_until_ready(server: BerthServer, http: httpx.Client) -> None:
    deadline = time.monotonic() + RECOVERY_SECONDS
    while http.get(f"{server.url}/readyz").status_code != 200:
        assert time.monotonic() < deadline, "it did not recover by itself"
        time.sleep(0.1)
