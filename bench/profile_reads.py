"""Profiles hot reads: cProfile around the WSGI application, no server.

    python -m bench.profile_reads                   manifest GET by tag
    python -m bench.profile_reads --read challenge  or manifest-head, blob, token
    python -m bench.profile_reads --no-profile      only microseconds for each request

Needs nothing and leaves nothing: its registry lives in a temporary folder.
"""

import argparse
import base64
import cProfile
import io
import os
import pstats
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from bench import content

REPOSITORY = "admin/bench"
Headers = dict[str, str]
Application = Callable[[dict[str, Any], Callable[..., Any]], Any]


class Caller:
    """Calls a WSGI application as a server would."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.status = ""
        self.headers: Headers = {}

    def environ(
        self, method: str, target: str, headers: Headers, body: bytes = b""
    ) -> dict[str, Any]:
        parts = urlsplit(target)
        fields = {
            f"HTTP_{name.upper().replace('-', '_')}": value
            for name, value in headers.items()
        }
        if "HTTP_CONTENT_TYPE" in fields:
            fields["CONTENT_TYPE"] = fields.pop("HTTP_CONTENT_TYPE")
        return {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "HTTP_HOST": "localhost:8000",
            **fields,
        }

    def start_response(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers = status, dict(headers)

    def call(self, environ: dict[str, Any]) -> bytes:
        answer = self.application(environ, self.start_response)
        body = b"".join(answer)
        with suppress(AttributeError):
            answer.close()
        return body

    def must(self, expect: str, *request: Any) -> bytes:
        body = self.call(self.environ(*request))
        assert self.status.startswith(expect), (self.status, body)
        return body


def prepare() -> tuple[Caller, dict[str, tuple[str, str, Headers]]]:
    """Make a registry with one image; return the reads: method, target, headers."""
    from registry_site.wsgi import application  # isort: skip  # sets Django up

    import django.core.management
    from django.conf import settings

    from accounts.actors import COMMAND_LINE
    from accounts.models import User
    from accounts.tokens import issue_access_token

    django.core.management.call_command("prepare", stdout=io.StringIO())
    user = User.objects.get(username=settings.BERTH_ADMIN_USERNAME)
    _, secret = issue_access_token(
        user=user, name="bench", actions="admin", actor=COMMAND_LINE
    )
    pair = base64.b64encode(f"{user.username}:{secret}".encode()).decode()
    basic = {"Authorization": f"Basic {pair}"}
    caller = Caller(application)
    image = content.small_image(layer_count=8)
    for digest, blob in image.blobs:
        target = f"/v2/{REPOSITORY}/blobs/uploads/?digest={digest}"
        caller.must("201", "POST", target, basic, blob)
    manifests = f"/v2/{REPOSITORY}/manifests/hot"
    typed = {**basic, "Content-Type": content.MANIFEST_TYPE}
    caller.must("201", "PUT", manifests, typed, image.manifest)
    asked = f"/v2/token?service=localhost:8000&scope=repository:{REPOSITORY}:pull"
    token = caller.must("200", "GET", asked, basic).split(b'"')[3].decode()
    bearer = {
        "Authorization": f"Bearer {token}",
        "Accept": content.MANIFEST_TYPE,
        "User-Agent": "bench",
    }
    return caller, {
        "challenge": ("GET", "/v2/", {}),
        "token": ("GET", asked, basic),
        "manifest": ("GET", manifests, bearer),
        "manifest-head": ("HEAD", manifests, bearer),
        "blob": ("GET", f"/v2/{REPOSITORY}/blobs/{image.blobs[0][0]}", bearer),
    }


def measure(
    caller: Caller, read: tuple[str, str, Headers], count: int, *, profile: bool
) -> None:
    """Print what one kind of read costs."""
    environ = caller.environ(*read)
    for _ in range(200):
        caller.call(dict(environ))
    each = min(_seconds_of(caller, environ, count // 20) for _ in range(20))
    print(f"{read[0]} {read[1].split('?')[0]}: {each * 1e6:,.0f} µs of one core")
    if not profile:
        return
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(count):
        caller.call(dict(environ))
    profiler.disable()
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(25)


def _seconds_of(caller: Caller, environ: dict[str, Any], count: int) -> float:
    """Return the processor's time for one call; the quickest of many batches counts."""
    started = time.process_time()
    for _ in range(count):
        caller.call(dict(environ))
    return (time.process_time() - started) / count


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.profile_reads", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--read", action="append", metavar="NAME", help="what to read")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--no-profile", action="store_true")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="berth-bench-")
    os.environ["BERTH_DATA"] = folder
    os.environ.pop("DATABASE_URL", None)
    try:
        caller, reads = prepare()
        for name in options.read or ["manifest"]:
            measure(caller, reads[name], options.count, profile=not options.no_profile)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
