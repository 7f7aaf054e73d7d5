"""A database and a blob store that do not belong together are kept apart (E1)."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import images
from tests.faults.conftest import ADMIN, MakeServer, admin_of
from tests.images import digest_of, some_bytes
from tests.registry_client import RegistryClient, error_codes
from tests.servers import BerthServer, Loaded, LoadedServer, bring_tables, free_port

NAME = f"{ADMIN}/app"
# Every way in which rows and bytes can part, in one process: each case changes the
# folder or the rows, prepares, and puts everything back.
CASES = """
import json, shutil, uuid
from pathlib import Path
from django.conf import settings
from django.db import transaction
from accounts.actors import COMMAND_LINE
from distribution import installation
from distribution.installation import adopt_store, prepare_store
from distribution.models import Blob, BlobLink, ObjectToDelete, Installation
from distribution.storage import blob_store
from distribution.storage.base import StoreError
from distribution.garbage import collect_garbage

store = blob_store()
folder, kept = store.folder, store.folder.with_name("kept")
marker = folder / "berth-store"

def new_database():
    no_blobs()
    Installation.objects.all().delete()

def no_blobs():
    BlobLink.objects.all().delete()
    Blob.objects.all().delete()

def other_store():
    store.write_mark(str(uuid.uuid4()))

def empty_store():
    shutil.rmtree(folder)
    folder.mkdir()

def no_store():
    shutil.rmtree(folder)

def other_empty_store():
    empty_store()
    store.prepare()
    other_store()

def half_a_restore():
    for path in sorted(folder.glob("sha256/*/*"))[::2]:
        path.unlink()

def newer_store():
    fields = json.loads(marker.read_text())
    marker.write_text(json.dumps({**fields, "format": 99}))

def unreadable():
    marker.write_bytes(bytes(range(200)))

def lost_marker():
    marker.unlink()

def earlier_version():
    marker.write_text("")
    Installation.objects.all().delete()

def earlier_version_other_store():
    empty_store()
    store.prepare()
    marker.write_text("")
    Installation.objects.all().delete()

def earlier_version_new_database():
    new_database()
    marker.write_text("")

def all_new():
    new_database()
    no_store()

def new_database_and_unused_store():
    other_empty_store()
    new_database()

def nothing():
    pass

def outcome(case):
    shutil.copytree(folder, kept)
    before = files(kept)
    try:
        with transaction.atomic():
            case()
            changed = files(folder) if folder.exists() else None
            try:
                prepare_store(store)
                store.check()
                said = "ok"
            except StoreError as error:
                said = str(error)
                assert (files(folder) if folder.exists() else None) == changed, case
                store._verified = None
                try:
                    collect_garbage()
                    said = "collected"
                except StoreError as error:
                    pass
                adopt = case.__name__ not in ("newer_store", "unreadable")
                if adopt:
                    store.prepare()
                    adopt_store(actor=COMMAND_LINE)
                    prepare_store(store)
                    store.check()
            transaction.set_rollback(True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        kept.rename(folder)
    assert files(folder) == before
    return said

def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))

print(json.dumps({
    case.__name__: outcome(case)
    for case in (
        nothing, lost_marker, earlier_version, all_new, new_database_and_unused_store,
        new_database, no_blobs, other_store, empty_store, no_store, other_empty_store,
        half_a_restore, newer_store, unreadable, earlier_version_other_store,
        earlier_version_new_database,
    )
}))
"""
COUNT_ROWS = """
from distribution.models import Blob
from repositories.models import ImageConfig, Tag
print(Blob.objects.count(), Tag.objects.count(), ImageConfig.objects.count())
"""
ADOPT, MOVE = "adopt_store", "copy its database first"
EXPECTED = {
    "nothing": ["ok"],
    "lost_marker": ["ok"],
    "earlier_version": ["ok"],
    "all_new": ["ok"],
    "new_database_and_unused_store": ["ok"],
    "new_database": ["belongs to another database", "is new", MOVE, ADOPT],
    "no_blobs": ["ok"],  # the same installation: all its repositories are purged
    "other_store": ["belongs to another database", MOVE, ADOPT],
    "empty_store": ["lacks 8 of 8 sampled blobs", "mounted", "restore", ADOPT],
    "no_store": ["lacks 8 of 8 sampled blobs", "mounted", ADOPT],
    "other_empty_store": ["belongs to another database", "8 of 8 sampled", ADOPT],
    "half_a_restore": ["lacks 4 of 8 sampled blobs", "restore complete", ADOPT],
    "newer_store": ["has format 99", "supports 1"],
    "unreadable": ["cannot be read", ADOPT],
    "earlier_version_other_store": ["lacks 8 of 8 sampled blobs", ADOPT],
    "earlier_version_new_database": ["belongs to another database", ADOPT],
}


@pytest.fixture(scope="module")
def server(make_server: MakeServer, http: httpx.Client) -> LoadedServer:
    server = make_server()
    server.manage("prepare")
    server.start()
    client = admin_of(server, http)
    for place in range(4):
        client.push(f"{NAME}:v{place}", images.image(some_bytes(1000)))
    return server


@pytest.fixture
def client(server: BerthServer, http: httpx.Client) -> RegistryClient:
    return admin_of(server, http)


@contextmanager
def elsewhere(server: LoadedServer, **environment: str) -> Iterator[Loaded]:
    """Run commands on the server's store, with another database."""
    loaded = Loaded(server.environment | environment)
    try:
        yield loaded
    finally:
        loaded.end()


def stored(server: BerthServer) -> list[str]:
    return sorted(str(path) for path in server.data_folder.glob("blobs/sha256/*/*"))


def test_every_way_to_part_is_told_and_can_be_adopted(server: LoadedServer) -> None:
    """Nothing is changed by a refusal, and no collection runs after it (E1)."""
    status, printed = server.loaded.run("shell", "--no-imports", "-c", CASES)
    assert status == 0, printed
    outcomes: dict[str, Any] = json.loads(printed.splitlines()[-1])
    assert set(outcomes) == set(EXPECTED)
    for case, words in EXPECTED.items():
        for word in words:
            assert word in outcomes[case], (case, outcomes[case])


def test_another_database_stops_the_start_and_costs_no_blob(
    server: LoadedServer, tmp_path: Path
) -> None:
    """A typing error in DATABASE_URL, as an administrator makes it (E1)."""
    before = stored(server)
    bring_tables(tmp_path / "typo")
    with elsewhere(
        server,
        DATABASE_URL=f"sqlite:///{tmp_path}/typo/berth.sqlite3",
        BERTH_GARBAGE_GRACE_HOURS="1",
        BERTH_LISTEN=f"127.0.0.1:{free_port()}",
    ) as other:
        status, said = other.run("prepare")
        assert status != 0
        assert "belongs to another database" in said
        assert "typo/berth.sqlite3" in said
        assert "adopt_store" in said
        assert "Traceback" not in said
        assert "is ready" not in said
        for command in ("serve", "collect_garbage"):
            status, said = other.run(command)
            assert status != 0, command
            assert "does not belong to this database" in said
            assert "Traceback" not in said
        status, said = other.run("fsck_registry")
        assert status == 1
        assert "store: the blob store" in said
        status, said = other.run("adopt_store")
        assert status == 0
        assert "Nothing was changed" in said
    assert stored(server) == before


def test_an_installation_moves_with_its_rows_to_another_database(
    server: LoadedServer, tmp_path: Path
) -> None:
    """The commands of docs/operations.md: dumpdata, loaddata, and the id too (E2).

    What `migrate` makes of an empty database is kept, since it takes a while.
    """
    rows = str(tmp_path / "rows.json")
    bring_tables(tmp_path / "moved")
    dump = "dumpdata --natural-foreign -e contenttypes -e auth.permission -o"
    with elsewhere(
        server, DATABASE_URL=f"sqlite:///{tmp_path}/moved/berth.sqlite3"
    ) as other:
        for place, command in (
            (server.loaded, f"{dump} {rows}"),
            (other, "migrate -v 0"),
            (other, "flush --no-input -v 0"),
            (other, f"loaddata {rows} -v 0"),
            (other, "prepare"),
            (other, "rebuild_search"),
            (other, "fsck_registry --deep"),
        ):
            status, said = place.run(*command.split())
            assert status == 0, (command, said)
        assert "0 problems" in said
        count = ("shell", "--no-imports", "-c", COUNT_ROWS)
        counted = server.loaded.run(*count)
        assert counted[1].split()[-3] != "0"
        assert other.run(*count) == counted


def test_a_store_that_is_replaced_while_serving_is_not_used(
    server: BerthServer, client: RegistryClient
) -> None:
    """An empty folder in its place: 503 and no 404, and it recovers by itself (E1)."""
    image = client.pull(f"{NAME}:v1")
    digest = digest_of(image.blobs[0])
    blobs = server.data_folder / "blobs"
    kept = blobs.with_name("kept")
    content = some_bytes()
    token = client.token(f"repository:{NAME}:pull,push")
    blobs.rename(kept)
    try:
        for is_prepared in (False, True):
            blobs.mkdir()
            if is_prepared:
                (blobs / "uploads").mkdir()
                (blobs / "sha256" / digest[7:9]).mkdir(parents=True)
                (blobs / "berth-store").touch()
            for method, path, body in (
                ("GET", f"/v2/{NAME}/blobs/{digest}", None),
                ("HEAD", f"/v2/{NAME}/blobs/{digest}", None),
                (
                    "POST",
                    f"/v2/{NAME}/blobs/uploads/?digest={digest_of(content)}",
                    content,
                ),
            ):
                answer = client.request(
                    method, path, content=body, token=token, expect_5xx=True
                )
                assert answer.status_code == 503, (method, is_prepared)
                assert int(answer.headers["Retry-After"]) > 0
                if method != "HEAD":
                    assert error_codes(answer) == ["UNAVAILABLE"]
            ready = httpx.get(f"{server.url}/readyz")
            assert ready.status_code == 503
            assert ready.json()["blobs"] != "ok"
            assert not list(blobs.glob("uploads/*"))
            shutil.rmtree(blobs)
    finally:
        kept.rename(blobs)
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    assert client.pull(f"{NAME}:v1") == image
