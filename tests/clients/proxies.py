"""nginx and Caddy as processes of the tests' own, with given sites."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.programs import require_program
from tests.servers import PROJECT_FOLDER

START_TIMEOUT_SECONDS = 60
BUFFERED = "buffered to a temporary file"  # nginx's own words in its log


def documented_site(first_line: str) -> str:
    """Return the block of docs/install.md that begins with this line."""
    page = (PROJECT_FOLDER / "docs" / "install.md").read_text()
    match = re.search(
        rf"^```\w+\n({re.escape(first_line)}\n.*?)^```$", page, re.MULTILINE | re.DOTALL
    )
    assert match is not None, f"no '{first_line}' in docs/install.md"
    return match[1]


@contextmanager
def run_nginx(folder: Path, port: int, site: str) -> Iterator[Path]:
    """Run nginx with one server block; yields its error log."""
    program = require_program("nginx")
    log = folder / "error.log"
    temporary = "".join(
        f"{kind}_temp_path {folder / kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    settings = folder / "nginx.conf"
    settings.write_text(
        f"{user} daemon off; master_process off; pid {folder / 'pid'};"
        f"error_log {log} warn; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{site}\n}}\n"
    )
    command = [str(program), "-e", str(log), "-p", str(folder), "-c", str(settings)]
    with _run(command, folder, port):
        yield log


@contextmanager
def run_caddy(folder: Path, port: int, site: str) -> Iterator[None]:
    """Run Caddy with one site."""
    program = require_program("caddy")
    settings = folder / "Caddyfile"
    settings.write_text(f"{{\n\tadmin off\n}}\n{site}\n")
    command = [str(program), "run", "--adapter=caddyfile", f"--config={settings}"]
    with _run(command, folder, port):
        yield


@contextmanager
def _run(command: list[str], folder: Path, port: int) -> Iterator[None]:
    output = folder / "output"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not _listens(port):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(START_TIMEOUT_SECONDS)
        finally:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with closing(socket.socket()) as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
