"""One attempt against receivers of every kind (H1, H3, H4; SSRF: no connection).

It holds N4 of reliability.md, too.
"""

import datetime
import json
import logging
import re
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.servers import PROJECT_FOLDER, free_port
from tests.webhooks.conftest import LOOPBACK
from tests.webhooks.forbidden_ranges import ADDRESSES
from tests.webhooks.receivers import LOST, Receiver, run_receiver
from webhooks.failures import FailureReason
from webhooks.http import client, guard
from webhooks.http.client import Outcome


def send(url: str, *, networks: Any = LOOPBACK, seconds: float = 5.0) -> Outcome:
    return client.send(
        url=url,
        headers={"Content-Type": "application/json", "X-A": "b"},
        body='{"a": 1}',
        networks=networks,
        timeout_seconds=seconds,
    )


def test_a_receiver_gets_the_request_as_it_is(receiver: Receiver) -> None:
    outcome = send(f"{receiver.url}/ok?x=1")
    assert outcome.is_delivered, outcome.reason
    assert (outcome.status_code, outcome.address) == (204, "127.0.0.1")
    [request] = receiver.received
    assert request.path == "/ok?x=1"
    assert request.body == b'{"a": 1}'
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == "8"
    assert request.headers["x-a"] == "b"
    assert "cookie" not in request.headers


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503, 599])
def test_an_error_is_a_failure_in_words(receiver: Receiver, status: int) -> None:
    outcome = send(f"{receiver.url}/status/{status}")
    assert outcome.problem == FailureReason.STATUS
    assert str(status) in outcome.reason
    assert outcome.body == "hello"


def test_gone_is_told_apart(receiver: Receiver) -> None:
    assert send(f"{receiver.url}/status/410").problem == FailureReason.GONE


def test_retry_after_is_read(receiver: Receiver) -> None:
    outcome = send(f"{receiver.url}/status/503?Retry-After=120")
    assert outcome.retry_after_seconds == 120


# --- slow, hanging, dripping, huge


@pytest.mark.parametrize("path", ["hang", "drip"])
def test_an_attempt_is_over_in_time(receiver: Receiver, path: str) -> None:
    """H1: a byte now and then does not make it longer."""
    started = time.monotonic()
    outcome = send(f"{receiver.url}/{path}", seconds=1)
    assert time.monotonic() - started < 2
    assert outcome.problem == FailureReason.TIMEOUT
    assert "1 seconds" in outcome.reason


def test_a_receiver_that_does_not_read_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        started = time.monotonic()
        outcome = send(f"http://127.0.0.1:{port}/", seconds=1)
        assert time.monotonic() - started < 2
    assert outcome.problem == FailureReason.TIMEOUT


def test_a_tls_handshake_that_hangs_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        outcome = send(f"https://127.0.0.1:{listener.getsockname()[1]}/", seconds=1)
        assert time.monotonic() - started < 2
    assert outcome.problem == FailureReason.TIMEOUT


def test_a_resolver_that_hangs_is_left_in_time(monkeypatch: Any) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [release.wait(10)][1:])
    started = time.monotonic()
    outcome = send("http://slow.example/", seconds=1)
    release.set()
    assert time.monotonic() - started < 2
    assert outcome.problem == FailureReason.TIMEOUT


def test_of_a_huge_answer_64_kib_are_kept(receiver: Receiver) -> None:
    """H4: and memory does not grow with it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = send(f"{receiver.url}/huge")
    assert outcome.is_delivered
    assert outcome.is_truncated
    assert len(outcome.body) == 64 * 1024
    assert "\0" not in outcome.body  # PostgreSQL keeps none
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 20_000  # KiB


def test_endless_headers_are_a_failure(receiver: Receiver) -> None:
    assert send(f"{receiver.url}/headers").problem == FailureReason.BROKEN


@pytest.mark.parametrize("path", ["garbage", "reset"])
def test_what_is_no_answer_is_a_failure(receiver: Receiver, path: str) -> None:
    assert send(f"{receiver.url}/{path}").problem == FailureReason.BROKEN


# --- what is wrong, in words


def test_nobody_listening_is_said() -> None:
    outcome = send(f"http://127.0.0.1:{free_port()}/")
    assert outcome.problem == FailureReason.REFUSED
    assert "refused" in outcome.reason


def test_a_name_that_is_none_is_said(monkeypatch: Any) -> None:
    def nothing(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    outcome = send("http://nowhere.example/")
    assert outcome.problem == FailureReason.NAME
    assert "nowhere.example" in outcome.reason


def test_a_certificate_that_is_not_trusted_is_said(tmp_path: Path) -> None:
    with run_receiver(tls=self_signed(tmp_path)) as receiver:
        outcome = send(f"{receiver.url}/ok")
        assert receiver.received == []
    assert outcome.problem == FailureReason.TLS
    assert "certificate" in outcome.reason


def test_http_where_tls_was_asked_for_is_said(receiver: Receiver) -> None:
    outcome = send(receiver.url.replace("http:", "https:"))
    assert outcome.problem == FailureReason.TLS


def test_tls_works(tmp_path: Path, monkeypatch: Any) -> None:
    context = self_signed(tmp_path)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    monkeypatch.setattr(guard, "_tls", lambda: trusting)
    with run_receiver(tls=context) as receiver:
        outcome = send(f"https://localhost:{receiver.port}/ok")
    assert outcome.is_delivered, outcome.reason


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    private = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, private, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


# --- where it must not go: the listener sees no connection

REFUSALS = {FailureReason.FORBIDDEN, FailureReason.NAME, FailureReason.SETTINGS}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "127.0.0.1.",
    ],
)
def test_this_machine_is_not_reached(receiver: Receiver, host: str) -> None:
    outcome = send(f"http://{host}:{receiver.port}/ok", networks=[])
    assert outcome.problem in REFUSALS, outcome.reason
    assert receiver.connections == 0


def test_this_machine_is_not_reached_by_ipv6() -> None:
    with run_receiver("::1") as receiver:
        outcome = send(f"http://[::1]:{receiver.port}/ok", networks=[])
        assert outcome.problem == FailureReason.FORBIDDEN
        assert "BERTH_WEBHOOK_ALLOWED_NETWORKS" in outcome.reason
        assert receiver.connections == 0
        assert send(f"http://[::1]:{receiver.port}/ok").is_delivered


def test_a_refusal_does_not_say_what_the_name_means_inside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else whoever may make a webhook could map the network by its names."""
    outcome = send("http://localhost:9/ok", networks=[])
    assert outcome.problem == FailureReason.FORBIDDEN
    assert outcome.address is None
    assert not re.search(r"127\.|::1", outcome.reason)
    assert re.search(r"localhost is (127\.0\.0\.1|::1)", caplog.text)


def test_no_forbidden_range_sees_a_connection() -> None:
    """A listener on every range; by number, by name, by a name that changes."""
    own_network = ["unshare", "--user", "--map-root-user", "--net"]
    try:
        subprocess.run([*own_network, "ip", "link"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network of one's own can be made here: {error}")
    done = subprocess.run(
        [*own_network, sys.executable, "-m", "tests.webhooks.forbidden_ranges"],
        cwd=PROJECT_FOLDER,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["reached when allowed"] == ADDRESSES, "the listener is there"
    assert seen["connections"] == 0
    # A public address is tried, and is not routed in that network.
    for way, problem in seen["problems"].items():
        expected = (
            FailureReason.UNREACHABLE
            if way.startswith("then ")
            else FailureReason.FORBIDDEN
        )
        assert problem == expected, way


def test_an_answer_of_the_dns_that_changes_changes_nothing(
    receiver: Receiver, monkeypatch: Any
) -> None:
    """The first answer is public, the second this machine; only the first is used."""
    asked: list[str] = []
    tried: list[str] = []

    def rebinding(host: str, port: int, *args: Any, **options: Any) -> Any:
        asked.append(host)
        address = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(self: socket.socket, address: Any) -> None:
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(socket.socket, "connect", connect)
    outcome = send(f"http://rebind.example:{receiver.port}/ok", networks=[])
    assert (asked, tried) == (["rebind.example"], ["93.184.215.14"])
    assert outcome.problem == FailureReason.REFUSED
    assert receiver.connections == 0


def test_a_name_with_a_forbidden_address_among_others_does_not_lead_there(
    receiver: Receiver, monkeypatch: Any
) -> None:
    tried: list[str] = []

    def both(host: str, port: int, *args: Any, **options: Any) -> Any:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.1", "93.184.215.14", "169.254.169.254")
        ]

    def connect(self: socket.socket, address: Any) -> None:
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", both)
    monkeypatch.setattr(socket.socket, "connect", connect)
    send(f"http://both.example:{receiver.port}/ok", networks=[])
    assert tried == ["93.184.215.14"]


@pytest.mark.parametrize(
    "status_and_target",
    ["redirect/http://127.0.0.1:{port}/ok", "redirect//ok", "status/307?Location=/ok"],
)
def test_a_redirect_is_not_followed(receiver: Receiver, status_and_target: str) -> None:
    """H3."""
    with run_receiver() as inside:
        path = status_and_target.format(port=inside.port)
        outcome = send(f"{receiver.url}/{path}")
        assert outcome.problem == FailureReason.REDIRECT
        assert inside.connections == 0
    assert len(receiver.received) == 1


@pytest.mark.parametrize("how", LOST)
def test_a_redirect_to_what_is_no_url_is_said(receiver: Receiver, how: str) -> None:
    outcome = send(f"{receiver.url}/lost/{how}")
    assert outcome.problem == FailureReason.REDIRECT, outcome.reason
    assert outcome.status_code == 302


def test_a_retry_after_of_nonsense_is_no_more_than_an_error(receiver: Receiver) -> None:
    asked = "Mon,+01+Jan+2024+00:00:00+%2B99999999999999999999"
    outcome = send(f"{receiver.url}/status/503?Retry-After={asked}")
    assert outcome.problem == FailureReason.STATUS
    assert outcome.headers["retry-after"].endswith("+99999999999999999999")
    assert outcome.retry_after_seconds is None


def test_no_proxy_is_used(receiver: Receiver, monkeypatch: Any) -> None:
    with run_receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        assert send(f"{receiver.url}/ok").is_delivered
        assert proxy.connections == 0


def test_a_url_is_not_logged(receiver: Receiver, caplog: Any) -> None:
    """A webhook's URL may be its only secret, as Slack's is."""
    from django.conf import settings

    loggers: Any = settings.LOGGING["loggers"]
    assert {loggers[name]["level"] for name in ("httpx", "httpcore")} == {"WARNING"}
    with caplog.at_level(logging.WARNING):
        send(f"{receiver.url}/ok/very-secret-path")
        send(f"{receiver.url}/status/500/very-secret-path")
    assert "very-secret-path" not in caplog.text
