"""regctl, and with it all that is built on regclient."""

from pathlib import Path

import pytest

from accounts.models import Robot, User
from tests.clients.command import As, Command
from tests.conftest import Cast
from tests.images import Image
from tests.registry_client import RegistryClient


@pytest.fixture
def regctl_as(tmp_path: Path, host: str, cast: Cast) -> As:
    """Hand out regctl logged in as someone."""

    def log_in(who: User | Robot) -> Command:
        home = tmp_path / who.username
        regctl = Command(
            "regctl", home,
            DOCKER_CONFIG=str(home),
            REGCTL_CONFIG=str(home / "regctl.json"),
        )  # fmt: skip
        regctl("registry", "set", "--tls=disabled", host)
        regctl(
            "registry", "login", host, "-u", who.username, "--pass-stdin",
            stdin=cast.secrets[who.username],
        )  # fmt: skip
        return regctl

    return log_in


def test_regctl_copies_images(
    regctl_as: As,
    host: str,
    api: str,
    other: str,
    cast: Cast,
    layout: str,
    image: Image,
    bob: RegistryClient,
) -> None:
    """MNT-4, R-16: it asks for an automatic mount before every blob."""
    regctl, name = regctl_as(cast.bob), f"{host}/{api}:v1"
    regctl("image", "copy", f"ocidir://{layout}:v1", name)
    regctl("image", "copy", name, f"{host}/{other}:v1")
    assert regctl("image", "digest", f"{host}/{other}:v1").strip() == image.digest
    assert bob.pull(f"{other}:v1").digest == image.digest


def test_regctl_uploads_in_chunks(
    regctl_as: As, host: str, api: str, cast: Cast, bob: RegistryClient
) -> None:
    """UP-3, UP-5, R-03, R-04: every chunk continues where the one before it ended."""
    regctl = regctl_as(cast.bob)
    regctl("registry", "set", "--blob-chunk=1000", "--blob-max=1000", host)
    content = "".join(f"{line:07}\n" for line in range(700))
    digest = regctl("blob", "put", f"{host}/{api}", stdin=content).strip()
    assert bob.pull_blob(api, digest) == content.encode()
    assert regctl("blob", "get", f"{host}/{api}", digest) == content


def test_regctl_removes_one_tag_and_leaves_the_others(
    regctl_as: As, host: str, api: str, cast: Cast, layout: str, image: Image
) -> None:
    """DEL-1, DEL-6: by the tag's name, not by the trick with a dummy manifest."""
    regctl, name = regctl_as(cast.bob), f"{host}/{api}"
    for tag in ("v1", "v2"):
        regctl("image", "copy", f"ocidir://{layout}:v1", f"{name}:{tag}")
    assert regctl("tag", "ls", name).split() == ["v1", "v2"]
    regctl("tag", "rm", f"{name}:v1")
    assert regctl("tag", "ls", name).split() == ["v2"]
    assert regctl("image", "digest", f"{name}:v2").strip() == image.digest


def test_regctl_puts_gets_and_deletes_manifests(
    regctl_as: As, host: str, api: str, cast: Cast, layout: str, image: Image
) -> None:
    """MAN-1, DEL-1."""
    regctl, name = regctl_as(cast.bob), f"{host}/{api}"
    regctl("image", "copy", f"ocidir://{layout}:v1", f"{name}:v1")
    raw = regctl("manifest", "get", "--format=raw-body", f"{name}:v1")
    assert raw.encode() == image.payload
    regctl("manifest", "put", f"{name}:again", stdin=raw)
    assert image.digest in regctl("manifest", "head", f"{name}:again")
    regctl("manifest", "delete", f"{name}@{image.digest}")
    regctl.refused("manifest", "head", f"{name}:again")
