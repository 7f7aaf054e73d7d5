"""What counts as a pull, and for what (architecture: A pull)."""

import os
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from distribution.clients import KINDS, client_kind
from distribution.pulls import (
    COUNT_INTERVAL_SECONDS,
    PullLog,
    count_abandoned,
    count_closed,
)
from repositories.models import Repository
from tests import make
from tests.api.conftest import ApiClient
from tests.conftest import Cast
from tests.images import ABSENT_DIGEST as DIGEST
from tests.images import image, index
from tests.registry_client import RegistryClient
from tests.servers import BerthServer

PATIENCE_SECONDS = 20


def statistics(
    api: ApiClient, name: str, pulls: int, *, platforms: int = 0
) -> dict[str, Any]:
    """Return the statistics once they know of so many pulls, and of platforms."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer: dict[str, Any] = api.get(f"/repositories/{name}/statistics").json()
        is_counted = (
            answer["pull_count"] >= pulls and len(answer["platforms"]) >= platforms
        )
        if is_counted or time.monotonic() > deadline:
            assert answer["pull_count"] == pulls
            return answer
        time.sleep(0.1)


@pytest.fixture
def owner(cast: Cast, registry: BerthServer, alice: RegistryClient) -> ApiClient:
    return ApiClient(alice.http, registry.url, cast.secrets[cast.alice.username])


def get(who: RegistryClient, name: str, reference: str, agent: str) -> None:
    answer = who.get(f"/v2/{name}/manifests/{reference}", headers={"User-Agent": agent})
    assert answer.status_code == 200, answer.text


def test_a_manifest_by_tag_is_a_pull_and_a_head_is_none(
    alice: RegistryClient, owner: ApiClient, api: str
) -> None:
    alice.push(f"{api}:v1", image())
    alice.head(f"/v2/{api}/manifests/v1")
    today = timezone.now().date().isoformat()
    for _ in range(3):
        get(alice, api, "v1", "docker/20.10.24 go/go1.19")
    get(alice, api, "v1", "skopeo/1.9")
    seen = statistics(owner, api, 4)
    assert seen["tags"] == {"v1": 4}
    assert seen["clients"] == {"docker": 3, "skopeo": 1}
    days = {day["day"]: day["pull_count"] for day in seen["days"]}
    assert sum(days.values()) == 4
    assert days[today] == 4 or timezone.now().date().isoformat() != today
    assert len(seen["days"]) == 30
    tag = owner.get(f"/repositories/{api}/tags/v1").json()
    assert tag["last_pulled_at"] is not None
    assert Repository.objects.get(name=api.partition("/")[2]).pull_count == 4


def test_a_multi_platform_pull_counts_once(
    alice: RegistryClient, owner: ApiClient, api: str
) -> None:
    amd, arm = image(), image()
    listing = index(amd, arm)
    alice.push(f"{api}:v2", listing)
    get(alice, api, "v2", "docker/27.0")
    get(alice, api, arm.digest, "docker/27.0")
    seen = statistics(owner, api, 1, platforms=1)  # the second may be counted later
    assert seen["platforms"] == {"linux/arm64": 1}
    assert seen["tags"] == {"v2": 1}


def test_a_pull_by_the_digest_of_a_tag_is_one_of_the_tag(
    alice: RegistryClient, owner: ApiClient, api: str
) -> None:
    """containerd asks what a tag points to, and then for the digest."""
    pushed = image()
    alice.push(f"{api}:v3", pushed)
    get(alice, api, pushed.digest, "containerd/v1.7")
    seen = statistics(owner, api, 1)
    assert seen["tags"] == {"v3": 1}
    assert seen["clients"] == {"containerd": 1}


def test_not_modified_is_no_pull(
    alice: RegistryClient, owner: ApiClient, api: str
) -> None:
    pushed = image()
    alice.push(f"{api}:v1", pushed)
    same = alice.get(
        f"/v2/{api}/manifests/v1", headers={"If-None-Match": f'"{pushed.digest}"'}
    )
    assert same.status_code == 304
    time.sleep(COUNT_INTERVAL_SECONDS * 2)
    statistics(owner, api, 0)


@pytest.mark.parametrize(
    ("user_agent", "kind"),
    [
        (
            "docker/20.10.24+dfsg1 go/go1.19.8 git-commit/5d6db84 kernel/6.1 os/linux "
            "arch/amd64 UpstreamClient(Docker-Client/20.10.24 \\(linux\\))",
            "docker",
        ),
        ("containers/5.24.2 (github.com/containers/image)", "containers"),
        ("skopeo/1.9.3", "skopeo"),
        ("libpod/4.3.1", "podman"),
        ("containerd/v1.7.2", "containerd"),
        ("buildkit/v0.12", "buildkit"),
        ("Helm/3.14.0", "helm"),
        ("oras/1.2.0", "oras"),
        ("cosign/v3.1.3 (linux; amd64)", "cosign"),
        ("crane/v0.20 go-containerregistry/v0.20", "crane"),
        ("", "other"),
        ("Wget/1.21", "other"),
    ],
)
def test_clients_are_told_apart(user_agent: str, kind: str) -> None:
    assert client_kind(user_agent) == kind


def test_every_kind_fits_its_column() -> None:
    assert all(len(kind) <= 20 for _, kind in KINDS)


# --- what a power cut and a full disk leave in the files


def test_lines_that_cannot_be_read_are_left_out_and_the_others_counted(
    private_api: Repository, tmp_path: Path
) -> None:
    day = "2030-06-15"
    good = f"{private_api.pk}\t{DIGEST}\tv1\tcri-o\t{day}\n"
    bad = (
        "\0" * 100,
        f"x\t{DIGEST}\tv1\tdocker\t{day}\n",
        f"{private_api.pk}\t{DIGEST}\tv1\tdocker\t2030-13-45\n",
        f"{private_api.pk}\tsha256:\0\0\tv1\tdocker\t{day}\n",
        f"{private_api.pk}\t{DIGEST}\tv1\tdocker\n",
        f"{private_api.pk}\t{DIGEST}\t{'v' * 200}\tdocker\t{day}\n",
    )
    for place, line in enumerate(bad):
        text = f"{good}{line}\n{good}{private_api.pk}\t{DIGEST}"
        name = f"{make.unique('file')}-{place}.closed"
        (tmp_path / name).write_text(text)
    assert count_closed(tmp_path) == len(bad)
    assert list(tmp_path.iterdir()) == []
    private_api.refresh_from_db()
    assert private_api.pull_count == 2 * len(bad)


def test_a_line_that_a_full_disk_cut_spoils_no_other(
    private_api: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulls = PullLog(tmp_path)
    pulls._thread = threading.current_thread()  # no other thread counts here
    note = partial(
        pulls.note,
        repository_id=private_api.pk,
        digest=DIGEST,
        tag="v1",
        client="docker",
    )
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda fd, line: write(fd, line[:1]))
        note()
    note()
    note()
    pulls.close_file()
    assert count_closed(tmp_path) == 1
    private_api.refresh_from_db()
    assert private_api.pull_count == 2


def test_a_worker_leaves_the_file_of_a_server_that_runs(
    private_api: Repository, tmp_path: Path
) -> None:
    """The server's lock on its file says that it runs; the system ends it with it."""
    pulls = PullLog(tmp_path)
    pulls._thread = threading.current_thread()  # no other thread counts here
    pulls.note(repository_id=private_api.pk, digest=DIGEST, tag="v1", client="docker")
    assert count_abandoned(tmp_path) == 0
    assert [path.suffix for path in tmp_path.iterdir()] == [".open"]
    assert pulls._descriptor is not None
    os.close(pulls._descriptor)
    assert count_abandoned(tmp_path) == 1
    private_api.refresh_from_db()
    assert private_api.pull_count == 1
