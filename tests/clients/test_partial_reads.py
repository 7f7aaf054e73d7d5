"""Clients that read parts of blobs: oras-go, containerd, stargz-snapshotter; and ko."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.command import Command
from tests.clients.real_images import greeting_image
from tests.conftest import Cast
from tests.images import some_bytes
from tests.programs import require_program
from tests.registry_client import RegistryClient

CONTENT = some_bytes(1_000_000)


@pytest.fixture
def fetch(tmp_path: Path, host: str, api: str, cast: Cast, bob: RegistryClient) -> Any:
    """Read the content with one of the clients in tests/clients/go."""
    program = Command("fetch", tmp_path / "fetch")
    digest = bob.push_blob(api, CONTENT)

    def run(client: str) -> Any:
        printed = program(
            client, f"{host}/{api}@{digest}", str(len(CONTENT)), cast.bob.username,
            stdin=cast.secrets[cast.bob.username],
        )  # fmt: skip
        return json.loads(printed)

    return run


def test_oras_go_seeks_back_to_the_start(fetch: Any) -> None:
    """Seek(0) asks for everything as a range, and wants 206 for it (C1)."""
    found = fetch("oras")
    assert found["sha256"] == sha256(CONTENT * 2)
    assert found["requests"][-1]["range"] == f"bytes=0-{len(CONTENT) - 1}"
    assert found["requests"][-1]["status"] == 206


def test_containerd_reads_pieces_in_parallel(fetch: Any) -> None:
    """The first request is for everything from 0 on, and has to be 206 (C1)."""
    found = fetch("containerd")
    assert found["sha256"] == sha256(CONTENT)
    assert {request["status"] for request in found["requests"]} == {206}
    assert len(found["requests"]) > 4


def test_stargz_snapshotter_reads_several_ranges_at_once(fetch: Any) -> None:
    """What is missing around a chunk comes in one answer, and nothing else (C2)."""
    found = fetch("stargz")
    assert found["sha256"] == sha256(CONTENT[100_000:250_000])
    last = found["requests"][-1]
    assert last["range"] == "bytes=100000-149999,200000-249999"
    assert last["status"] == 206
    assert last["type"].startswith("multipart/byteranges; boundary=")
    assert found["bytes"] < 160_000


def test_ko_builds_and_pushes(
    tmp_path: Path, host: str, api: str, cast: Cast, bob: RegistryClient
) -> None:
    """A Go program goes onto a base image of the registry, with its SBOM."""
    bob.push(f"{api}:base", greeting_image())
    go = require_program("go")
    cached = {
        name: subprocess.run(
            [go, "env", name], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("GOCACHE", "GOROOT")
    }
    source = tmp_path / "source"
    temporary = tmp_path / "temporary"
    source.mkdir()
    temporary.mkdir()
    (source / "go.mod").write_text("module example.com/greet\n\ngo 1.20\n")
    (source / "main.go").write_text('package main\n\nfunc main() { println("ahoy") }\n')
    logins = {"DOCKER_CONFIG": str(tmp_path)}
    Command("crane", source, **logins)(
        "auth", "login", host, "-u", cast.bob.username, "--password-stdin",
        stdin=cast.secrets[cast.bob.username],
    )  # fmt: skip
    ko = Command(
        "ko", source,
        **logins, **cached,
        KO_DOCKER_REPO=f"{host}/{api}",
        KO_DEFAULTBASEIMAGE=f"{host}/{api}:base",
        CGO_ENABLED="0",
        PATH=f"{go.parent}:/usr/bin:/bin",
        TMPDIR=str(temporary),  # Go ignores a go.mod in the usual one
    )  # fmt: skip
    printed = ko("build", "--bare", "--tags=v1", "--insecure-registry", ".")
    digest = bob.head(f"/v2/{api}/manifests/v1").headers["Docker-Content-Digest"]
    assert printed.strip() == f"{host}/{api}:v1@{digest}"
    assert any(tag.endswith(".sbom") for tag in bob.tags(api))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
