"""Each disk is full, once: reads go on, and Berth reports what does not (E5).

It holds DB9 of reliability.md, too.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests import images, make
from tests.faults.conftest import ADMIN, MakeServer, admin_of
from tests.faults.disks import small_disk
from tests.faults.test_database_away import SIGN_IN
from tests.images import some_bytes
from tests.registry_client import RegistryClient
from tests.servers import BerthServer, bring_tables

pytestmark = pytest.mark.own_database  # SQLite's has a disk of its own here

NAME = f"{ADMIN}/app"
SIZES = {"blobs": "16m", "database": "24m", "temporary": "8m", "broker": "8m"}
REPEATED = 60
FORGET_LAST_USE = """
from django.utils import timezone
from datetime import timedelta
from accounts.models import AccessToken
AccessToken.objects.update(last_used_at=timezone.now() - timedelta(hours=1))
"""


@dataclass
class Cramped:
    """A registry whose disks are small, each of its own."""

    server: BerthServer
    client: RegistryClient
    session: str
    image: images.Image
    folders: dict[str, Path]

    def page(self, path: str) -> httpx.Response:
        headers = {"Cookie": self.session}
        return httpx.get(f"{self.server.url}{path}", headers=headers, timeout=60)

    def ready(self, path: str = "/readyz") -> httpx.Response:
        return httpx.get(f"{self.server.url}{path}", timeout=60)

    def pull_with_a_new_login(self) -> None:
        """Sign in as docker does before each pull; its token's last use is old."""
        newcomer = RegistryClient(
            self.client.http, self.server.url, ADMIN, self.client.secret
        )
        assert newcomer.pull(f"{NAME}:v1") == self.image


@pytest.fixture(scope="module")
def cramped(
    make_server: MakeServer,
    http: httpx.Client,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cramped]:
    server = make_server()
    data = server.data_folder
    elsewhere = tmp_path_factory.mktemp("disks")
    folders = {
        "blobs": data / "blobs",
        "database": elsewhere / "database",
        "temporary": elsewhere / "temporary",
        "broker": data / "broker" / "queue",
    }
    server.environment |= {
        "DATABASE_URL": f"sqlite:///{folders['database']}/berth.sqlite3",
        "TMPDIR": str(folders["temporary"]),
    }
    with ExitStack() as disks:
        for name, folder in folders.items():
            folder.mkdir(parents=True, exist_ok=True)
            disks.enter_context(small_disk(folder, f"size={SIZES[name]}"))
        bring_tables(folders["database"])
        server.manage("prepare")
        server.start()
        client = admin_of(server, http)
        image = images.image(some_bytes(10_000))
        client.push(f"{NAME}:v1", image)
        session = server.manage("shell", "--no-imports", "-c", SIGN_IN).split()[-1]
        server.manage("shell", "--no-imports", "-c", FORGET_LAST_USE)
        yield Cramped(server, client, session, image, folders)
        server.stop()


def fill(folder: Path) -> Path:
    """Leave no byte on the disk of a folder."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1024 * 1024, 4096, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    assert not os.statvfs(folder).f_bfree
    return filler


# What /readyz reports of each full disk, and the words on the status page.
DISKS = {
    "blobs": ({"blobs": "full"}, "pushes are refused, and pulls continue"),
    "database": ({"database": "full"}, "all changes are refused"),
    "broker": ({}, "the worker receives no messages"),
    "temporary": ({}, "large forms and downloads may fail"),
}


@pytest.mark.parametrize("disk", DISKS)
def test_a_full_disk_stops_writes_and_no_read(cramped: Cramped, disk: str) -> None:
    """Pulls with a login, pages with a session and the API do not write first (E5)."""
    parts, words = DISKS[disk]
    assert cramped.ready().status_code == 200
    filler = fill(cramped.folders[disk])
    try:
        cramped.pull_with_a_new_login()
        for path in (
            "/",
            f"/{NAME}",
            f"/{NAME}/-/tags",
            "/search?q=app",
            "/-/admin/site/",
        ):
            assert cramped.page(path).status_code == 200, path
        assert words in cramped.page("/-/admin/site/").text
        ready = cramped.ready()
        assert ready.status_code == (503 if parts else 200)
        assert parts.items() <= ready.json().items()
        assert ready.json()["pulls"] == "ok"
        assert ready.json()["pushes"] == ("refused" if parts else "ok")
        assert cramped.ready("/readyz/pulls").status_code == 200

        log_start = cramped.server.log_size()
        for _ in range(REPEATED):
            push_a_blob(cramped, 507 if parts else 201)
            cramped.client.pull(f"{NAME}:v1")
        lines = cramped.server.log_tail(log_start, 10**6).splitlines()
        assert len(lines) < REPEATED, "\n".join(lines)
        assert not any("Traceback" in line for line in lines), "\n".join(lines)
    finally:
        filler.unlink()
    push_a_blob(cramped, 201)
    name = f"{NAME}:{make.unique('v')}"
    cramped.client.push(name, cramped.image)
    assert cramped.client.pull(name) == cramped.image
    assert words not in cramped.page("/-/admin/site/").text


def push_a_blob(cramped: Cramped, status: int) -> None:
    content = some_bytes(5000)
    token = cramped.client.token(f"repository:{NAME}:pull,push")
    answer = cramped.client.request(
        "POST",
        f"/v2/{NAME}/blobs/uploads/?digest={images.digest_of(content)}",
        content=content,
        token=token,
        expect_5xx=status >= 500,
    )
    assert answer.status_code == status, answer.text


def test_a_store_that_is_read_only_serves_pulls(cramped: Cramped) -> None:
    """FS5: pulls and pages work, pushes are 503, and readiness reports it."""
    folder = str(cramped.folders["blobs"])
    assert cramped.ready().status_code == 200
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    try:
        cramped.pull_with_a_new_login()
        push_a_blob(cramped, 503)
        ready = cramped.ready()
        assert ready.status_code == 503
        assert ready.json()["blobs"] == "read-only"
        assert ready.json()["pulls"] == "ok"
        assert cramped.ready("/readyz/pulls").status_code == 200
        state = cramped.page("/-/admin/site/")
        assert "read-only" in state.text
        assert "Everything works." not in state.text
    finally:
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
    push_a_blob(cramped, 201)
    assert cramped.ready().status_code == 200
