"""Receivers of webhooks: real HTTP servers that answer as their path says.

/ok                 204
/status/503         that status; with ?retry-after=5 that header
/redirect/<url>     302 to the URL that follows
/lost/<how>         302 to what is no URL: LOST says which
/huge               200 and a body without end
/headers            200 and 200 KiB of headers
/drip               200 and one byte each 0.2 s, without end
/echo               400 and the headers of the request, as text and as headers
/hang               takes the request and says nothing
/moody              204, and says nothing once ``is_hanging`` is set
/stumble            500 to the first request, 204 to the others
/garbage            says something that is not HTTP
/reset              takes the request and cuts the connection
"""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

WAIT_SECONDS = 60
LOST = {
    "bracket": "http://[::bad",
    "long": f"http://{'x' * 70_000}/",
    "idna": "http://xn--\xff.example/",
    "port": "http://127.0.0.1:99999/",
    "text": "\xff\xfe",
}


@dataclass(frozen=True)
class Received:
    """One request, as it came."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    at: float


@dataclass
class Receiver:
    """What came, and where to send it."""

    url: str
    port: int
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    is_hanging: threading.Event = field(default_factory=threading.Event)

    def wait_for(
        self, count: int = 1, *, timeout_seconds: float = WAIT_SECONDS
    ) -> list[Received]:
        """Return what came once it is so many, or fail."""
        self.wait_until(lambda: len(self.received) >= count, timeout_seconds)
        return self.received

    def wait_until(
        self, is_true: Callable[[], bool], timeout_seconds: float = WAIT_SECONDS
    ) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not is_true():
            assert time.monotonic() < deadline, f"only {len(self.received)} came"
            time.sleep(0.01)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            return  # the sender was killed in the middle: nobody was told anything
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.received.append(Received(self.path, headers, body, time.time()))
        self.close_connection = True
        parts = urlsplit(self.path)
        words = parts.path.strip("/").split("/")
        with contextlib.suppress(OSError):  # the other side may have hung up
            getattr(self, f"answer_{words[0]}", self.answer_ok)(words, parts.query)

    do_GET = do_POST

    def say(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def answer_ok(self, words: list[str], query: str) -> None:
        self.say(204)

    def answer_status(self, words: list[str], query: str) -> None:
        wanted = {name: values[0] for name, values in parse_qs(query).items()}
        self.say(int(words[1]), {**wanted, "Content-Length": "5"})
        self.wfile.write(b"hello")

    def answer_redirect(self, words: list[str], query: str) -> None:
        self.say(302, {"Location": self.path.removeprefix("/redirect/")})

    def answer_lost(self, words: list[str], query: str) -> None:
        self.say(302, {"Location": LOST[words[1]]})

    def answer_huge(self, words: list[str], query: str) -> None:
        self.say(200)
        while not self.receiver.stopping.is_set():
            self.wfile.write(b"\0" + b"x" * 65_535)

    def answer_headers(self, words: list[str], query: str) -> None:
        self.say(200, {f"X-{n}": "x" * 1000 for n in range(200)})

    def answer_drip(self, words: list[str], query: str) -> None:
        self.say(200)
        while not self.receiver.stopping.wait(0.2):
            self.wfile.write(b".")
            self.wfile.flush()

    def answer_echo(self, words: list[str], query: str) -> None:
        echoed = {f"X-Echo-{name}": value for name, value in self.headers.items()}
        self.say(400, echoed)
        self.wfile.write(str(self.headers).encode())

    def answer_hang(self, words: list[str], query: str) -> None:
        self.receiver.stopping.wait(30)

    def answer_moody(self, words: list[str], query: str) -> None:
        if self.receiver.is_hanging.is_set():
            self.answer_hang(words, query)
        else:
            self.say(204)

    def answer_stumble(self, words: list[str], query: str) -> None:
        self.say(500 if len(self.receiver.received) == 1 else 204)

    def answer_garbage(self, words: list[str], query: str) -> None:
        self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    def answer_reset(self, words: list[str], query: str) -> None:
        lingering = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
        self.connection.close()

    def log_message(self, *args: Any) -> None:
        pass


# As it was before a test replaced it, for the end of that test.
_connect = socket.socket.connect


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    receiver: Receiver

    def get_request(self) -> tuple[socket.socket, Any]:
        got = super().get_request()
        self.receiver.connections += 1
        return got

    def handle_error(self, *args: Any) -> None:
        pass  # clients that hang up are what some tests are about


class _Server6(_Server):
    address_family = socket.AF_INET6


@contextmanager
def run_receiver(
    address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """Run a receiver on a free port of the address."""
    kind = _Server6 if ":" in address else _Server
    handler = type("Handler", (_Handler,), {})
    with kind((address, 0), handler) as server:
        port = server.server_address[1]
        host = f"[{address}]" if ":" in address else address
        scheme = "https" if tls else "http"
        receiver = Receiver(f"{scheme}://{host}:{port}", port)
        server.receiver = handler.receiver = receiver  # type: ignore[attr-defined]
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)

        def serve() -> None:
            while not receiver.stopping.is_set():
                server.handle_request()  # it waits, and looks at no clock

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.stopping.set()
            while thread.is_alive():  # a connection ends its wait
                with (
                    contextlib.suppress(OSError),
                    socket.socket(server.address_family) as waking,
                ):
                    _connect(waking, (address, port))
                thread.join(1)
