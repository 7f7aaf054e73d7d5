"""Push and pull with the real docker: the engine at DOCKER_HOST, or one of our own."""

import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import content
from bench.registries import ADMINISTRATOR, REPOSITORY, Berth, Registry

START_TIMEOUT_SECONDS = 40
COMMAND_TIMEOUT_SECONDS = 300
IMAGE = "berth-bench:layers"


class NoDocker(Exception):
    """There is no engine to be had here; the sentence says why."""


class Engine:
    """A docker client with a configuration of its own."""

    def __init__(self, host: str, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "DOCKER_HOST": host,
            "DOCKER_CONFIG": str(folder / "config"),
        }

    def docker(self, *arguments: str, stdin: bytes | None = None) -> None:
        done = subprocess.run(
            ["docker", *arguments],
            input=stdin,
            env=self._environment,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip()[-300:]
            raise NoDocker(f"docker {arguments[0]}: {words}")

    def load_image(self, *, layer_count: int, layer_kib: int) -> str:
        """Load an image of random layers, which do not compress."""
        path = self._folder / "image.tar"
        _write_archive(path, layer_count, layer_kib * 1024)
        self.docker("load", "--input", str(path))
        path.unlink()
        return IMAGE

    def push_and_pull(self, image: str, registry: Registry) -> tuple[float, float]:
        """Return the seconds of a push and of a pull after the image was removed."""
        place = f"localhost:{registry.port}"
        target = f"{place}/{REPOSITORY}:layers"
        if isinstance(registry, Berth):
            self.docker(
                "login",
                f"--username={ADMINISTRATOR}",
                "--password-stdin",
                place,
                stdin=registry.access_token.encode(),
            )
        self.docker("tag", image, target)
        started = time.perf_counter()
        self.docker("push", "--quiet", target)
        pushed = time.perf_counter() - started
        # The engine keeps layers that another name still needs: both have to go.
        archive = self._folder / "kept.tar"
        self.docker("save", "--output", str(archive), image)
        self.docker("rmi", image, target)
        started = time.perf_counter()
        self.docker("pull", "--quiet", target)
        pulled = time.perf_counter() - started
        self.docker("rmi", target)
        self.docker("load", "--input", str(archive))
        archive.unlink()
        return pushed, pulled


@contextmanager
def run(folder: Path) -> Iterator[Engine]:
    """Yield an engine: the one of DOCKER_HOST, or one started in the folder."""
    if shutil.which("docker") is None:
        raise NoDocker("there is no docker client")
    folder.mkdir()
    host = os.environ.get("DOCKER_HOST")
    if host:
        yield Engine(host, folder)
        return
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        raise NoDocker("no DOCKER_HOST, and no dockerd that we may start")
    host = f"unix://{folder}/docker.sock"
    with (folder / "log").open("wb") as log:
        engine = subprocess.Popen(
            [
                "dockerd",
                f"--host={host}",
                f"--data-root={folder}/data",
                f"--exec-root={folder}/exec",
                f"--pidfile={folder}/pid",
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield _wait(Engine(host, folder), engine, folder / "log")
    finally:
        engine.terminate()
        try:
            engine.wait(30)
        except subprocess.TimeoutExpired:
            engine.kill()
            engine.wait()


def _wait(client: Engine, engine: "subprocess.Popen[bytes]", log: Path) -> Engine:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and engine.poll() is None:
        try:
            client.docker("version")
        except NoDocker:
            time.sleep(0.2)
        else:
            return client
    lines = log.read_text(errors="replace").strip().splitlines()
    raise NoDocker(f"dockerd did not start: {(lines or ['no word'])[-1][-300:]}")


def _write_archive(path: Path, layer_count: int, layer_bytes: int) -> None:
    """Write what `docker load` reads: layers, a config and a list of both."""
    layers = [_layer(number, layer_bytes) for number in range(layer_count)]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {
                "type": "layers",
                "diff_ids": [content.digest_of(layer) for layer in layers],
            },
        }
    ).encode()
    names = [f"{number}/layer.tar" for number in range(layer_count)]
    manifest = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": names}]
    with tarfile.open(path, "w") as archive:
        for name, layer in zip(names, layers, strict=True):
            _add(archive, name, layer)
        _add(archive, "config.json", config)
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def _layer(number: int, size_bytes: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add(archive, f"layer-{number}", os.urandom(size_bytes))
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content_bytes: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content_bytes)
    archive.addfile(member, io.BytesIO(content_bytes))
