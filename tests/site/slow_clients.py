"""Connections of clients that stop in the middle, by sort.

Each sort is a function that takes a port and returns an open socket on which the client
has done its part for now. ``Slow`` opens many and says what became of them.
"""

import select
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

Sort = Callable[[int], socket.socket]


def say(port: int, text: str, *, buffer_bytes: int = 0) -> socket.socket:
    """Open a connection and send the text, with \\n for the ends of lines."""
    client = socket.socket()
    if buffer_bytes:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    client.settimeout(30)
    client.connect(("127.0.0.1", port))
    client.sendall(text.replace("\n", "\r\n").encode())
    return client


def silence(port: int) -> socket.socket:
    return say(port, "")


def half_headers(port: int) -> socket.socket:
    return say(port, f"GET /healthz HTTP/1.1\nHost: localhost:{port}\nX-A: b")


def half_body(target: str, method: str = "POST", more: str = "") -> Sort:
    """Return a sort that promises 60,000 bytes and sends three."""

    def connect(port: int) -> socket.socket:
        head = f"{method} {target} HTTP/1.1\nHost: localhost:{port}\n{more}"
        form = "Content-Type: application/x-www-form-urlencoded\n"
        return say(port, f"{head}{form}Content-Length: 60000\n\na=b")

    return connect


def half_chunks(target: str, method: str = "POST", more: str = "") -> Sort:
    """Return a sort that sends one chunk and not the last one."""

    def connect(port: int) -> socket.socket:
        head = f"{method} {target} HTTP/1.1\nHost: localhost:{port}\n{more}"
        return say(port, f"{head}Transfer-Encoding: chunked\n\n3\na=b\n")

    return connect


def unread(target: str, more: str = "") -> Sort:
    """Return a sort that asks for something large and reads nothing of it."""

    def connect(port: int) -> socket.socket:
        head = f"GET {target} HTTP/1.1\nHost: localhost:{port}\n{more}\n"
        return say(port, head, buffer_bytes=4096)

    return connect


def unread_and_half_closed(target: str, more: str = "") -> Sort:
    """Return a sort that reads nothing and has closed its own direction.

    A byte of a next request lets the server believe that the client still sends.
    """

    def connect(port: int) -> socket.socket:
        client = unread(target, more)(port)
        client.sendall(b"G")
        client.shutdown(socket.SHUT_WR)
        return client

    return connect


@dataclass
class Slow:
    """Many connections of some sorts; a context manager."""

    port: int
    sorts: list[Sort]
    count: int
    sockets: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> "Slow":
        for number in range(self.count):
            self.sockets.append(self.sorts[number % len(self.sorts)](self.port))
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.sockets:
            client.close()

    def open_count(self) -> int:
        """Return how many the server has not closed."""
        return len(self.sockets) - len(self.closed())

    def closed(self) -> list[int]:
        """Return the numbers of those that the server has closed."""
        return [n for n, client in enumerate(self.sockets) if _is_over(client)]

    def reopen(self, number: int) -> None:
        """Come again in place of one that was closed."""
        self.sockets[number].close()
        self.sockets[number] = self.sorts[number % len(self.sorts)](self.port)


def _is_over(client: socket.socket) -> bool:
    """Tell whether the server hung up; what it sent stays unread."""
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    return bool(poll.poll(0))
