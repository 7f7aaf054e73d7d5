"""Send hostile requests to /v2/ and /v1/ of a fresh Berth, and count the answers.

    python -m tools.fuzz_protocol --minutes 20
    python -m tools.fuzz_protocol --minutes 20 --database postgres

Hypothesis makes the requests: methods, paths, queries, headers and bodies that are
nearly right, and wrong in one place or in many. Each request gets a connection of its
own. A status of 500 or more is a failure, except 501, and so is a connection that ends
without a whole answer, or an error that is not in the shape of the specification. The
exit status is 1 if there was one; the request is printed so that it can be repeated.
"""

import argparse
import base64
import json
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_from_bytes, urlsplit

import httpx
import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.images import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST, descriptor, digest_of
from tests.registry_client import RegistryClient
from tests.servers import BerthServer, run_postgres

TIMEOUT_SECONDS = 60
ROUND = 250  # requests between two looks at the clock
TOKEN_SECONDS = 120  # after which the fuzzer asks for another one
SHOWN_MAX = 20  # failures that are printed
NAMESPACE = "admin"

MAKE_TOKEN = f"""
from accounts.actors import COMMAND_LINE
from accounts.models import User
from accounts.tokens import issue_access_token
user = User.objects.get(username="{NAMESPACE}")
print(issue_access_token(
    user=user, name="fuzz", actions="admin", actor=COMMAND_LINE
)[1])
"""

EMPTY = b"{}"
EMPTY_DESCRIPTOR = descriptor(EMPTY, OCI_EMPTY)
BLOB = b"some content of a blob"

METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")
ODD_METHODS = ("get", "Put", "OPTIONS", "TRACE", "PROPFIND", "M-SEARCH", "X" * 60, "é")

# What breaks parsers, databases and templates.
HOSTILE = (
    *("", "\0", "a\0b", ".", "..", "/", "//", "\\", "%", "%00", "%zz", "+", " ", "\t"),
    *("\r\nX-Evil: 1", "\n", "é", "\u0660", "\u202e", "\ufeff", "😀", "\x7f", "\x85"),
    *("0", "-0", "-1", "+1", "1.5", "1e9", "NaN", "9" * 18, "9" * 19, "9" * 5000),
    *("null", "true", "[]", "{}", "'", '"', "' OR 1=1 --", "<script>", "{{1}}", "*"),
    *("sha256:", "sha256:zz", "md5:" + "0" * 32, "sha256:" + "A" * 64, ":", "@"),
    *("a" * 129, "a" * 256, "A/B", "a/" * 100, "-a", "_", "..a", "a__b", "admin"),
    *("urn:uuid:00000000-0000-4000-8000-000000000000", "{" + "0" * 32 + "}"),
)
QUERY_NAMES = (
    *(
        "n",
        "last",
        "digest",
        "mount",
        "from",
        "tag",
        "artifactType",
        "digest-algorithm",
    ),
    *("scope", "service", "account", "offline_token", "client_id", "q", "page"),
)
MEDIA_TYPES = (
    *(OCI_MANIFEST, OCI_INDEX, "application/json", "application/octet-stream", ""),
    *("application/vnd.example.thing.v1+json", "text/html;x=+json", "a/b+json"),
    *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "a"),
)
USUAL_METHODS = {  # by what a path is about; the first one also has the most to read
    "manifests": ("PUT", "PUT", "PUT", "PUT", "GET", "HEAD", "DELETE"),
    "uploads": ("POST",),
    "session": ("PATCH", "PUT", "PATCH", "PUT", "GET", "DELETE"),
    "blobs": ("GET", "HEAD"),
    "tags": ("GET",),
    "referrers": ("GET",),
    "token": ("GET", "POST"),
    "search": ("GET",),
    "fixed": ("GET",),
    "nothing": METHODS,
}
PATH_KINDS = (*USUAL_METHODS, "manifests", "manifests", "session", "session", "token")
FORM_NAMES = (
    *("grant_type", "username", "password", "refresh_token", "scope", "client_id"),
    *("access_type", "service"),
)
HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Type": MEDIA_TYPES,
    "Content-Range": ("0-4", "bytes 0-4/5", "5-9", "4-0", "0-", "\u0660-\u0664"),
    "Range": ("bytes=0-4", "bytes=-5", "bytes=5-", "bytes=0-1,3-4", "items=0-1"),
    "If-Match": ("*", '"x"', 'W/"x"', "x, y", '"'),
    "If-None-Match": ("*", '"x"', "x"),
    "If-Range": ('"x"', "Sun, 29 Nov 2026 00:00:00 GMT"),
    "If-Modified-Since": ("Sun, 29 Nov 2026 00:00:00 GMT", "yesterday"),
    "Accept": ("*/*", OCI_INDEX, "text/html", ";q=", "a" * 5000),
    "Accept-Encoding": ("gzip", "br;q=x", "identity;q=0, *;q=0"),
    "Content-Encoding": ("gzip", "x"),
    "Content-Length": ("-1", "+5", "5, 5", "0x5", "\u0665", "", "9" * 30),
    "Transfer-Encoding": ("gzip, chunked", "identity", "x"),
    "Expect": ("100-continue", "x"),
    "Host": ("elsewhere.example", "a b", "[::1", "localhost:99999", ""),
    "X-Forwarded-For": ("1.2.3.4", "x", "::1, 1.2.3.4:5"),
    "Forwarded": ('for="[::1]:80"', "for=", "x"),
    "X-Forwarded-Proto": ("https", "x"),
    "User-Agent": ("docker/29", "x" * 3000),
    "Cookie": ("sessionid=x; csrftoken=y", "=;=;"),
    "Origin": ("https://elsewhere.example",),
    "Connection": ("close", "keep-alive", "upgrade"),
    "Upgrade": ("h2c", "websocket"),
}


@dataclass(frozen=True)
class HostileRequest:
    """One request, as the bytes of its parts."""

    method: str
    target: bytes
    headers: list[tuple[str, str]]
    body: bytes = b""
    is_chunked: bool = False

    def bytes(self, host: str, authorization: str) -> bytes:
        names = {name for name, _ in self.headers}
        lines = [f"{self.method} ".encode() + self.target + b" HTTP/1.1"]
        headers = list(self.headers)
        if "Host" not in names:
            headers.insert(0, ("Host", host))
        if authorization:
            headers.append(("Authorization", authorization))
        if self.is_chunked:
            if "Transfer-Encoding" not in names:
                headers.append(("Transfer-Encoding", "chunked"))
        elif "Content-Length" not in names and (
            self.body or self.method in METHODS[2:]
        ):
            headers.append(("Content-Length", str(len(self.body))))
        lines += [f"{name}: ".encode() + _header(value) for name, value in headers]
        body = self.body
        if self.is_chunked:
            body = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
            body += b"0\r\n\r\n"
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _header(value: str) -> bytes:
    """Return a header's value, which must not end the line."""
    return value.encode("utf-8").translate(None, b"\r\n\0")


@dataclass
class Fuzzer:
    """Sends requests to one registry and judges the answers.

    ``uploads`` and ``digests`` grow by what the answers name, so that later requests
    reach further.
    """

    client: RegistryClient
    name: str
    statuses: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    token: str = ""
    token_at: float = 0.0

    def prepare(self) -> None:
        """Push what the paths can name."""
        for content in (EMPTY, BLOB):
            self.digests.append(self.client.push_blob(self.name, content))
        body = json.dumps(image_manifest()).encode()
        self.client.put(
            f"/v2/{self.name}/manifests/v1",
            content=body,
            headers={"Content-Type": OCI_MANIFEST},
        )
        self.digests.append(digest_of(body))
        self.uploads.append(self.client.start_upload(self.name).rpartition("/")[2])

    def run(self, count: int, number: int) -> None:
        """Send some requests, the same ones for the same number."""

        @seed(number)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def send_one(data: st.DataObject) -> None:
            request = data.draw(
                requests(self.name, self.digests[-5:], self.uploads[-3:])
            )
            is_odd = data.draw(st.integers(0, 9)) == 0
            usual = "basic" if b"/token" in request.target else "token"
            credentials = data.draw(st.sampled_from(CREDENTIALS)) if is_odd else usual
            self.send(request, credentials)

        send_one()

    def send(self, request: HostileRequest, credentials: str) -> None:
        """Send one request and judge what comes back."""
        authorization = self._authorization(credentials)
        parts = urlsplit(self.client.url)
        content = request.bytes(parts.netloc, authorization)
        try:
            status, headers, body = exchange(
                str(parts.hostname), int(parts.port or 80), content, request.method
            )
        except (OSError, HTTPException) as error:
            self._fail(request, credentials, f"no answer: {error!r}")
            return
        self.statuses[str(status)] += 1
        if status >= 500 and status != 501:
            self._fail(request, credentials, f"{status}: {body[:300]!r}")
        elif (
            status >= 400
            and headers.get("Docker-Distribution-Api-Version")
            and request.method != "HEAD"
            and not _is_error(body)
        ):
            self._fail(request, credentials, f"not an error's shape: {body[:300]!r}")
        self._learn(headers)

    def _learn(self, headers: dict[str, str]) -> None:
        if "Docker-Upload-UUID" in headers:
            self.uploads.append(headers["Docker-Upload-UUID"])
        if "Docker-Content-Digest" in headers:
            self.digests.append(headers["Docker-Content-Digest"])

    def _authorization(self, credentials: str) -> str:
        if credentials == "token":
            if time.monotonic() - self.token_at > TOKEN_SECONDS or not self.token:
                self.token = self.client.token(
                    f"repository:{self.name}:pull,push,delete",
                    f"repository:{self.name}/other:pull,push",
                    "registry:catalog:*",
                )
                self.token_at = time.monotonic()
            return f"Bearer {self.token}"
        if credentials == "basic":
            words = f"{self.client.username}:{self.client.secret}"
            return f"Basic {base64.b64encode(words.encode()).decode()}"
        return credentials

    def _fail(self, request: HostileRequest, credentials: str, what: str) -> None:
        self.statuses["failure"] += 1
        if len(self.failures) < SHOWN_MAX:
            shown = repr(request)
            self.failures.append(
                f"{what}\n    with {credentials[:40]!r}: {shown[:3000]}"
            )


# Used now and then; most requests have a token, to get past the gate.
CREDENTIALS = (
    *("basic", "", "Bearer x", "Bearer a.b.c", "bearer", "Basic", "Basic ====", "x y"),
    "Basic " + base64.b64encode(b"a\0b:c\0d").decode(),
    "Basic " + base64.b64encode("é\u202e:x".encode()).decode(),
    "Basic " + base64.b64encode(b"no colon").decode(),
    "Basic " + base64.b64encode(b"a" * 3000 + b":" + b"b" * 3000).decode(),
    "Bearer " + "e" * 30_000,
    "é",
)


def exchange(
    host: str, port: int, content: bytes, method: str
) -> tuple[int, dict[str, str], bytes]:
    """Send bytes on a new connection and return status, headers and body."""
    with socket.create_connection((host, port), TIMEOUT_SECONDS) as connection:
        # A request may be refused before its end; the answer has come then.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(content)
        with HTTPResponse(connection, method=method) as answer:
            answer.begin()
            body = answer.read()
            return answer.status, dict(answer.getheaders()), body


def _is_error(body: bytes) -> bool:
    try:
        value = json.loads(body)
    except ValueError:
        return False
    return isinstance(value, dict) and bool(value.get("errors"))


# --- strategies


hostile = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)


@st.composite
def requests(
    draw: st.DrawFn, name: str, digests: list[str], uploads: list[str]
) -> HostileRequest:
    """Return a request of which any part may be hostile."""
    kind, path = draw(paths(name, digests, uploads))
    any_method = draw(st.integers(0, 7)) == 0
    method = draw(
        st.sampled_from(METHODS + ODD_METHODS if any_method else USUAL_METHODS[kind])
    )
    query = draw(queries(digests))
    body = draw(bodies(kind))
    chosen = draw(headers(kind, method))
    return HostileRequest(
        method,
        path + query,
        chosen,
        body,
        # A body that is promised in chunks has to come in chunks.
        "chunked" in dict(chosen).get("Transfer-Encoding", "")
        or draw(st.sampled_from([False, False, False, bool(body)])),
    )


@st.composite
def paths(
    draw: st.DrawFn, name: str, digests: list[str], uploads: list[str]
) -> tuple[str, bytes]:
    """Return what a path is about, and the path."""
    odd = draw(st.integers(0, 3)) == 0

    def part(*usual: str) -> bytes:
        if odd and draw(st.booleans()):
            return _in_path(draw(hostile), draw(st.integers(0, 2)))
        return draw(st.sampled_from(usual)).encode()

    kind = draw(st.sampled_from(PATH_KINDS))
    own = part(name, f"{name}/other", "library/absent")
    digest = part(*digests, "sha256:" + "0" * 64)
    path = {
        "manifests": lambda: (
            own + b"/manifests/" + part("v1", "new", digest.decode("latin-1"))
        ),
        "uploads": lambda: own + b"/blobs/uploads/",
        "session": lambda: own + b"/blobs/uploads/" + part(*uploads),
        "blobs": lambda: own + b"/blobs/" + digest,
        "tags": lambda: own + b"/tags/list",
        "referrers": lambda: own + b"/referrers/" + digest,
        "token": lambda: part("token", "token/jwks", "token/"),
        "fixed": lambda: part("", "_catalog", "_oci/ext/discover"),
        "nothing": lambda: part("x") + b"/" + part("y"),
    }
    if kind == "search":
        return kind, b"/v1/" + part("search", "_ping", "search/")
    return kind, b"/v2/" + path[kind]()


def _in_path(text: str, style: int) -> bytes:
    """Write text into a path: escaped, or raw where a request line can hold it."""
    if style == 0:
        return quote(text, safe="/:").encode()
    raw = text.encode("utf-8")
    if style == 1:
        return raw.translate(None, bytes(range(0x21)) + b"\x7f#?")
    return quote_from_bytes(raw, safe="").lower().encode()


@st.composite
def queries(draw: st.DrawFn, digests: list[str]) -> bytes:
    """Return a query with its question mark, often none."""
    style = draw(st.integers(0, 12))
    if style < 4:
        return b""
    if style == 4:
        name = draw(st.sampled_from(QUERY_NAMES))
        count = draw(st.sampled_from([99, 1001, 3000]))
        return b"?" + "&".join([f"{name}=a{i}" for i in range(count)]).encode()
    if style == 5:
        return b"?" + _in_path(draw(hostile), 1)
    values = st.one_of(hostile, st.sampled_from([*digests, "1", "v1", *MEDIA_TYPES]))
    pairs = draw(
        st.lists(
            st.tuples(st.one_of(st.sampled_from(QUERY_NAMES), hostile), values),
            max_size=4,
        )
    )
    how = draw(st.integers(0, 2))
    fields = [_in_path(key, how) + b"=" + _in_path(value, how) for key, value in pairs]
    return b"?" + b"&".join(fields)


@st.composite
def headers(draw: st.DrawFn, kind: str, method: str) -> list[tuple[str, str]]:
    """Return a few headers; never two that promise different bodies."""
    chosen: dict[str, str] = {}
    if method == "PUT" and kind == "manifests":
        chosen["Content-Type"] = draw(
            st.sampled_from(MEDIA_TYPES[:2] * 4 + MEDIA_TYPES)
        )
    if method == "POST" and kind == "token":
        chosen["Content-Type"] = "application/x-www-form-urlencoded"
    if draw(st.integers(0, 2)) == 0:
        for name in draw(st.lists(st.sampled_from(sorted(HEADERS)), max_size=3)):
            usual = st.sampled_from(HEADERS[name])
            chosen[name] = draw(st.one_of(usual, usual, hostile))
    if "Transfer-Encoding" in chosen:
        chosen.pop("Content-Length", None)
    # A length that is a number has to be right, or the server waits for the rest.
    if chosen.get("Content-Length", "").strip().isdecimal():
        del chosen["Content-Length"]
    return list(chosen.items())


@st.composite
def bodies(draw: st.DrawFn, kind: str) -> bytes:
    """Return a body for what the path is about, or one for something else."""
    style = draw(st.integers(0, 9))
    if style == 0:
        return b""
    if style == 1:
        return draw(st.binary(max_size=200))
    if kind == "token":
        return draw(forms())
    if kind == "manifests":
        return draw(manifests())
    return draw(st.sampled_from([BLOB, EMPTY, b"x" * 70_000, b""]))


@st.composite
def forms(draw: st.DrawFn) -> bytes:
    """Return a form for the token service."""
    names = st.sampled_from(FORM_NAMES)
    values = st.one_of(st.sampled_from(["password", "refresh_token", "admin"]), hostile)
    pairs = draw(st.lists(st.tuples(names, values), max_size=6))
    if draw(st.integers(0, 20)) == 0:
        pairs *= 500
    return "&".join(f"{name}={quote(value)}" for name, value in pairs).encode()


def image_manifest() -> dict[str, Any]:
    """Return a manifest that is taken."""
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example+json",
        "config": dict(EMPTY_DESCRIPTOR),
        "layers": [
            descriptor(BLOB, "application/octet-stream", annotations={"a": "b"})
        ],
        "subject": descriptor(b"absent", OCI_MANIFEST),
        "annotations": {"org.example": "x"},
    }


def index_manifest() -> dict[str, Any]:
    """Return an index that is taken."""
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    child = descriptor(b"absent", OCI_MANIFEST, platform=platform)
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]}


json_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 2, 2**31, 2**63, 2**64, 10**40, 1e308, -0.0]),
    st.floats(),
    st.sampled_from(["\ud800", "\0", "\u202e", "", "a/b", "sha256:" + "0" * 64]),
    hostile,
)
json_values = st.recursive(
    json_leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(hostile, inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def manifests(draw: st.DrawFn) -> bytes:
    """Return a manifest that was changed in some places, also as a text."""
    style = draw(st.integers(0, 14))
    if style == 0:
        return json.dumps(draw(json_values)).encode()
    if style == 1:
        depth = draw(st.sampled_from([50, 63, 64, 65, 500, 2000, 100_000]))
        opening, closing = draw(st.sampled_from([("[", "]"), ('{"a":', "}")]))
        filling = "1" if opening != "[" else ""
        nested = opening * depth + filling + closing * depth
        return b'{"schemaVersion":2,"config":' + nested.encode() + b"}"
    body = deepcopy(draw(st.sampled_from([image_manifest(), index_manifest()])))
    for _ in range(draw(st.integers(0, 3))):
        _change(draw, body)
    text = json.dumps(body, ensure_ascii=draw(st.booleans()))
    if style == 2:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(hostile) + text[at + draw(st.integers(0, 5)) :]
    if style == 3:
        text = text.replace('"config"', '"config":{},"config"', 1)
    return text.encode("utf-8", "surrogatepass")


def _change(draw: st.DrawFn, body: Any) -> None:
    """Change one member somewhere in a document."""
    place = body
    for _ in range(draw(st.integers(0, 3))):
        inner = [v for v in _values(place) if isinstance(v, dict | list) and v]
        if not inner:
            break
        place = draw(st.sampled_from(inner))
    if not place:
        return
    if isinstance(place, list):
        place[draw(st.integers(0, len(place) - 1))] = draw(json_values)
        return
    member = draw(st.sampled_from(sorted(place)))
    match draw(st.integers(0, 5)):
        case 0:
            del place[member]
        case 1:
            place[member.title()] = place[member]
        case 2:
            place[draw(hostile)] = draw(json_values)
        case 3:
            place[member] = draw(hostile)
        case _:
            place[member] = draw(json_values)


def _values(place: Any) -> list[Any]:
    return list(place.values()) if isinstance(place, dict) else list(place)


# --- the command


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    first = options.seed if options.seed is not None else random.randrange(2**32)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="berth-")))
        (folder / "data").mkdir()
        database_url = None
        if options.database == "postgres":
            postgres = stack.enter_context(run_postgres(folder / "postgres"))
            database_url = postgres.create_database("berth")
        server = BerthServer(
            data_folder=folder / "data",
            database_url=database_url,
            BERTH_ADMIN_USERNAME=NAMESPACE,
        )
        server.manage("prepare")
        secret = server.manage("shell", "--verbosity=0", "-c", MAKE_TOKEN).strip()
        stack.enter_context(server)
        http = stack.enter_context(httpx.Client(timeout=TIMEOUT_SECONDS))
        client = RegistryClient(http, server.url, NAMESPACE, secret)
        fuzzer = Fuzzer(client, f"{NAMESPACE}/fuzz")
        fuzzer.prepare()
        fuzz_for(fuzzer, options.minutes * 60, first)
        tracebacks = server.log_path.read_text(errors="replace").count("Traceback")
        return report(fuzzer, first, options.database, tracebacks)


def fuzz_for(fuzzer: Fuzzer, seconds: float, first: int) -> None:
    """Send rounds of requests until the time is over."""
    end = time.monotonic() + seconds
    number = first
    while time.monotonic() < end:
        fuzzer.run(ROUND, number)
        number += 1


def report(fuzzer: Fuzzer, first: int, database: str, tracebacks: int) -> int:
    """Print what was answered; return the exit status."""
    total = sum(count for name, count in fuzzer.statuses.items() if name != "failure")
    counts = ", ".join(f"{name}: {n}" for name, n in sorted(fuzzer.statuses.items()))
    print(f"{total} requests on {database}, first seed {first}; by status: {counts}")
    print(f"{tracebacks} tracebacks in the log")
    for failure in fuzzer.failures:
        print(failure)
    return 1 if fuzzer.failures or tracebacks else 0


if __name__ == "__main__":
    sys.exit(main())
