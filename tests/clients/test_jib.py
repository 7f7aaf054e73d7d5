"""Jib, which builds an image of a Java program from Maven, without a daemon."""

import shutil
from pathlib import Path

from repositories.models import Repository
from tests.clients.command import Command
from tests.clients.real_images import greeting_image
from tests.conftest import Cast
from tests.programs import TOOLS_FOLDER, leave_out
from tests.registry_client import RegistryClient
from tests.servers import PROJECT_FOLDER

TOOLS = TOOLS_FOLDER.parent
JIB = "com.google.cloud.tools:jib-maven-plugin:3.5.2:build"


def test_jib_builds_on_a_private_image_and_pushes(
    tmp_path: Path,
    host: str,
    private_api: Repository,
    other: str,
    cast: Cast,
    bob: RegistryClient,
) -> None:
    """It pulls the base, takes its layers to another repository, and sets two tags."""
    if not (TOOLS / "stamps" / "jib").exists():
        leave_out("Jib is not installed (make clients)")
    bob.push(f"{private_api.full_name}:base", greeting_image())
    folder = tmp_path / "jib"
    shutil.copytree(PROJECT_FOLDER / "tests" / "clients" / "java", folder)
    shutil.copytree(TOOLS / "java", folder / "target")
    mvn = Command("mvn", folder, "--batch-mode", "--quiet")
    options = {
        "maven.repo.local": TOOLS / "maven",
        "jib.allowInsecureRegistries": "true",
        "sendCredentialsOverHttp": "true",  # Jib does so only if asked to
        "jib.applicationCache": folder / "cache",
        "jib.baseImageCache": folder / "cache-of-bases",
        "jib.from.image": f"{host}/{private_api.full_name}:base",
        "jib.to.image": f"{host}/{other}:v1",
        "jib.to.tags": "v1,latest",
    }
    for side in ("from", "to"):
        options[f"jib.{side}.auth.username"] = cast.bob.username
        options[f"jib.{side}.auth.password"] = cast.secrets[cast.bob.username]
    mvn(*(f"-D{name}={value}" for name, value in options.items()), JIB)
    assert bob.tags(other) == ["latest", "v1"]
    digest = (folder / "target" / "jib-image.digest").read_text()
    assert bob.head(f"/v2/{other}/manifests/v1").headers["ETag"] == f'"{digest}"'
    layers = bob.get(f"/v2/{other}/manifests/latest").json()["layers"]
    base = bob.get(f"/v2/{private_api.full_name}/manifests/base").json()["layers"]
    assert len(layers) > len(base)
    assert [layer["digest"] for layer in layers][: len(base)] == [
        layer["digest"] for layer in base
    ]
    for layer in layers:
        assert len(bob.pull_blob(other, layer["digest"])) == layer["size"]
