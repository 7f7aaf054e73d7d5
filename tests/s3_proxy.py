"""A proxy in front of a service like S3 that counts requests and causes faults.

proxy.requests                 method, path with query, and headers, as they came
proxy.refuse_each(3)           503 SlowDown for each third request
proxy.cut_after = 100_000      break each body of an answer after so many bytes
proxy.stop(), proxy.start()    refuse connections
"""

import http.client
import itertools
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.s3_servers import S3Server
from tests.servers import free_port

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>later</Message></Error>"


class S3Proxy(S3Server):
    """Passes requests on with their headers, so that signatures hold."""

    def __init__(self, behind: S3Server) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.behind = urlsplit(behind.url).netloc
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.cut_after: int | None = None
        self._refuse = 0
        self._serial = itertools.count(1)
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> "S3Proxy":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def is_stopped(self) -> bool:
        return self._server is None

    def refuse_each(self, number: int) -> None:
        """Answer 503 to each of so many requests; 0 for none."""
        self._refuse = number

    def is_refused(self) -> bool:
        return self._refuse > 0 and next(self._serial) % self._refuse == 0

    def calls(self) -> list[str]:
        """Return what was asked for since the last time, as S3's own words."""
        requests, self.requests = self.requests, []
        return [_name_of(*request) for request in requests]


def _name_of(method: str, path: str, headers: dict[str, str]) -> str:
    query = parse_qs(urlsplit(path).query, keep_blank_values=True)
    if "x-amz-copy-source" in headers:
        return "UploadPartCopy" if "partNumber" in query else "CopyObject"
    if "uploads" in query:
        return "CreateMultipartUpload" if method == "POST" else "ListMultipartUploads"
    if "uploadId" in query:
        part = "UploadPart" if "partNumber" in query else ""
        return {
            "PUT": part,
            "POST": "CompleteMultipartUpload",
            "GET": "ListParts",
            "DELETE": "AbortMultipartUpload",
        }[method]
    if "list-type" in query:
        return "ListObjects"
    return f"{method.title()}Object"


class _Handler(BaseHTTPRequestHandler):
    proxy: S3Proxy
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.proxy.requests.append((self.command, self.path, headers))
        if headers.get("expect", "").lower() == "100-continue":
            headers.pop("expect")
        body = self.rfile.read(int(headers.get("content-length", 0)))
        if self.proxy.is_stopped():  # a connection of before
            self.close_connection = True
            return
        if self.proxy.is_refused():
            self._answer(503, {"content-type": "application/xml"}, SLOW_DOWN)
            return
        connection = http.client.HTTPConnection(self.proxy.behind, timeout=30)
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            self._answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, Any], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"transfer-encoding", "content-length"}:
                self.send_header(name, value)
        is_head = self.command == "HEAD"
        length = headers.get("Content-Length", len(body)) if is_head else len(body)
        if status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        cut = self.proxy.cut_after
        if cut is not None and len(body) > cut:
            self.wfile.write(body[:cut])
            self.close_connection = True
        elif not is_head:
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
