"""The snippets that come with a robot's token, pasted where they belong."""

import base64
import json
import os
import shlex
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from accounts.models import Robot
from repositories.models import Repository
from tests import make
from tests.clients.command import Command
from tests.clients.docker_engine import DockerEngine, docker_for
from tests.clients.test_podman_skopeo import PLAIN, prepare_home
from tests.conftest import Cast
from tests.images import image
from tests.programs import find_program, leave_out, require_program
from tests.registry_client import RegistryClient

pytestmark = pytest.mark.xdist_group("docker")  # one engine is enough for all of them


@pytest.fixture
def robot(cast: Cast, private_api: Repository) -> Robot:
    """A robot that reads private_api."""
    robot, _ = make.robot(cast.acme.namespace)
    make.grant(private_api, robot, "read")
    return robot


@pytest.fixture
def snippets(cast: Cast, robot: Robot, alice: RegistryClient) -> dict[str, str]:
    """What the API answers with a new token for it."""
    path = f"/organizations/{cast.acme.namespace.name}/robots/{robot.name}/token"
    answer = alice.http.post(
        f"{alice.url}/api/v1{path}",
        headers={"Authorization": f"Bearer {alice.secret}"},
    )
    made: dict[str, str] = answer.json()["snippets"]
    return made


@pytest.fixture
def name(private_api: Repository, alice: RegistryClient, host: str) -> str:
    """An image in private_api."""
    alice.push(f"{private_api.full_name}:v1", image())
    return f"{host}/{private_api.full_name}:v1"


def paste(command: str, program: Command) -> str:
    """Run a snippet in a shell, with the program as the test has prepared it."""
    path, *flags = program.words
    function = f'{Path(path).name}() {{ {shlex.join([path, *flags])} "$@"; }}\n'
    environment = program.environment
    return Command("sh", program.folder, **environment)("-c", function + command)


def test_docker_signs_in_by_it(
    engine: DockerEngine, tmp_path: Path, snippets: dict[str, str], host: str
) -> None:
    docker = docker_for(engine, tmp_path / "home")
    assert "Login Succeeded" in paste(snippets["docker"], docker)
    kept = json.loads((docker.folder / "docker-config" / "config.json").read_text())
    assert host in kept["auths"]


def test_podman_signs_in_by_it(tmp_path: Path, snippets: dict[str, str]) -> None:
    """On plain HTTP too, of which the snippet tells it."""
    if os.geteuid() != 0:
        leave_out("podman is only tried as root")
    home = tmp_path / "home"
    with tempfile.TemporaryDirectory(prefix="berth-") as run_folder:  # a short path
        podman = Command(
            "podman",
            home,
            f"--root={home / 'storage'}",
            f"--runroot={run_folder}",
            "--storage-driver=vfs",
            **prepare_home(home),
        )
        assert "Login Succeeded" in paste(snippets["podman"], podman)


def test_config_json_lets_docker_and_skopeo_pull(
    engine: DockerEngine,
    tmp_path: Path,
    snippets: dict[str, str],
    name: str,
    robot: Robot,
) -> None:
    docker = docker_for(engine, tmp_path / "home")
    folder = docker.folder / "docker-config"
    folder.mkdir()
    config = folder / "config.json"
    config.write_text(snippets["config_json"])
    skopeo = Command("skopeo", tmp_path / "skopeo", **prepare_home(tmp_path / "skopeo"))
    assert skopeo("inspect", PLAIN, f"--authfile={config}", f"docker://{name}")
    assert "denied" in skopeo.refused("inspect", PLAIN, f"docker://{name}")
    robot.refresh_from_db()
    assert robot.last_used_at is not None
    # What is not an image for this engine is enough to see who may have it.
    assert "denied" not in docker("manifest", "inspect", "--insecure", name)


def test_the_kubernetes_secret_opens_the_token_endpoint(
    snippets: dict[str, str],
    private_api: Repository,
    alice: RegistryClient,
    host: str,
    robot: Robot,
) -> None:
    secret: Any = yaml.safe_load(snippets["kubernetes"])
    assert secret["kind"] == "Secret"
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    config = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
    auth = config["auths"][host]["auth"]
    username, _, token = base64.b64decode(auth).decode().partition(":")
    assert username == robot.username
    client = RegistryClient(alice.http, alice.url, username, token)
    scope = f"repository:{private_api.full_name}:pull"
    assert client.token_answer(scope).json()["scope"] == scope


def test_kubectl_makes_the_same_secret(
    tmp_path: Path, snippets: dict[str, str]
) -> None:
    if find_program("kubectl") is None:
        pytest.skip("kubectl is not installed; the manifest is tried without it")
    command = f"{snippets['kubectl']} --dry-run=client --output=yaml"
    shell = Command("sh", tmp_path, PATH=str(require_program("kubectl").parent))
    by_kubectl: Any = yaml.safe_load(shell("-c", command))
    by_manifest: Any = yaml.safe_load(snippets["kubernetes"])
    assert by_kubectl["metadata"]["name"] == by_manifest["metadata"]["name"]
    assert by_kubectl["type"] == by_manifest["type"]
    configs = [
        json.loads(base64.b64decode(made["data"][".dockerconfigjson"]))["auths"]
        for made in (by_kubectl, by_manifest)
    ]
    [(there, one)], [(here, other)] = (list(auths.items()) for auths in configs)
    assert (there, one["auth"]) == (here, other["auth"])
