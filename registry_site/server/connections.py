"""Closes connections whose client does not take its answer, or has too many of them.

Answers leave through hyper and the kernel, where no Python waits and none could notice
that a client has stopped reading. So a thread asks the kernel about every connection of
the worker (Linux, TCP_INFO) and shuts those down that

* have an answer waiting and took less of it than BERTH_TRANSFER_RATE over
  BERTH_TRANSFER_SECONDS;
* are the idlest of an address that has more than BERTH_CONNECTIONS_PER_ADDRESS. A
  connection that is in use is never one of them, nor is one of a trusted proxy.

It also reports to whole_files.py which connections may still have an answer in memory.

Headers and the pause between two requests have a deadline in hyper
(BERTH_REQUEST_SECONDS), bodies in bodies.py.
"""

import errno
import logging
import os
import socket
import stat
import struct
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from django.conf import settings

from registry_site.server.whole_files import client_name, whole_files

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
LISTEN_SECONDS = 0.05  # until the worker listens
IDLE_SECONDS = 3.0  # without a byte in either direction; less is in use
DRAINED_SECONDS = 1.0  # without a byte and with none waiting: the answer is out
UNSENT_BYTES = 256 * 1024
_TCP_INFO_BYTES = 160
_ESTABLISHED = 1
_CLOSE_WAIT = 8  # the client has closed its direction, and can still read
_OPEN = {_ESTABLISHED, _CLOSE_WAIT}
_NO_FILE_LEFT = {errno.EMFILE, errno.ENFILE}


@dataclass(frozen=True, slots=True)
class Traffic:
    """The kernel's state of a connection (struct tcp_info)."""

    taken_bytes: int  # that the client has acknowledged
    received_bytes: int
    waiting_bytes: int  # that it has not taken yet
    silent_seconds: float  # since data came or went

    @property
    def may_have_more_to_send(self) -> bool:
        """Return whether the server may have bytes that the kernel has not got yet."""
        return self.waiting_bytes > 0 or self.silent_seconds < DRAINED_SECONDS


@dataclass(slots=True)
class _Window:
    started: float
    taken_bytes: int


class Connections:
    """The connections of this worker, as they were at the last look."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._windows: dict[int, _Window] = {}  # of connections that have to take more

    def start(self) -> None:
        if sys.platform == "linux":
            whole_files.is_watched = True
            threading.Thread(
                target=self._watch, name="connections", daemon=True
            ).start()
        else:
            log.warning("slow readers are not noticed on %s", sys.platform)

    def _bound_what_the_kernel_keeps(self) -> bool:
        """Let no connection have more than UNSENT_BYTES that were never sent.

        Otherwise the kernel takes megabytes for each client that does not read, and a
        thousand of them use up the memory that it has for all connections. Connections
        inherit the option from the socket that listens; False if it does not yet.
        """
        is_found = False
        for descriptor in _descriptors():
            with suppress(OSError), _borrowed(descriptor) as listener:
                if (
                    listener.family in {socket.AF_INET, socket.AF_INET6}
                    and listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                    and listener.getsockname()[1] == self._port
                ):
                    listener.setsockopt(
                        socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES
                    )
                    is_found = True
        return is_found

    def _watch(self) -> None:
        while not self._bound_what_the_kernel_keeps():
            time.sleep(LISTEN_SECONDS)
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                self.look()
            except Exception:
                log.exception("could not look after the connections")

    def look(self) -> None:
        """Look at every connection once."""
        now = time.monotonic()
        seen: set[int] = set()
        idle: dict[str, list[tuple[float, int]]] = defaultdict(list)
        counts: dict[str, int] = defaultdict(int)
        busy: set[str] = set()
        is_complete = True
        for descriptor in _descriptors():
            try:
                with _borrowed(descriptor) as connection:
                    if not self._is_of_a_client(connection):
                        continue
                    client = client_name(*connection.getpeername()[:2])
                    traffic = _read_tcp_info(connection)
                    if traffic is None or traffic.may_have_more_to_send:
                        busy.add(client)
                    if traffic is None:
                        continue
                    key = os.fstat(connection.fileno()).st_ino
                    seen.add(key)
                    if self._is_too_slow(key, traffic, now):
                        connection.shutdown(socket.SHUT_RDWR)
                        continue
                    address = connection.getpeername()[0]
                    counts[address] += 1
                    if traffic.silent_seconds > IDLE_SECONDS:
                        idle[address].append((traffic.silent_seconds, descriptor))
            except OSError as error:  # otherwise it has ended
                is_complete = is_complete and error.errno not in _NO_FILE_LEFT
        if is_complete:
            whole_files.release(busy, now)
            self._windows = {k: w for k, w in self._windows.items() if k in seen}
        for address, count in counts.items():
            excess = count - settings.BERTH_CONNECTIONS_PER_ADDRESS
            if excess > 0 and not _is_trusted(address):
                self._close_idlest(
                    address, sorted(idle[address], reverse=True)[:excess]
                )

    def _is_of_a_client(self, connection: socket.socket) -> bool:
        """Return whether it came in by the port, or is the socket that listens."""
        return (
            connection.family in {socket.AF_INET, socket.AF_INET6}
            and connection.getsockname()[1] == self._port
        )

    def _is_too_slow(self, key: int, traffic: Traffic, now: float) -> bool:
        """Return whether a client took too little in the time that it had for it."""
        if not traffic.waiting_bytes:
            self._windows.pop(key, None)
            return False
        window = self._windows.setdefault(key, _Window(now, traffic.taken_bytes))
        seconds = now - window.started
        if seconds < settings.BERTH_TRANSFER_SECONDS:
            return False
        taken = traffic.taken_bytes - window.taken_bytes
        self._windows[key] = _Window(now, traffic.taken_bytes)
        return taken < seconds * settings.BERTH_TRANSFER_RATE

    def _close_idlest(self, address: str, idlest: list[tuple[float, int]]) -> None:
        for _, descriptor in idlest:
            # Its number may be another connection's already, so look again.
            with suppress(OSError), _borrowed(descriptor) as connection:
                if (
                    self._is_of_a_client(connection)
                    and (traffic := _read_tcp_info(connection)) is not None
                    and traffic.silent_seconds > IDLE_SECONDS
                    and connection.getpeername()[0] == address
                ):
                    connection.shutdown(socket.SHUT_RDWR)


def _descriptors() -> Iterator[int]:
    """Yield the open sockets of this process."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if stat.S_ISSOCK(entry.stat().st_mode):
                yield int(entry.name)


def _borrowed(descriptor: int) -> "closing[socket.socket]":
    """Return a connection of the server under another number.

    Shutting it down ends the connection; closing it does not.
    """
    number = os.dup(descriptor)
    try:
        return closing(socket.socket(fileno=number))
    except BaseException:
        os.close(number)
        raise


def _read_tcp_info(connection: socket.socket) -> Traffic | None:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    if len(info) < _TCP_INFO_BYTES - 8 or info[0] not in _OPEN:
        return None
    last_sent, _, last_received = struct.unpack_from("=3I", info, 44)  # milliseconds
    taken, received = struct.unpack_from("=2Q", info, 120)
    unacknowledged = struct.unpack_from("=I", info, 24)[0]  # segments
    not_sent = struct.unpack_from("=I", info, 144)[0]
    return Traffic(
        taken_bytes=taken,
        received_bytes=received,
        waiting_bytes=not_sent + unacknowledged,
        silent_seconds=min(last_sent, last_received) / 1000,
    )


def _is_trusted(address: str) -> bool:
    parsed = ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(mapped in network for network in settings.BERTH_TRUSTED_PROXIES)
