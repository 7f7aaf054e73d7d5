"""From a push to what runs, with nobody stepping in (docs/continuous-deployment.md).

Two docker engines: where images are built, and where they run. Beside the latter runs
the receiver, which is the code of the page; it gets the delivery from a real worker.
"""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.clients.command import Command
from tests.clients.docker_engine import DockerEngine, docker_for
from tests.clients.greeting import greeting_program
from tests.faults.conftest import own_database
from tests.servers import PROJECT_FOLDER, free_port
from tests.webhooks.stack import ADMIN, Stack, run_stack

pytestmark = pytest.mark.xdist_group("docker")

WAIT_SECONDS = 90
CONTAINER = "api"


def receiver_code() -> str:
    """Return the receiver that the page has to copy."""
    page = (PROJECT_FOLDER / "docs" / "continuous-deployment.md").read_text()
    [code] = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return str(code)


@pytest.fixture(scope="module")
def stack(
    http: httpx.Client,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("deployment")
    with run_stack(folder, "folder", http, own_database()) as running, running.worker:
        yield running


@pytest.fixture(scope="module")
def production() -> Iterator[DockerEngine]:
    """The engine of the machine that images run on."""
    engine = DockerEngine()
    yield engine
    engine.stop()


@dataclass
class Machine:
    """Where images run: docker, logged in as a robot, and the receiver's log."""

    docker: Command
    url: str
    log_path: Path

    def wait_for(self, text: str) -> str:
        """Return the receiver's log once it says this, or fail."""
        deadline = time.monotonic() + WAIT_SECONDS
        while text not in (log := self.log_path.read_text()):
            assert time.monotonic() < deadline, "too late"
            time.sleep(0.05)
        return log

    def running(self) -> str:
        """Return the name of the image that the container is of."""
        return self.docker("inspect", "--format={{.Config.Image}}", CONTAINER).strip()

    def greeting(self) -> str:
        """Return what the container said, after it has ended."""
        assert self.docker("wait", CONTAINER).strip() == "0"
        return self.docker("logs", CONTAINER)


@contextmanager
def run_receiver(
    folder: Path, docker: Command, port: int, *, secret: str, image: str
) -> Iterator[Machine]:
    """Run the page's receiver as a process until it listens."""
    script, secret_file = folder / "receiver.py", folder / "secret"
    script.write_text(receiver_code())
    secret_file.write_text(f"{secret}\n")
    log_path = folder / "receiver.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(script)],
            env={
                **docker.environment,
                "PATH": f"{Path(docker.words[0]).parent}:{os.defpath}",
                "WEBHOOK_SECRET_FILE": str(secret_file),
                "IMAGE": image,
                "CONTAINER": CONTAINER,
                "RUN_OPTIONS": "--network=none",  # the engine of the tests has none
                "PORT": str(port),
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    machine = Machine(docker, f"http://127.0.0.1:{port}/", log_path)
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while not _listens(port):
            assert process.poll() is None, log_path.read_text()
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.05)
        yield machine
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with closing(socket.socket()) as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def log_in(docker: Command, host: str, name: str, secret: str) -> None:
    docker("login", host, "-u", name, "--password-stdin", stdin=secret)


def commit_and_push(docker: Command, name: str, words: str) -> None:
    """Do what a CI does with a commit: build the image, and push it."""
    context = docker.folder / "context"
    context.mkdir(exist_ok=True)
    (context / "greet").write_bytes(greeting_program(words))
    (context / "greet").chmod(0o755)
    (context / "Dockerfile").write_text(
        'FROM scratch\nCOPY greet /greet\nCMD ["/greet"]\n'
    )
    docker("build", "--quiet", "--no-cache", "--tag", name, str(context))
    docker("push", name)


def deliveries(stack: Stack, repository: str, webhook: Any) -> list[Any]:
    path = f"/repositories/{repository}/webhooks/{webhook['id']}/deliveries"
    found: list[Any] = stack.api("GET", path)["results"]
    return found


def test_a_push_is_deployed_with_nobody_stepping_in(
    stack: Stack, engine: DockerEngine, production: DockerEngine, tmp_path: Path
) -> None:
    host, repository = urlsplit(stack.server.url).netloc, stack.new_repository()
    image = f"{host}/{repository}"
    robot = stack.api("POST", "/user/robots", {"name": "deployer"})
    subject = {"kind": "robot", "name": robot["username"]}
    stack.api(
        "POST",
        f"/repositories/{repository}/grants",
        {"subject": subject, "role": "read"},
    )
    ci = docker_for(engine, tmp_path / "ci")
    log_in(ci, host, ADMIN, stack.client.secret)
    docker = docker_for(production, tmp_path / "production")
    log_in(docker, host, robot["username"], robot["token"])
    port = free_port()
    webhook = stack.hook(repository, f"http://127.0.0.1:{port}/", tags="release-*")

    with run_receiver(
        tmp_path, docker, port, secret=webhook["secret"], image=image
    ) as machine:
        commit_and_push(ci, f"{image}:release-1", "hello from release 1\n")
        machine.wait_for(f"deployed {image}:release-1\n")
        assert machine.running() == f"{image}:release-1"
        assert machine.greeting() == "hello from release 1\n"

        commit_and_push(ci, f"{image}:scratch", "not for production\n")
        commit_and_push(ci, f"{image}:release-2", "hello from release 2\n")
        log = machine.wait_for(f"deployed {image}:release-2\n")
        assert machine.running() == f"{image}:release-2"
        assert machine.greeting() == "hello from release 2\n"
        assert "scratch" not in log, "its tag is not one of the webhook's"

        forged = httpx.post(
            machine.url,
            headers={
                "webhook-id": "1",
                "webhook-timestamp": str(int(time.time())),
                "webhook-signature": "v1,bm90IG91cnM=",
            },
            json={"data": {"reference": f"{image}:scratch"}},
        )
        assert forged.status_code == 401
        stack.api("POST", f"/repositories/{repository}/webhooks/{webhook['id']}/test")
        deadline = time.monotonic() + WAIT_SECONDS
        while len(found := deliveries(stack, repository, webhook)) < 3 or any(
            one["status"] != "delivered" for one in found
        ):
            assert time.monotonic() < deadline, "too late"
            time.sleep(0.1)
        assert machine.log_path.read_text().count("deployed ") == 2, (
            "neither the forged one nor the test deploys anything"
        )
