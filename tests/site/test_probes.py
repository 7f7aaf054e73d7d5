"""Probes and scrapers are answered by whatever name or address they call a node."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import BerthServer

PUBLIC = "https://registry.example.com"
ANSWERS = {"/healthz": 200, "/readyz": 200, "/readyz/pulls": 200, "/metrics": 401}
HOSTS = [
    "10.0.0.7:8000",
    "[fd00::7]:8000",
    "berth-web-0.berth.default.svc.cluster.local",
    "a_b c",
    "elsewhere.example:99999",
    "",
]


@pytest.fixture(scope="module")
def behind_proxy(registry: BerthServer) -> Iterator[BerthServer]:
    """The tests' data, served by plain HTTP behind a proxy that ends TLS."""
    with BerthServer(
        data_folder=Path(os.environ["BERTH_DATA"]),
        database_url=os.environ.get("DATABASE_URL"),
        BERTH_URL=PUBLIC,
        BERTH_TRUSTED_PROXIES="127.0.0.0/8",
        BERTH_METRICS_TOKEN="t" * 20,
    ) as server:
        yield server


def ask(server: BerthServer, request: str) -> str:
    """Send a request as it is, and return the first line and the headers."""
    address = ("127.0.0.1", server.port)
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode())
        answer = b""
        while b"\r\n\r\n" not in answer and (piece := connection.recv(65536)):
            answer += piece
    return answer.decode(errors="replace").partition("\r\n\r\n")[0]


@pytest.mark.parametrize("path", ANSWERS)
def test_probes_need_no_known_host(behind_proxy: BerthServer, path: str) -> None:
    """No Host leads to a refusal or a redirect, also where BERTH_URL is https."""
    for host in HOSTS:
        for more in ({}, {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "x y"}):
            answer = httpx.get(
                f"{behind_proxy.url}{path}", headers={"Host": host, **more}, timeout=60
            )
            assert answer.status_code == ANSWERS[path], (host, more)
            assert "Location" not in answer.headers
    page = httpx.get(behind_proxy.url, headers={"Host": HOSTS[0]}, timeout=60)
    assert page.status_code == 400, "pages still need the known host"


@pytest.mark.parametrize("path", ANSWERS)
def test_probes_need_no_host_at_all(behind_proxy: BerthServer, path: str) -> None:
    """HTTP/1.0 needs no Host header, and simple probes send none."""
    for version in ("HTTP/1.0\n\n", "HTTP/1.0\nX-Forwarded-For: 10.9.8.7\n\n"):
        answer = ask(behind_proxy, f"GET {path} {version}")
        status = answer.partition("\r\n")[0].split()[1]
        assert int(status) == ANSWERS[path], answer
        assert "\nlocation:" not in answer.lower()


def test_a_scraper_calls_a_node_by_its_address(behind_proxy: BerthServer) -> None:
    headers = {"Host": HOSTS[0], "Authorization": f"Bearer {'t' * 20}"}
    answer = httpx.get(f"{behind_proxy.url}/metrics", headers=headers, timeout=60)
    assert answer.status_code == 200
    assert "berth_info" in answer.text
