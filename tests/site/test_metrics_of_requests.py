"""Requests, bytes and the store's work are counted, for all workers of a node."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from distribution.storage.observation import OPERATIONS
from registry_site.server.request_metrics import (
    ENDPOINTS,
    METHODS,
    STATUSES,
    group_of_page,
)
from tests.registry_client import RegistryClient
from tests.servers import BerthServer, children_of

pytestmark = pytest.mark.own_database

SECRET = "a token for the scraper"
PASSWORD = "a long password for numbers"
NAME = "admin/counted"
BLOB = os.urandom(300_000)
Samples = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BerthServer]:
    server = BerthServer(
        data_folder=tmp_path_factory.mktemp("counted"),
        BERTH_METRICS_TOKEN=SECRET,
        BERTH_ADMIN_PASSWORD=PASSWORD,
        BERTH_PUSH_VISIBILITY="public",
    )
    server.manage("prepare")
    with server:
        yield server


@pytest.fixture(scope="module")
def admin(server: BerthServer) -> Iterator[RegistryClient]:
    with httpx.Client(timeout=60) as http:
        yield RegistryClient(http, server.url, "admin", PASSWORD)


def scrape(server: BerthServer) -> Samples:
    """Return the samples by name and label values, by a connection of its own."""
    headers = {"Authorization": f"Bearer {SECRET}"}
    answer = httpx.get(f"{server.url}/metrics", headers=headers, timeout=60)
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def grown(before: Samples, after: Samples) -> Samples:
    """Return what has grown, and by how much."""
    return {
        key: value - before.get(key, 0)
        for key, value in after.items()
        if value > before.get(key, 0)
    }


def wait_for(server: BerthServer, wanted: Callable[[Samples], bool]) -> Samples:
    """Scrape until it is as wanted, also while no worker listens."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            samples = scrape(server)
            if wanted(samples):
                return samples
        time.sleep(0.1)
    raise AssertionError("not within a minute")


def test_a_push_and_a_pull_are_counted(
    server: BerthServer, admin: RegistryClient
) -> None:
    admin.pull_blob(NAME, admin.push_blob(NAME, b"another"))  # the client has tokens
    before = scrape(server)
    digest = admin.push_blob(NAME, BLOB)
    assert admin.pull_blob(NAME, digest) == BLOB
    counted = grown(before, scrape(server))
    name = "berth_http_requests_total"
    assert counted[name, "v2_upload_start", "POST", "202"] == 1
    assert counted[name, "v2_upload", "PUT", "201"] == 1
    assert counted[name, "v2_blob", "GET", "200"] == 1
    assert counted[name, "metrics", "GET", "200"] == 1
    assert counted["berth_http_received_bytes_total", "v2_upload"] == len(BLOB)
    assert counted["berth_http_sent_bytes_total", "v2_blob"] == len(BLOB)
    duration = "berth_http_request_duration_seconds"
    assert counted[f"{duration}_count", "v2_blob"] == 1
    assert counted[f"{duration}_bucket", "v2_blob", "+Inf"] == 1
    assert 0 < counted[f"{duration}_sum", "v2_blob"] < 60
    store = "berth_store_operations_total"
    for operation in ("write", "commit", "finish", "open"):
        assert counted[store, operation] >= 1, operation
    assert not any(key[0] == "berth_store_errors_total" for key in counted)


def test_what_the_store_fails_is_an_error_of_the_store(
    server: BerthServer, admin: RegistryClient
) -> None:
    digest = admin.push_blob(NAME, b"soon gone")
    [path] = (server.data_folder / "blobs").glob(f"*/*/{digest.split(':')[1]}.*")
    path.unlink()
    before = scrape(server)
    token = admin.token(f"repository:{NAME}:pull")
    url = f"{server.url}/v2/{NAME}/blobs/{digest}"
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(url, headers=headers, timeout=60).status_code >= 400
    counted = grown(before, scrape(server))
    assert counted["berth_store_errors_total", "open"] >= 1
    assert (
        counted["berth_store_operations_total", "open"]
        == counted["berth_store_errors_total", "open"]
    )


def test_no_client_makes_series(server: BerthServer) -> None:
    """Labels come from fixed lists, whatever methods, paths and statuses are asked."""

    def ask_strangely(word: str) -> None:
        with httpx.Client(timeout=60) as http:
            for method in ("GET", f"X{word}", f"get{word}", "TRACE", "OPTIONS"):
                for path in ("/v2", f"/v2/{word}", f"/v1/{word}/x", f"/{word}/{word}"):
                    http.request(method, f"{server.url}{path}?{word}=1")
            http.get(f"{server.url}/-/{word}")
            http.get(f"{server.url}//{word}//-//")

    for word in ("first", "22%0a", "v2_manifest"):
        ask_strangely(word)
    keys = set(scrape(server))
    for word in ("second", "22%0d", "v2_blob", *(f"w{n}" for n in range(5))):
        ask_strangely(word)
    assert not set(scrape(server)) - keys
    for name, *labels in keys:
        if name == "berth_http_requests_total":
            endpoint, method, status = labels
            assert endpoint in ENDPOINTS
            assert method in METHODS
            assert status in map(str, STATUSES)
    assert {labels[0] for name, *labels in keys if "store_op" in name} == {*OPERATIONS}


def workers_of(server: BerthServer) -> set[int]:
    """Return the web workers: forks that serve, each of several threads."""
    assert server.process is not None
    return {
        pid
        for pid in children_of(server.process.pid)
        if len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    }


def test_totals_stay_when_a_worker_is_killed(
    server: BerthServer, admin: RegistryClient
) -> None:
    """Counters never go back, and uploads of a lost worker are not counted (E11)."""
    for _ in range(20):
        httpx.get(f"{server.url}/healthz", timeout=60)
    probes = ("berth_http_requests_total", "probes", "GET", "200")
    uploads = ("berth_http_uploads_in_progress",)
    before = scrape(server)
    assert before[probes] >= 20
    location = admin.start_upload(NAME)
    token = admin.token(f"repository:{NAME}:pull,push")

    def half_a_body() -> Iterator[bytes]:
        yield b"x" * 70_000
        assert wait_for(server, lambda samples: samples[uploads] == 1)
        former = workers_of(server)
        assert len(former) == 2
        for pid in former:
            os.kill(pid, signal.SIGKILL)
        wait_for(server, lambda _: len(workers_of(server) - former) == 2)
        yield b"y"

    url = location if location.startswith("http") else f"{server.url}{location}"
    with suppress(httpx.TransportError):
        headers = {"Authorization": f"Bearer {token}"}
        httpx.patch(url, content=half_a_body(), headers=headers, timeout=60)
    after = wait_for(server, lambda samples: samples[uploads] == 0)
    for key, value in before.items():
        if key[0].endswith(("_total", "_bucket", "_count", "_sum")):
            assert after[key] >= value, key
    httpx.get(f"{server.url}/healthz", timeout=60)
    assert scrape(server)[probes] == after[probes] + 1


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("/", "explore"),
        ("/search", "explore"),
        ("/-/assets/berth.css", "assets"),
        ("/-/admin/", "admin"),
        ("/-/", "pages"),
        ("/api/v1/user", "api"),
        ("/accounts/login/", "sign_in"),
        ("/readyz/pulls", "probes"),
        ("/acme/api", "pages"),
        ("//metrics", "pages"),
        ("", "pages"),
        ("*", "pages"),
    ],
)
def test_pages_are_counted_in_groups(path: str, group: str) -> None:
    assert group_of_page(path) == group
