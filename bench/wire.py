"""One connection of a client that costs as little as Python allows.

The machine that is measured also runs the client, so a client that parses, copies and
allocates would be measured too. Bodies go out from buffers that were made beforehand,
and what is only counted is thrown away by the kernel (MSG_TRUNC).
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit

BUFFER_BYTES = 1024 * 1024
TIMEOUT_SECONDS = 300


class UnexpectedAnswer(Exception):
    """A registry said something else than what a measurement needs."""


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case) and body of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def location(self) -> str:
        """Path and query of where an upload continues; some registries say it whole."""
        parts = urlsplit(self.headers["location"])
        return f"{parts.path}?{parts.query}" if parts.query else parts.path


class Connection:
    """A kept-alive connection to one registry; not for several threads at once."""

    def __init__(self, port: int, token: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.common = f"Host: localhost:{port}\r\n"
        if token:
            self.common += f"Authorization: Bearer {token}\r\n"
        self._left = b""

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def head_of(self, method: str, target: str, headers: dict[str, str]) -> bytes:
        """Return a request's first lines, ready to be sent."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{method} {target} HTTP/1.1\r\n{self.common}{lines}\r\n".encode()

    def request(
        self,
        method: str,
        target: str,
        *,
        expect: int,
        body: bytes = b"",
        chunked: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send a small request and read its answer whole."""
        sent = dict(headers or {})
        if chunked:
            sent["Transfer-Encoding"] = "chunked"
            body = as_chunk(body) + LAST_CHUNK
        elif method not in {"GET", "HEAD"}:
            sent["Content-Length"] = str(len(body))
        self.socket.sendall(self.head_of(method, target, sent) + body)
        return self._answer(method, target, expect)

    def stream(
        self,
        method: str,
        target: str,
        pieces: Iterable[bytes],
        *,
        expect: int,
        headers: dict[str, str],
    ) -> Answer:
        """Send a request with a large body, exactly as it has to stand on the wire."""
        self.socket.sendall(self.head_of(method, target, headers))
        for piece in pieces:
            self.socket.sendall(piece)
        return self._answer(method, target, expect)

    def drain(self, target: str, buffer: bytearray) -> int:
        """GET and throw the body away; return how long it was."""
        self.socket.sendall(self.head_of("GET", target, {}))
        status, headers = self._head()
        if status != 200:
            raise UnexpectedAnswer(f"GET {target}: {status}")
        length = int(headers["content-length"])
        left = length - len(self._left)
        self._left = b""
        while left:
            arrived = self.socket.recv_into(
                buffer, min(left, len(buffer)), socket.MSG_TRUNC
            )
            if not arrived:
                raise UnexpectedAnswer(f"GET {target}: ended {left} bytes early")
            left -= arrived
        return length

    def _answer(self, method: str, target: str, expect: int) -> Answer:
        status, headers = self._head()
        length = int(headers.get("content-length", 0))
        if method == "HEAD" or status == 204:
            length = 0
        while len(self._left) < length:
            self._left += self._more()
        body, self._left = self._left[:length], self._left[length:]
        if status != expect:
            text = body[:300].decode(errors="replace")
            raise UnexpectedAnswer(f"{method} {target}: {status} {text}")
        return Answer(status, headers, body)

    def _head(self) -> tuple[int, dict[str, str]]:
        while (end := self._left.find(b"\r\n\r\n")) < 0:
            self._left += self._more()
        lines = self._left[:end].decode("latin-1").split("\r\n")
        self._left = self._left[end + 4 :]
        pairs = (line.partition(":") for line in lines[1:])
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return int(lines[0].split(" ", 2)[1]), headers

    def _more(self) -> bytes:
        arrived = self.socket.recv(65536)
        if not arrived:
            raise UnexpectedAnswer("the registry closed the connection")
        return arrived


LAST_CHUNK = b"0\r\n\r\n"


def as_chunk(content: bytes) -> bytes:
    """Return content as one chunk of a chunked body; nothing for nothing."""
    return b"%x\r\n%s\r\n" % (len(content), content) if content else b""
