"""docs/teams.md, done as it says: by a shell, with curl and docker."""

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from accounts.models import Organization
from tests import make
from tests.clients.command import Command
from tests.clients.docker_engine import DockerEngine
from tests.clients.greeting import greeting_program
from tests.clients.real_images import GREETING
from tests.conftest import Cast
from tests.programs import require_program
from tests.servers import PROJECT_FOLDER

pytestmark = pytest.mark.xdist_group("docker")  # one engine is enough for all of them

PAGE = PROJECT_FOLDER / "docs" / "teams.md"


def blocks(*languages: str) -> list[tuple[str, str]]:
    """Return the page's blocks of code, each with its language."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    return [(language, text) for language, text in found if language in languages]


def as_script(language: str, text: str) -> str:
    """Return a block as a script; one that shows what is printed must fail so."""
    if language == "sh":
        return text
    commands = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    printed = [line for line in text.splitlines() if not line.startswith("$ ")]
    *before, last = commands
    return "\n".join(
        [
            *before,
            f"if {last} >printed 2>&1; then exit 9; fi",
            *(f"grep -F {shlex.quote(line)} printed" for line in printed),
        ]
    )


@pytest.fixture
def shell(engine: DockerEngine, tmp_path: Path, cast: Cast) -> Command:
    """A shell with curl and docker, and a folder with something to build."""
    for program in ("curl", "docker"):
        require_program(program)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "greet").write_bytes(greeting_program(GREETING))
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY greet /greet\n")
    paths = [str(require_program("docker").parent), os.environ.get("PATH", os.defpath)]
    return Command(
        "sh",
        folder,
        PATH=os.pathsep.join(paths),
        DOCKER_HOST=engine.address,
        DOCKER_CONFIG=str(folder / "docker-config"),
        DOCKER_BUILDKIT="0",
        NO_PROXY="localhost",
        TOKEN=cast.secrets[cast.alice.username],
    )


def test_everything_on_the_page_works(shell: Command, host: str, cast: Cast) -> None:
    organization = make.unique("acme")
    script = "set -eu\n" + "\n".join(as_script(*b) for b in blocks("sh", "console"))
    for word, name in (
        ("acme", organization),
        ("bob", cast.bob.username),
        ("localhost:8000", host),
    ):
        script = re.sub(rf"\b{word}\b", name, script)
    (shell.folder / "script").write_text(script)
    said = shell.told("-x", str(shell.folder / "script"))
    assert '"next":null' in said
    made = Organization.objects.get(namespace__name=organization)
    backend = made.teams.get(name="backend")
    assert not backend.memberships.exists()  # bob came and left
    invited = [invitation.email for invitation in backend.invitations.all()]
    assert invited == ["carol@example.com"]  # bob's ended when he came
    api = made.namespace.repositories.get(name="api")
    assert [tag.name for tag in api.tags.all()] == ["release-1"]


def test_the_files_on_the_page_can_be_read() -> None:
    files: list[Any] = [yaml.safe_load(text) for _, text in blocks("yaml")]
    assert len(files) == 2
    assert files[1]["spec"]["imagePullSecrets"] == [{"name": "acme-cluster"}]
