"""A current docker engine, which keeps images in containerd, and buildx."""

import json
from pathlib import Path

import pytest

from accounts.models import User
from repositories.models import Repository
from tests.clients.command import Command, python_for
from tests.clients.docker_engine import DockerEngine, buildx_for, docker_for
from tests.conftest import Cast
from tests.images import OCI_INDEX, some_bytes
from tests.registry_client import RegistryClient

pytestmark = pytest.mark.xdist_group("docker-current")

LAYER_BYTES = 6 * 1024 * 1024


def logged_in(
    engine: DockerEngine, folder: Path, host: str, cast: Cast, who: User
) -> Command:
    docker = docker_for(engine, folder / who.username)
    login = docker(
        "login", host, "-u", who.username, "--password-stdin",
        stdin=cast.secrets[who.username],
    )  # fmt: skip
    assert "Login Succeeded" in login
    return docker


def test_build_with_attestations_push_pull_and_search(
    current_engine: DockerEngine,
    tmp_path: Path,
    host: str,
    public_api: Repository,
    other: str,
    cast: Cast,
    bob: RegistryClient,
) -> None:
    """An image goes up with its provenance, is found, and comes back (C1, R-38)."""
    docker = logged_in(current_engine, tmp_path, host, cast, cast.bob)
    buildx, name = buildx_for(docker), f"{host}/{public_api.full_name}"
    context = docker.folder / "context"
    context.mkdir()
    (context / "cargo").write_bytes(some_bytes(LAYER_BYTES))
    (context / "Dockerfile").write_text("FROM scratch\nCOPY cargo /cargo\n")
    build = ("build", "--provenance=mode=max", "--progress=plain", str(context))

    # Into the engine's store, from there to the registry, and back.
    buildx(*build, "--load", "--tag", f"{name}:v1")
    docker("push", f"{name}:v1")
    index = check_attested(bob, public_api.full_name, "v1")
    docker("rmi", "--force", f"{name}:v1")
    reader = logged_in(current_engine, tmp_path, host, cast, cast.carol)
    assert index in reader("pull", f"{name}:v1")
    stored = json.loads(reader("image", "inspect", f"{name}:v1"))[0]
    assert f"{name}@{index}" in stored["RepoDigests"]

    # Straight from the builder, to a repository where the layer is only mounted.
    buildx(*build, "--push", "--tag", f"{host}/{other}:v2")
    check_attested(bob, other, "v2")

    query = f"{host}/{public_api.name}"
    found = docker("search", "--format", "{{.Name}}", query).split()
    assert public_api.full_name in [word.removeprefix(f"{host}/") for word in found]


def test_a_build_finds_its_cache_in_the_registry(
    current_engine: DockerEngine,
    tmp_path: Path,
    host: str,
    api: str,
    other: str,
    cast: Cast,
    bob: RegistryClient,
) -> None:
    """BuildKit stores the layers of every stage, and builds from them."""
    docker = logged_in(current_engine, tmp_path, host, cast, cast.bob)
    buildx = buildx_for(docker)
    context = docker.folder / "context"
    context.mkdir()
    (context / "cargo").write_bytes(some_bytes(100_000))
    (context / "Dockerfile").write_text(
        "FROM scratch AS first\nCOPY cargo /first\n"
        "FROM scratch\nCOPY --from=first /first /cargo\n"
    )
    cache = f"type=registry,ref={host}/{other}:cache"
    build = (
        "build", "--progress=plain", "--provenance=false", "--push",
        f"--tag={host}/{api}:v1", str(context),
    )  # fmt: skip
    buildx(*build, f"--cache-to={cache},mode=max")
    pushed = bob.get(f"/v2/{api}/manifests/v1").json()
    stored = bob.get(f"/v2/{other}/manifests/cache").json()
    listed = stored.get("manifests") or stored["layers"]
    assert sum("tar" in layer["mediaType"] for layer in listed) == 2
    buildx("prune", "--all", "--force")
    log = buildx.told(*build, f"--cache-from={cache}")
    assert f"importing cache manifest from {host}/{other}:cache" in log
    assert "CACHED" in log
    assert bob.get(f"/v2/{api}/manifests/v1").json()["layers"] == pushed["layers"]


def check_attested(bob: RegistryClient, name: str, tag: str) -> str:
    """Return the digest of a tag that is an index of an image and its provenance."""
    response = bob.get(f"/v2/{name}/manifests/{tag}")
    assert response.headers["Content-Type"] == OCI_INDEX
    image, attestation = response.json()["manifests"]
    kind = "vnd.docker.reference.type"
    assert attestation["annotations"][kind] == "attestation-manifest"
    manifest = bob.get(f"/v2/{name}/manifests/{image['digest']}").json()
    assert manifest["layers"][0]["size"] > LAYER_BYTES
    provenance = bob.get(f"/v2/{name}/manifests/{attestation['digest']}").json()
    for layer in provenance["layers"]:
        assert "in-toto" in layer["mediaType"]
        assert len(bob.pull_blob(name, layer["digest"])) == layer["size"]
    return str(response.headers["Docker-Content-Digest"])


def test_oras_py_reads_dockers_config(
    current_engine: DockerEngine,
    tmp_path: Path,
    host: str,
    api: str,
    cast: Cast,
    bob: RegistryClient,
) -> None:
    """After docker login, oras-py pushes and pulls with config.json (C3)."""
    docker = logged_in(current_engine, tmp_path, host, cast, cast.bob)
    logins = Path(docker.environment["DOCKER_CONFIG"])
    assert "identitytoken" not in (logins / "config.json").read_text()
    (docker.folder / ".docker").symlink_to(logins)
    cargo = some_bytes(5000)
    (docker.folder / "cargo.bin").write_bytes(cargo)
    assert python_for(docker.folder, WITH_ORAS)(host, api).endswith("the same\n")
    assert bob.tags(api) == ["by-oras"]


# Its token backend keeps the token of its first HEAD, which pulls only, for the upload:
# no registry takes that. With basic it pushes.
WITH_ORAS = """
import pathlib, sys, oras.client
host, name = sys.argv[1:]
client = oras.client.OrasClient(insecure=True, auth_backend="basic")
client.push(target=f"{host}/{name}:by-oras", files=["cargo.bin"])
client = oras.client.OrasClient(insecure=True)
client.pull(target=f"{host}/{name}:by-oras", outdir="back")
back, cargo = pathlib.Path("back/cargo.bin"), pathlib.Path("cargo.bin")
print("the same" if back.read_bytes() == cargo.read_bytes() else "differs")
"""
