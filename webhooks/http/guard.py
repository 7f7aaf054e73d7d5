"""The connection of an attempt: to an address that was judged, until the deadline.

It goes to no proxy and to no other address than one that webhooks may reach
(webhooks/http/addresses.py), whatever the name resolves to a moment later.
"""

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any

import certifi
import httpcore
import httpx

from webhooks.failures import FailureReason
from webhooks.http.addresses import Network, is_allowed

log = logging.getLogger(__name__)

CONNECT_SHARE_SECONDS = 4.0  # for an address, when there is another one to try


class Failed(Exception):
    """The reason why there was no answer."""

    def __init__(self, problem: FailureReason, reason: str) -> None:
        super().__init__(reason)
        self.problem = problem
        self.reason = reason


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to judged addresses only, and until the deadline only."""

    def __init__(
        self, deadline: float, timeout_seconds: float, networks: Sequence[Network]
    ) -> None:
        self.deadline = deadline
        self.timeout_seconds = timeout_seconds
        self.networks = networks
        self.address: str | None = None
        self.host = ""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        self.host = host
        found = self.resolve(host, port)
        allowed = [
            (family, address)
            for family, address in found
            if is_allowed(plain_address(address), self.networks)
        ]
        if not allowed:
            # Which one is for those who read the log: others could map a network so.
            address = plain_address(found[0][1])
            log.warning("%s is %s, which webhooks may not reach", host, address)
            raise Failed(
                FailureReason.FORBIDDEN,
                f"{host} has an address that webhooks may not reach; an administrator "
                "can allow its network (BERTH_WEBHOOK_ALLOWED_NETWORKS)",
            )
        failure: OSError | None = None
        for number, (family, address) in enumerate(allowed, start=1):
            self.address = plain_address(address)
            left = self.seconds_left("connecting")
            if number < len(allowed):
                left = min(left, CONNECT_SHARE_SECONDS)
            try:
                return _DeadlineStream(self.connect(family, address, left), self)
            except OSError as error:
                failure = error
        assert failure is not None, "the loop returned unless every address failed"
        raise self.connect_failure(failure)

    def resolve(self, host: str, port: int) -> list[tuple[int, Any]]:
        """Return the addresses of a name, within a timeout that the resolver lacks."""
        answers: SimpleQueue[list[tuple[int, Any]] | OSError | UnicodeError] = (
            SimpleQueue()
        )

        def ask() -> None:
            try:
                rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                answers.put([(int(row[0]), row[4]) for row in rows])
            except (OSError, UnicodeError) as error:
                answers.put(error)

        left = self.seconds_left("looking up the name")
        threading.Thread(target=ask, name="resolver", daemon=True).start()
        try:
            answer = answers.get(timeout=left)
        except Empty:
            raise self.too_late("looking up the name") from None
        if isinstance(answer, Exception) or not answer:
            why = getattr(answer, "strerror", None) or "no address"
            raise Failed(
                FailureReason.NAME, f"the name {host} cannot be looked up: {why}"
            ) from None
        return answer

    def connect(self, family: int, address: Any, left: float) -> socket.socket:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(left)
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connection.close()
            raise
        return connection

    def connect_failure(self, error: OSError) -> Failed:
        if isinstance(error, TimeoutError):
            return self.too_late("connecting")
        if isinstance(error, ConnectionRefusedError):
            return Failed(
                FailureReason.REFUSED,
                f"{self.host} ({self.address}) refused the connection",
            )
        return Failed(
            FailureReason.UNREACHABLE,
            f"{self.host} ({self.address}) cannot be reached: {error.strerror}",
        )

    def seconds_left(self, doing: str) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self.too_late(doing)
        return left

    def too_late(self, doing: str) -> Failed:
        return Failed(
            FailureReason.TIMEOUT,
            f"{doing} took longer than the {self.timeout_seconds:g} seconds that "
            "there are in all",
        )


class _DeadlineStream(httpcore.NetworkStream):
    """A socket whose every step is over at the deadline of the attempt."""

    def __init__(self, connection: socket.socket, backend: GuardedBackend) -> None:
        self.connection = connection
        self.backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self.step("waiting for the answer"):
            return self.connection.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        while buffer:
            with self.step("sending the request"):
                buffer = buffer[self.connection.send(buffer) :]

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        host = server_hostname or self.backend.host
        try:
            with self.step("agreeing on TLS"):
                wrapped = ssl_context.wrap_socket(
                    self.connection, server_hostname=server_hostname
                )
        except ssl.SSLCertVerificationError as error:
            raise Failed(
                FailureReason.TLS,
                f"the certificate of {host} is not trusted: {error.verify_message}",
            ) from error
        except (ssl.SSLError, OSError) as error:
            why = (
                getattr(error, "reason", None)
                or error.strerror
                or "the connection was lost"
            )
            raise Failed(
                FailureReason.TLS, f"{host} and Berth agree on no TLS version: {why}"
            ) from error
        return _DeadlineStream(wrapped, self.backend)

    def close(self) -> None:
        self.connection.close()

    def get_extra_info(self, info: str) -> Any:
        return None

    @contextlib.contextmanager
    def step(self, doing: str) -> Iterator[None]:
        self.connection.settimeout(self.backend.seconds_left(doing))
        try:
            yield
        except TimeoutError:
            raise self.backend.too_late(doing) from None
        except ssl.SSLError:
            if doing == "agreeing on TLS":
                raise
            raise Failed(FailureReason.BROKEN, f"TLS broke while {doing}") from None
        except OSError as error:
            if doing == "agreeing on TLS":
                raise
            raise Failed(
                FailureReason.BROKEN,
                f"the connection broke while {doing}: {error.strerror}",
            ) from error


def plain_address(address: Any) -> str:
    """Return the number of a socket's address, without the scope of IPv6."""
    return str(address[0]).partition("%")[0]


class GuardedTransport(httpx.BaseTransport):
    """httpx over httpcore with a network of our own."""

    def __init__(self, backend: GuardedBackend) -> None:
        self.pool = httpcore.ConnectionPool(
            ssl_context=_tls(), max_connections=1, network_backend=backend
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
            )
        )
        assert isinstance(answer.stream, Iterable), "a stream of bytes"
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Pieces(answer),
        )

    def close(self) -> None:
        self.pool.close()


class _Pieces(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self.answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self.answer.iter_stream()

    def close(self) -> None:
        self.answer.close()


@cache
def _tls() -> ssl.SSLContext:
    """Trust what the machine trusts, and what browsers do."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
