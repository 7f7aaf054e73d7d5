"""The registries that are compared, each on a port and in a folder of its own.

Berth runs as it is shipped, with authentication; the others run with what their own
images ship as configuration (a folder, descriptors remembered in memory), without
authentication and without an access log.
"""

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from bench.wire import Connection
from tests.servers import PROJECT_FOLDER, BerthServer, free_port

TOOLS_FOLDER = PROJECT_FOLDER / ".tools" / "bin"
START_TIMEOUT_SECONDS = 30
BUILD_TIMEOUT_SECONDS = 900
ADMINISTRATOR = "admin"
REPOSITORY = "admin/bench"
EATMYDATA = Path("/usr/lib") / f"{os.uname().machine}-linux-gnu" / "libeatmydata.so"
MEMORY_FOLDER = Path("/dev/shm")

DISTRIBUTION_3 = "github.com/distribution/distribution/v3/cmd/registry@v3.1.2"
ZOT = "zotregistry.dev/zot/v2/cmd/zot@v2.1.8"


class Unavailable(Exception):
    """A registry that this machine has not got; the sentence goes into the report."""


class Registry:
    """One registry while it runs."""

    name: str
    port: int

    def stop(self) -> None:
        raise NotImplementedError

    def token(self) -> str:
        """Return a bearer token for everything that is measured, "" if none is used."""
        return ""

    def connect(self) -> Connection:
        return Connection(self.port, self.token())


class Berth(Registry):
    """`manage.py prepare` and `manage.py serve` with two workers, SQLite and a folder.

    Its token lives for five minutes: it is fetched again when half of that is over.
    """

    name = "Berth"

    def __init__(self, folder: Path, **environment: str) -> None:
        folder.mkdir(parents=True)
        self._server = BerthServer(data_folder=folder, port=None, **environment)
        self.port = self._server.port
        self._server.manage("prepare")
        self.access_token = self._server.manage(
            "shell",
            "--verbosity=0",
            "--command",
            "from accounts.actors import COMMAND_LINE;"
            "from accounts.models import User;"
            "from accounts.tokens import issue_access_token;"
            f"user = User.objects.get(username={ADMINISTRATOR!r});"
            "print(issue_access_token("
            "user=user, name='bench', actions='admin', actor=COMMAND_LINE)[1])",
        ).split()[-1]
        self._server.start()
        self._token = ""
        self._fetched_at = 0.0

    @property
    def basic(self) -> str:
        """Return the header with which docker asks for a token."""
        pair = f"{ADMINISTRATOR}:{self.access_token}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    @property
    def token_path(self) -> str:
        query = {
            "service": f"localhost:{self.port}",
            "scope": f"repository:{REPOSITORY}:pull,push",
        }
        return f"/v2/token?{urlencode(query)}"

    def token(self) -> str:
        if time.monotonic() - self._fetched_at > 150:
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.port}{self.token_path}",
                headers={
                    "Authorization": self.basic,
                    "Host": f"localhost:{self.port}",
                },
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                self._token = json.load(answer)["token"]
            self._fetched_at = time.monotonic()
        return self._token

    def worker_pids(self) -> list[int]:
        """Return the processes that serve requests: the children of the first one."""
        assert self._server.process is not None, "it runs"
        pid = self._server.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [
            int(child)
            for child in children
            if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes()
        ]

    def stop(self) -> None:
        self._server.stop()


class Peer(Registry):
    """Someone else's registry, with its own configuration file."""

    def __init__(
        self, name: str, folder: Path, command: list[str], config: str
    ) -> None:
        folder.mkdir(parents=True)
        self.name = name
        self.port = free_port()
        path = folder / "config"
        path.write_text(config.format(folder=folder / "data", port=self.port))
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, str(path)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
            )
        self._wait(folder / "log")

    def _wait(self, log: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with Connection(self.port) as connection:
                    connection.request("GET", "/v2/", expect=200)
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise Unavailable(f"{self.name} did not start: {log.read_text()[-300:]}")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_DISTRIBUTION_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: "{folder}"}}
  cache: {{blobdescriptor: inmemory}}
http: {{addr: "127.0.0.1:{port}"}}
"""

_ZOT_CONFIG = """\
{{"storage": {{"rootDirectory": "{folder}", "gc": false}},
 "http": {{"address": "127.0.0.1", "port": "{port}"}},
 "log": {{"level": "error"}}}}
"""


def distribution_2(folder: Path) -> Registry:
    """Start Debian's docker-registry."""
    binary = shutil.which("docker-registry")
    if binary is None:
        raise Unavailable("Distribution 2.8: no docker-registry (Debian's package)")
    return Peer("Distribution 2.8", folder, [binary, "serve"], _DISTRIBUTION_CONFIG)


def distribution_3(folder: Path) -> Registry:
    """Start Distribution 3, built by the Go at hand."""
    binary = _go_install(DISTRIBUTION_3, "registry")
    return Peer("Distribution 3", folder, [binary, "serve"], _DISTRIBUTION_CONFIG)


def zot(folder: Path) -> Registry:
    """Start zot without its extensions, built by the Go at hand."""
    return Peer("zot", folder, [_go_install(ZOT, "zot"), "serve"], _ZOT_CONFIG)


PEERS: dict[str, Callable[[Path], Registry]] = {
    "distribution2": distribution_2,
    "distribution3": distribution_3,
    "zot": zot,
}


def _go_install(package: str, name: str) -> str:
    """Return the path of a Go program, built once at a fixed version."""
    binary = TOOLS_FOLDER / name
    if binary.exists():
        return str(binary)
    go = shutil.which("go")
    if go is None:
        raise Unavailable(f"{package}: there is no Go to build it with")
    print(f"building {package} ...", flush=True)
    built = subprocess.run(
        [go, "install", "-tags=containers_image_openpgp", package],
        env={**os.environ, "GOBIN": str(TOOLS_FOLDER)},
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_SECONDS,
        check=False,
    )
    if built.returncode or not binary.exists():
        reason = (built.stderr.strip().splitlines() or ["no such program"])[-1]
        raise Unavailable(f"{package}: go install failed: {reason.strip()}")
    return str(binary)


def without_fsync() -> tuple[str, dict[str, str], Path | None]:
    """Return how Berth can be run so that fsync costs nothing.

    The words for the report, environment variables, and a folder to put its data in.
    """
    if EATMYDATA.exists():
        return "under eatmydata", {"LD_PRELOAD": str(EATMYDATA)}, None
    if MEMORY_FOLDER.is_dir():
        return "data in memory (tmpfs)", {}, MEMORY_FOLDER
    raise Unavailable("fsync's cost: neither eatmydata nor /dev/shm is there")
