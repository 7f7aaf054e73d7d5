"""crane, and with it all that is built on go-containerregistry."""

import json
from pathlib import Path

import pytest

from accounts.models import Robot, User
from tests.clients.command import As, Command
from tests.clients.real_images import greeting_image, write_oci_layout
from tests.conftest import Cast
from tests.images import Image, index
from tests.registry_client import RegistryClient


@pytest.fixture
def crane_as(tmp_path: Path, host: str, cast: Cast) -> As:
    """Hand out crane logged in as someone."""

    def log_in(who: User | Robot) -> Command:
        home = tmp_path / who.username
        crane = Command("crane", home, DOCKER_CONFIG=str(home))
        crane(
            "auth", "login", host, "-u", who.username, "--password-stdin",
            stdin=cast.secrets[who.username],
        )  # fmt: skip
        return crane

    return log_in


def test_crane_pushes_and_pulls(
    crane_as: As, host: str, api: str, cast: Cast, layout: str, image: Image
) -> None:
    """UP-1, R-06, R-24: the bytes that come back are the bytes that went."""
    crane, name = crane_as(cast.bob), f"{host}/{api}:v1"
    assert image.digest in crane("push", layout, name)
    assert crane("digest", name).strip() == image.digest
    assert crane("manifest", name).encode().strip() == image.payload.strip()
    crane("pull", "--format=oci", name, "copy")
    crane("validate", "--remote", name)
    copied = json.loads((crane.folder / "copy" / "index.json").read_text())
    assert [entry["digest"] for entry in copied["manifests"]] == [image.digest]


def test_crane_tags_lists_copies_and_deletes(
    crane_as: As,
    host: str,
    api: str,
    other: str,
    cast: Cast,
    layout: str,
    image: Image,
    bob: RegistryClient,
) -> None:
    """TAG-1, MNT-1, DEL-1, DEL-5."""
    crane, name = crane_as(cast.bob), f"{host}/{api}"
    crane("push", layout, f"{name}:v1")
    crane("tag", f"{name}:v1", "stable")
    assert crane("ls", name).split() == ["stable", "v1"]
    crane("copy", f"{name}:v1", f"{host}/{other}:v1")
    assert bob.pull(f"{other}:v1").digest == image.digest
    crane("delete", f"{name}@{image.digest}")
    assert crane("ls", name).split() == []
    assert "MANIFEST_UNKNOWN" in crane.refused("manifest", f"{name}:v1")
    assert bob.pull(f"{other}:v1").digest == image.digest


def test_crane_copies_an_index(
    crane_as: As,
    host: str,
    api: str,
    other: str,
    cast: Cast,
    bob: RegistryClient,
    tmp_path: Path,
) -> None:
    """MAN-4, R-37."""
    whole = index(greeting_image("amd64"), greeting_image("arm64"))
    folder = write_oci_layout(tmp_path / "index", whole)
    crane = crane_as(cast.bob)
    bob.push(f"{api}:v1", whole)
    crane("copy", f"{host}/{api}:v1", f"{host}/{other}:v1")
    assert bob.pull(f"{other}:v1").digest == whole.digest
    pushed = crane("push", "--index", str(folder), f"{host}/{other}:layout")
    assert bob.pull(f"{other}:layout").digest in pushed


def test_crane_catalog_shows_what_one_may_see(
    crane_as: As, host: str, api: str, cast: Cast, layout: str
) -> None:
    """CAT-1."""
    crane = crane_as(cast.bob)
    crane("push", layout, f"{host}/{api}:v1")
    assert api in crane("catalog", host).split()
    assert api not in crane_as(cast.dave)("catalog", host).split()


def test_crane_without_the_right_is_refused(
    crane_as: As, host: str, api: str, cast: Cast, layout: str, image: Image
) -> None:
    """AUTH-3, AUTH-4."""
    crane_as(cast.bob)("push", layout, f"{host}/{api}:v1")
    reader, stranger = crane_as(cast.carol), crane_as(cast.dave)
    assert reader("digest", f"{host}/{api}:v1").strip() == image.digest
    assert "UNAUTHORIZED" in reader.refused("push", layout, f"{host}/{api}:v2")
    assert "UNAUTHORIZED" in stranger.refused("manifest", f"{host}/{api}:v1")
