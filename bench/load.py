"""Generate load and count what comes back."""

import re
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

from bench.wire import BUFFER_BYTES, Connection, UnexpectedAnswer

WRK = shutil.which("wrk")
CONNECTIONS = 16


def requests_per_second(
    *,
    port: int,
    method: str,
    target: str,
    headers: dict[str, str],
    expect: int,
    seconds: float,
) -> float:
    """Ask the same thing over 16 connections for some seconds.

    By wrk where it is; it never sees the end of an answer to HEAD, so those are asked
    by the slower generator below, for every registry.
    """
    with Connection(port) as connection:
        connection.request(method, target, expect=expect, headers=headers)
    if WRK is not None and method == "GET":
        return _by_wrk(port, target, headers, expect, seconds)
    return _by_python(port, method, target, headers, expect, seconds)


def _by_wrk(
    port: int, target: str, headers: dict[str, str], expect: int, seconds: float
) -> float:
    words = [word for pair in headers.items() for word in ("-H", ": ".join(pair))]
    assert WRK is not None, "the caller looked"
    done = subprocess.run(
        [
            WRK,
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{max(1, round(seconds))}s",
            "-H",
            f"Host: localhost:{port}",
            *words,
            f"http://127.0.0.1:{port}{target}",
        ],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=True,
    )
    rate = re.search(r"Requests/sec:\s*([\d.]+)", done.stdout)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    if rate is None or (refused is not None and expect < 400):
        raise UnexpectedAnswer(f"{target}: {done.stdout}")
    return float(rate[1])


def _by_python(
    port: int,
    method: str,
    target: str,
    headers: dict[str, str],
    expect: int,
    seconds: float,
) -> float:
    """Ask over 16 connections of one process, which reads no more than it must."""
    receiver, sender = get_context("fork").Pipe(duplex=False)
    process = get_context("fork").Process(
        target=_hammer, args=(port, method, target, headers, expect, seconds, sender)
    )
    process.start()
    answered, duration = receiver.recv()
    process.join()
    return float(answered / duration)


def _hammer(
    port: int,
    method: str,
    target: str,
    headers: dict[str, str],
    expect: int,
    seconds: float,
    sender: object,
) -> None:
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    for _ in range(CONNECTIONS):
        connection = Connection(port)
        request = connection.head_of(method, target, headers)
        sockets[connection.socket.fileno()] = connection.socket
        poll.register(connection.socket, select.EPOLLIN)
    lengths = dict.fromkeys(sockets, 0)
    good = b"HTTP/1.1 %d" % expect
    answered = 0
    started = time.perf_counter()
    for each in sockets.values():
        each.sendall(request)
    while time.perf_counter() - started < seconds:
        for number, _ in poll.poll(1):
            arrived = sockets[number].recv(65536)
            if not lengths[number]:  # the first piece of an answer has its head
                assert arrived.startswith(good), arrived[:200]
                lengths[number] = _length(arrived, method)
            lengths[number] -= len(arrived)
            if lengths[number] <= 0:
                lengths[number] = 0
                answered += 1
                sockets[number].send(request)
    duration = time.perf_counter() - started
    sender.send((answered, duration))  # type: ignore[attr-defined]


def _length(arrived: bytes, method: str) -> int:
    head, end, _ = arrived.partition(b"\r\n\r\n")
    body = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return len(head) + len(end) + (int(body[1]) if body and method != "HEAD" else 0)


def in_threads(count: int, work: Callable[[int], object]) -> float:
    """Run work(0) .. work(count - 1) at once; return the seconds until all are done."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    duration = time.perf_counter() - started
    if failures:
        raise failures[0]
    return duration


def download(
    connect: Callable[[], Connection], target: str, *, clients: int, times: int
) -> float:
    """GET a blob over some connections; return bytes per second."""
    received = [0] * clients

    def work(number: int) -> None:
        buffer = bytearray(BUFFER_BYTES)
        with connect() as connection:
            for _ in range(times):
                received[number] += connection.drain(target, buffer)

    seconds = in_threads(clients, work)
    return sum(received) / seconds


def temporary_folder(parent: Path | None = None) -> Path:
    """Make a folder for a run; the caller removes it."""
    return Path(tempfile.mkdtemp(prefix="berth-bench-", dir=parent))
