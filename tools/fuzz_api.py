"""Ask the whole API of a fresh Berth what no one should ask, and find its failures.

    python -m tools.fuzz_api --minutes 20
    python -m tools.fuzz_api --minutes 20 --postgres

Two askers take turns, anonymous, as a user and as the administrator:

    schemathesis   what the OpenAPI document allows, and what it forbids
    hostile        every path and page with parameters, forms and bodies that break
                   readers: NUL, surrogates, depth, huge numbers, charsets, lengths

A response of 500 to 599 is a failure, and so is a traceback in the server's log. It
prints what was asked and ends with 1 if there was one.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.api.test_schema import CONFIGURATION, MAKE_PEOPLE
from tests.servers import BerthServer, run_postgres

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
EXAMPLES = 15  # of each operation in one round
HOSTILE_REQUESTS = 1500  # in one round
ROUND_SECONDS = 600
FAILURES_SHOWN = 20
UNAVAILABLE = frozenset({501, 503})  # said on purpose: no such method, or busy

VALUES: tuple[Any, ...] = (
    *("", "a", "0", "-1", "acme", "api", "acme/api", "latest", "\0", "a\0b", "\ufffd"),
    *("\u202e", "\u200b", "\u0661", "%", "%00", "%ED%A0%80", "..", "../..", "a" * 300),
    *("a" * 5000, "9" * 25, "9" * 400, "1e400", "NaN", "sha256:" + "0" * 64, "*" * 60),
    *("*a" * 60, "[" * 100, "[!-a]" * 20, "'", '"', "<script>", "\r\nx: y", "true"),
    *(
        "2026-01-01",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "http://xn--/",
    ),
    *("http://[::1", "javascript:x", "{{platforms}}", "null", "\U0001f600" * 60),
)
NUMBERS: tuple[Any, ...] = (0, -1, 1, 2**31, 2**63 - 1, -(2**63) + 1, 1.5, 1e300)
RAW_BODIES = (
    *(b"", b"null", b"[]", b'"a"', b"{", b"\xff", b"\xef\xbb\xbf{}", b"[" * 50_000),
    *(b'{"a":' * 20_000, b'{"name":"\\ud800"}', b'{"name":"a","name":"b"}'),
    *(b'{"name":NaN}', b'{"name":1e999}', b'{"name":' + b"9" * 6000 + b"}"),
    *(b'{"name":"\\u0000"}', '{"name":"a"}'.encode("utf-16"), b"a=%00&b=%ED%A0%80"),
)
TYPES = (
    *("application/json", "application/json; charset=zlib_codec", "text/plain", ""),
    *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
    *("multipart/form-data", "application/json; charset*=none''%41", "\u00e9/x"),
)
PAGES = (
    *("/", "/search", "/acme", "/acme/api", "/acme/api/-/tags", "/acme/api/-/activity"),
    *("/acme/api/-/webhooks", "/acme/api/-/access", "/acme/api/-/settings", "/new"),
    *(
        "/acme/api/-/settings/readme",
        "/acme/-/people",
        "/acme/-/teams",
        "/acme/-/audit",
    ),
    *("/acme/-/robots", "/-/notifications", "/settings/tokens", "/accounts/login/"),
    *(
        "/accounts/signup/",
        "/accounts/2fa/webauthn/login/",
        "/accounts/password/reset/",
    ),
    *("/api/schema/", "/api/docs/", "/v1/search", "/v2/_catalog", "/v2/token"),
    *("/v2/acme/api/tags/list", "/-/admin/login/", "/metrics", "/readyz"),
)
FIELDS = (
    *("q", "page", "page_size", "cursor", "sort", "before", "since", "until", "kind"),
    *(
        "tag",
        "tags",
        "name",
        "deleted",
        "restored",
        "platform",
        "who",
        "action",
        "next",
    ),
    *("repository", "namespace", "status", "delivery", "attempt", "days", "n", "last"),
    *("type", "os", "arch", "format", "events", "login", "password", "credential"),
    *("csrfmiddlewaretoken", "readme", "url", "template", "preview", "at", "scope"),
)


class Hostile:
    """Asks every path with values that break readers, and notes failures."""

    def __init__(self, server: BerthServer, document: dict[str, Any], seed: int):
        self.random = random.Random(seed)
        self.url = server.url
        self.client = httpx.Client(timeout=60)
        self.schemas: dict[str, Any] = document["components"]["schemas"]
        self.routes = [
            (method.upper(), path, operation)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        ]
        self.statuses: Counter[int] = Counter()
        self.failures: list[str] = []

    def ask(self, count: int, token: str) -> None:
        """Send so many requests with this token, "" for none."""
        for _ in range(count):
            request = self._page() if self.random.random() < 0.4 else self._operation()
            if token:
                request.headers["Authorization"] = f"Bearer {token}"
            try:
                response = self.client.send(request)
            except httpx.HTTPError as error:  # refused before HTTP, or gone
                self.statuses[0] += 1
                if isinstance(error, httpx.ReadTimeout | httpx.ConnectError):
                    self.failures.append(f"{type(error).__name__} {_told(request)}")
                continue
            self.statuses[response.status_code] += 1
            if response.status_code >= 500 and response.status_code not in UNAVAILABLE:
                told = f"{response.status_code} {_told(request)}"
                self.failures.append(told)

    def _value(self) -> Any:
        return self.random.choice(VALUES)

    def _text(self) -> str:
        return quote(str(self._value()), safe="%*", errors="replace")[:6000]

    def _query(self) -> str:
        names = self.random.sample(FIELDS, self.random.randrange(4))
        return "&".join(f"{name}={self._text()}" for name in names)

    def _page(self) -> httpx.Request:
        path = self.random.choice(PAGES)
        if self.random.random() < 0.2:
            path = f"{path.rstrip('/')}/{self._text()}"
        method = self.random.choice(["GET", "GET", "GET", "HEAD", "POST", "OPTIONS"])
        return self._request(method, f"{path}?{self._query()}", self._form())

    def _operation(self) -> httpx.Request:
        method, path, operation = self.random.choice(self.routes)
        for name in re.findall(r"\{(\w+)\}", path):
            known = {"namespace": "acme", "organization": "acme", "name": "api"}
            value = known.get(name, "")
            if not value or self.random.random() < 0.2:
                value = self._text()
            path = path.replace(f"{{{name}}}", value or "0")
        return self._request(method, f"{path}?{self._query()}", self._body(operation))

    def _form(self) -> bytes:
        return self._query().encode("ascii", "replace")

    def _body(self, operation: dict[str, Any]) -> bytes:
        if self.random.random() < 0.4:
            return self.random.choice(RAW_BODIES)
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        named = schema.get("$ref", "").rpartition("/")[2]
        schema = self.schemas.get(named, schema)
        names = [
            name
            for name in schema.get("properties", FIELDS[:3])
            if self.random.random() < 0.8
        ]
        return json.dumps({name: self._json(0) for name in names}).encode()

    def _json(self, depth: int) -> Any:
        kind = self.random.randrange(6 if depth < 3 else 4)
        if kind < 2:
            return self._value()
        if kind == 2:
            return self.random.choice(NUMBERS)
        if kind == 3:
            return self.random.choice([True, False, None])
        inner = [self._json(depth + 1) for _ in range(2)]
        return inner if kind == 4 else dict(zip(("kind", "name"), inner, strict=True))

    def _request(self, method: str, path: str, body: bytes) -> httpx.Request:
        headers = [(b"Content-Type", self.random.choice(TYPES).encode("latin-1"))]
        content = body if method not in {"GET", "HEAD", "OPTIONS"} else None
        try:
            return httpx.Request(
                method, self.url + path, headers=headers, content=content
            )
        except httpx.InvalidURL:
            return httpx.Request(method, self.url + "/", headers=headers)


def _told(request: httpx.Request) -> str:
    kind = request.headers.get("Content-Type", "")
    return (
        f"{request.method} {str(request.url)[:300]} ({kind}) {request.content[:200]!r}"
    )


def schemathesis(server: BerthServer, token: str, folder: Path, seed: int) -> list[str]:
    """Let schemathesis ask one round; return its server errors."""
    configuration = folder / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    done = subprocess.run(
        [
            *(SCHEMATHESIS, f"--config-file={configuration}", "--no-color", "run"),
            f"{server.url}/api/schema/",
            *([f"--header=Authorization: Bearer {token}"] if token else []),
            *("--checks=not_a_server_error", "--phases=coverage,fuzzing"),
            *("--mode=all", f"--max-examples={EXAMPLES}", "--continue-on-failure"),
            *("--no-shrink", "--workers=1", "--request-timeout=60", "--warnings=off"),
            *("--generation-database=none", f"--seed={seed}"),
            # A grammar of names that few random texts follow is no failure of Berth.
            "--suppress-health-check=filter_too_much,too_slow",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "default"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=ROUND_SECONDS * 3,
    )
    lines = done.stdout.strip().splitlines()
    cases = [line.strip() for line in lines if " generated, " in line]
    print("  " + "; ".join([*cases, lines[-1].strip(" =")]), flush=True)
    return [] if done.returncode == 0 else [done.stdout[-6000:]]


def fuzz(server: BerthServer, *, minutes: float, seed: int, is_quick: bool) -> int:
    """Ask until the time is over; return how many failures there were."""
    printed = server.manage("shell", "--no-imports", "-c", MAKE_PEOPLE).split()
    tokens = {"anonymous": "", "member": printed[-2], "administrator": printed[-1]}
    document = httpx.get(f"{server.url}/api/schema/?format=json", timeout=60).json()
    hostile = Hostile(server, document, seed)
    ends_at = time.monotonic() + minutes * 60
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < ends_at:
            for who, token in tokens.items():
                print(f"{who}, seed {seed}", flush=True)
                hostile.ask(HOSTILE_REQUESTS, token)
                if not is_quick and time.monotonic() < ends_at:
                    failures += schemathesis(server, token, Path(folder), seed)
                seed += 1
    log = server.log_path.read_text(errors="replace")
    tracebacks = log.count("Traceback (most recent call last)")
    failures += hostile.failures
    print(f"hostile requests by status: {dict(sorted(hostile.statuses.items()))}")
    print(f"failures: {len(failures)}; tracebacks in the server's log: {tracebacks}")
    for failure in failures[:FAILURES_SHOWN]:
        print(failure)
    if tracebacks:
        print(log[log.index("Traceback (most recent call last)") :][:5000])
    return len(failures) + tracebacks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite")
    parser.add_argument("--quick", action="store_true", help="without schemathesis")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database_url = None
        if asked.postgres:
            postgres = stack.enter_context(run_postgres(folder / "postgres"))
            database_url = postgres.create_database("berth_fuzz")
        server = BerthServer(
            data_folder=folder / "data",
            database_url=database_url,
            BERTH_ADMIN_PASSWORD="a password for a server that is asked a lot",
            BERTH_API_RATE="1000000/minute",
            BERTH_API_ANONYMOUS_RATE="1000000/minute",
        )
        server.data_folder.mkdir()
        server.manage("prepare")
        stack.enter_context(server)
        count = fuzz(
            server, minutes=asked.minutes, seed=asked.seed, is_quick=asked.quick
        )
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
