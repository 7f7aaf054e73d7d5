"""The thread that looks after the connections of a web worker, without the worker.

Both ends of each connection belong to the test, so what the server holds is known.
"""

import errno
import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from registry_site.server import connections
from registry_site.server.connections import Connections
from registry_site.server.whole_files import WholeFiles, client_name

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="the kernel is asked as on Linux"
)


class Ends:
    """Clients of a port, and the server's ends of their connections."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port: int = self._listener.getsockname()[1]

    def connect(self) -> tuple[socket.socket, socket.socket]:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self._stack.enter_context(client)
        server, _ = self._listener.accept()
        self._stack.enter_context(server)
        return client, server


@pytest.fixture
def ends() -> Iterator[Ends]:
    with ExitStack() as stack:
        yield Ends(stack)


def is_over(client: socket.socket) -> bool:
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    return bool(poll.poll(0))


def test_a_client_that_closed_its_direction_counts_like_any_other(
    ends: Ends, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can still read, so the server holds its connection and its answer."""
    settings.BERTH_CONNECTIONS_PER_ADDRESS = 2
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.05)
    clients = [ends.connect()[0] for _ in range(6)]
    for client in clients:
        client.shutdown(socket.SHUT_WR)
    time.sleep(0.2)
    Connections(ends.port).look()
    assert sum(map(is_over, clients)) == 4


def test_a_connection_that_could_not_be_looked_at_keeps_its_memory_counted(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that has no file left cannot tell whether its client reads."""
    files = WholeFiles()
    files.is_watched = True
    monkeypatch.setattr(connections, "whole_files", files)
    monkeypatch.setattr(connections, "DRAINED_SECONDS", 0)
    client, _ = ends.connect()
    name = client_name(*client.getsockname())
    assert files.enter(name, 1)
    files.sent(name)

    def fail(_: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as full:
        full.setattr(os, "dup", fail)
        Connections(ends.port).look()
    assert files.held_bytes == 1
    Connections(ends.port).look()
    assert files.held_bytes == 0


def test_no_number_is_kept_of_what_is_no_socket(tmp_path: Path) -> None:
    """A connection may end before it is looked at, and a file get its number."""
    with (tmp_path / "file").open("wb") as file:
        before = os.listdir("/proc/self/fd")
        with suppress(OSError), connections._borrowed(file.fileno()):
            pytest.fail("a file was taken for a socket")
        assert os.listdir("/proc/self/fd") == before
