"""oras, and with it all that is built on oras-go."""

import json
from pathlib import Path

import pytest

from accounts.models import Robot, User
from tests.clients.command import As, Command
from tests.conftest import Cast
from tests.images import some_bytes
from tests.registry_client import RegistryClient

PLAIN = "--plain-http"


@pytest.fixture
def oras_as(tmp_path: Path, host: str, cast: Cast) -> As:
    """Hand out oras logged in as someone."""

    def log_in(who: User | Robot) -> Command:
        home = tmp_path / who.username
        oras = Command("oras", home, DOCKER_CONFIG=str(home))
        oras(
            "login", PLAIN, host, "-u", who.username, "--password-stdin",
            stdin=cast.secrets[who.username],
        )  # fmt: skip
        return oras

    return log_in


def test_oras_pushes_attaches_discovers_and_pulls(
    oras_as: As, host: str, api: str, cast: Cast
) -> None:
    """REF-1, REF-5, R-19, R-25: attached without any fallback tag."""
    oras, name = oras_as(cast.bob), f"{host}/{api}"
    cargo = some_bytes(5000)
    (oras.folder / "cargo.bin").write_bytes(cargo)
    (oras.folder / "sbom.json").write_text('{"cargo": "bin"}')
    oras(
        "push", PLAIN, "--artifact-type=application/vnd.example.cargo",
        f"{name}:v1", "cargo.bin",
    )  # fmt: skip
    oras(
        "attach", PLAIN, "--artifact-type=application/vnd.example.sbom",
        f"{name}:v1", "sbom.json",
    )  # fmt: skip
    found = json.loads(oras("discover", PLAIN, "--format=json", f"{name}:v1"))
    [referrer] = found["referrers"]
    assert referrer["artifactType"] == "application/vnd.example.sbom"
    for kind, count in (("sbom", 1), ("signature", 0)):
        filtered = oras(
            "discover", PLAIN, "--format=json",
            f"--artifact-type=application/vnd.example.{kind}", f"{name}:v1",
        )  # fmt: skip
        assert len(json.loads(filtered)["referrers"]) == count
    assert oras("repo", "tags", PLAIN, name).split() == ["v1"]
    oras("pull", PLAIN, "--output=back", f"{name}:v1")
    oras("pull", PLAIN, "--output=back", f"{name}@{referrer['digest']}")
    assert (oras.folder / "back" / "cargo.bin").read_bytes() == cargo
    assert (oras.folder / "back" / "sbom.json").exists()


def test_oras_copies_with_all_that_refers_to_it(
    oras_as: As, host: str, api: str, other: str, cast: Cast, bob: RegistryClient
) -> None:
    """MNT-1, REF-1."""
    oras, name = oras_as(cast.bob), f"{host}/{api}:v1"
    (oras.folder / "cargo.bin").write_bytes(some_bytes())
    oras("push", PLAIN, name, "cargo.bin")
    oras(
        "attach", PLAIN, "--artifact-type=application/vnd.example.note",
        "--annotation=note=careful", name,
    )  # fmt: skip
    oras(
        "copy", "--recursive", "--from-plain-http", "--to-plain-http",
        name, f"{host}/{other}:v1",
    )  # fmt: skip
    assert len(bob.referrers(other, bob.pull(f"{other}:v1").digest)) == 1


def test_oras_deletes_a_manifest(
    oras_as: As, host: str, api: str, cast: Cast, bob: RegistryClient
) -> None:
    """DEL-1, DEL-4: it wants a clean 404 afterwards."""
    oras, name = oras_as(cast.bob), f"{host}/{api}:v1"
    (oras.folder / "cargo.bin").write_bytes(some_bytes())
    oras("push", PLAIN, name, "cargo.bin")
    oras("manifest", "delete", PLAIN, "--force", name)
    assert "not found" in oras.refused("manifest", "fetch", PLAIN, name)
    assert bob.tags(api) == []
