"""A dockerd of the tests' own: its data, its socket and its end are theirs."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.clients.command import Command
from tests.clients.greeting import greeting_program
from tests.clients.real_images import GREETING
from tests.programs import TOOLS_FOLDER, leave_out, require_program

START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 30
# The engine's own choice is best; inside a container none but vfs may work.
STORAGE_CHOICES: tuple[tuple[str, ...], ...] = ((), ("--storage-driver=vfs",))
# A current engine keeps images in containerd, which calls the same "native".
CURRENT_STORAGE_CHOICES = ((), ("--storage-driver=native",))
CURRENT_FOLDER = TOOLS_FOLDER.parent / "docker"  # dockerd, containerd, shim and buildx


class DockerEngine:
    """dockerd with a socket in its own folder and without any network."""

    def __init__(self, *, is_current: bool = False) -> None:
        """Start Debian's, or a current one; on a machine that cannot, leave it out."""
        self.environment = dict(os.environ)
        self.options: tuple[str, ...] = ()
        if is_current:
            path = f"{CURRENT_FOLDER}{os.pathsep}{os.environ['PATH']}"
            # Debian's docker speaks an older API than it takes by itself.
            self.environment |= {"PATH": path, "DOCKER_MIN_API_VERSION": "1.24"}
            self.options = ("--ip6tables=false",)
        program = require_program(
            str(CURRENT_FOLDER / "dockerd" if is_current else "dockerd")
        )
        if os.geteuid() != 0:
            leave_out("dockerd wants to be root")
        # A socket's path is short, pytest's own folders are not.
        self.folder = Path(tempfile.mkdtemp(prefix="berth-dockerd-"))
        self.socket = self.folder / "docker.sock"
        self.log_path = self.folder / "dockerd.log"
        for choice in CURRENT_STORAGE_CHOICES if is_current else STORAGE_CHOICES:
            if self._start(program, choice):
                return
        log = self.log_path.read_text(errors="replace")[-4000:]
        shutil.rmtree(self.folder, ignore_errors=True)
        leave_out(f"dockerd does not start here:\n{log}")

    @property
    def address(self) -> str:
        return f"unix://{self.socket}"

    def stop(self) -> None:
        """End it, and its containerd with it, and remove what it stored."""
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, program: Path, storage: tuple[str, ...]) -> bool:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(program),
                    f"--host={self.address}",
                    f"--data-root={self.folder / 'data'}",
                    f"--exec-root={self.folder / 'run'}",
                    f"--pidfile={self.folder / 'docker.pid'}",
                    f"--config-file={self._empty_settings()}",
                    "--iptables=false",
                    "--bridge=none",
                    *self.options,
                    *storage,
                ],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(0.1)
        self._end()
        return False

    def _empty_settings(self) -> Path:
        """Write settings that say nothing, so that the machine's own are not read."""
        path = self.folder / "daemon.json"
        path.write_text("{}")
        return path

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_TIMEOUT_SECONDS)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in connection.recv(100)
            except OSError:
                return False  # not listening yet

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()  # its containerd follows it by itself
            self.process.wait()


def docker_for(engine: DockerEngine, folder: Path) -> Command:
    return Command(
        "docker",
        folder,
        DOCKER_HOST=engine.address,
        DOCKER_CONFIG=str(folder / "docker-config"),
        DOCKER_BUILDKIT="0",  # the engine's own builder; buildx is a plugin
    )


def buildx_for(docker: Command) -> Command:
    """Return buildx, with docker's engine and logins."""
    environment = {
        name: docker.environment[name] for name in ("DOCKER_HOST", "DOCKER_CONFIG")
    }
    return Command(str(CURRENT_FOLDER / "buildx"), docker.folder, **environment)


def build_image(docker: Command, name: str, layer_count: int = 1) -> None:
    """Build an image FROM scratch that greets, with layers that no other image has."""
    context = docker.folder / "context"
    context.mkdir(exist_ok=True)
    program = context / "greet"
    program.write_bytes(greeting_program(GREETING))
    program.chmod(0o755)
    lines = ["FROM scratch", "COPY greet /greet"]
    for layer in range(1, layer_count):
        content = hashlib.shake_128(f"{name} {layer}".encode()).digest(5000)
        (context / f"layer-{layer}").write_bytes(content)
        lines.append(f"COPY layer-{layer} /layers/")
    lines += [f'LABEL built-as="{name}"', 'CMD ["/greet"]']
    (context / "Dockerfile").write_text("\n".join(lines))
    docker("build", "--quiet", "--tag", name, str(context))
