"""What nothing needs goes, what anything needs stays, whatever the order (G1 - G10).

The garbage collection of these tests runs beside the live server, on its data. Rows and
files are made old instead of waiting; those of other tests are young and stay.

It holds G13 of reliability.md, too.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.actors import COMMAND_LINE
from distribution.garbage import (
    BATCH,
    Collected,
    collect_garbage,
    confirm_collection,
    expire_uploads,
    held_collection,
)
from distribution.models import (
    Blob,
    BlobLink,
    HeldCollection,
    ObjectToDelete,
    Upload,
)
from distribution.storage.base import StoreError
from repositories.models import Event, ManifestReference, Repository
from repositories.pulls.counting import recount_pulls
from tests import images, make
from tests.conftest import Cast
from tests.faults.oracle import objects, objects_of
from tests.images import Image, digest_of, some_bytes
from tests.registry_client import (
    RawConnection,
    RegistryClient,
    error_codes,
    with_digest,
)
from tests.servers import BerthServer

pytestmark = pytest.mark.usefixtures("database", "registry")

TEBIBYTE = 1024**4
LONG_AGO = timedelta(hours=settings.BERTH_GARBAGE_GRACE_HOURS, minutes=1)


@pytest.fixture(autouse=True)
def _no_collection_is_too_large(settings: Any) -> None:
    """What a test makes may be most of the store, when few tests run."""
    settings.BERTH_GARBAGE_CONFIRM_PERCENT = 100


def _age(repository: str, by: timedelta = LONG_AGO) -> None:
    """Make everything of a repository older than the grace."""
    then = timezone.now() - by
    links = BlobLink.objects.filter(repository=_row(repository))
    Blob.objects.filter(links__in=links).update(created_at=then)
    links.filter(marked_at__isnull=False).update(marked_at=then)
    links.update(linked_at=then)


def _age_file(path: Path) -> None:
    then = time.time() - LONG_AGO.total_seconds()
    os.utime(path, (then, then))


def assert_sound() -> None:
    """Hold all that is kept against all that is promised (tests/faults/oracle.py).

    The live server's rows and files are those of this process, which needs no other one
    to look.
    """
    printed = StringIO()
    with suppress(SystemExit):  # with problems, which are shown below
        call_command("fsck_registry", deep=True, json=True, stdout=printed)
    assert json.loads(printed.getvalue())["problems"] == []


def _row(repository: str) -> Repository:
    namespace, _, name = repository.partition("/")
    return Repository.objects.get(namespace__name=namespace, name=name)


def _collect_as_long_as_it_takes(*repositories: str) -> None:
    """Mark, wait, delete: three nights, and everything grows old in between."""
    digests = list(
        Blob.objects.filter(
            links__repository__in=[_row(repository) for repository in repositories]
        ).values_list("pk", flat=True)
    )
    for _ in range(3):
        for repository in repositories:
            _age(repository)
        Blob.objects.filter(pk__in=digests).update(created_at=timezone.now() - LONG_AGO)
        collect_garbage()


# --- what goes, and when


def test_an_unneeded_blob_goes_with_its_bytes(
    bob: RegistryClient, api: str, registry: BerthServer
) -> None:
    """I7: only after it was marked for the grace; the usage is counted down."""
    digest = bob.push_blob(api, some_bytes(1000))
    _age(api)
    collect_garbage()
    assert objects_of(registry, digest), "marked is not gone"
    collect_garbage()
    assert objects_of(registry, digest), "it was marked a moment ago"
    _collect_as_long_as_it_takes(api)
    assert objects_of(registry, digest) == []
    assert bob.head(f"/v2/{api}/blobs/{digest}").status_code == 404
    assert _row(api).size_bytes == 0
    assert_sound()


def test_blobs_of_a_deleted_manifest_go(
    alice: RegistryClient, api: str, registry: BerthServer
) -> None:
    """And those that another image shares stay."""
    shared = some_bytes()
    gone, stays = images.image(some_bytes(), shared), images.image(some_bytes(), shared)
    alice.push(f"{api}:gone", gone)
    alice.push(f"{api}:stays", stays)
    assert alice.delete(f"/v2/{api}/manifests/{gone.digest}").status_code == 202
    _collect_as_long_as_it_takes(api)
    assert alice.pull(f"{api}:stays") == stays
    assert objects_of(registry, digest_of(gone.blobs[1])) == []


def test_what_a_crash_left_behind_goes(registry: BerthServer) -> None:
    """C08, I7: old bytes that no row names, stored or staged; young ones stay."""
    blobs = registry.data_folder / "blobs"
    folder = blobs / "sha256" / "ab"
    folder.mkdir(exist_ok=True)
    made = {}
    for path in (folder / "ab12", blobs / "uploads" / "ab12"):
        for age in ("old", "young"):
            made[path, age] = path.with_name(make.unique(f"ab12.{age}"))
            made[path, age].write_bytes(b"left behind")
            if age == "old":
                _age_file(made[path, age])
    collected = collect_garbage()
    assert collected.objects >= 2
    assert collected.freed_bytes >= 2 * len(b"left behind")
    for (_, age), path in made.items():
        assert path.exists() == (age == "young"), path
        path.unlink(missing_ok=True)


def test_a_dry_run_counts_and_changes_nothing(
    bob: RegistryClient, api: str, registry: BerthServer
) -> None:
    marked = bob.push_blob(api, some_bytes())
    location = bob.start_upload(api)
    _age(api)
    collect_garbage()
    bob.push_blob(api, some_bytes())
    _age(api)
    Upload.objects.filter(pk=_session(location)).update(touched_at=_expired())
    ObjectToDelete.objects.create(
        storage_key=make.unique("sha256/no/such"), size_bytes=5
    )
    before = _everything(registry)
    planned = collect_garbage(dry_run=True)
    assert _everything(registry) == before
    assert planned.sessions >= 1
    assert planned.marked >= 1
    assert planned.links >= 1
    assert planned.objects >= 1
    assert planned.freed_bytes >= 5
    printed = registry.manage("collect_garbage", "--dry-run")
    assert "marked: " in printed
    assert _everything(registry) == before
    assert objects_of(registry, marked)
    collect_garbage()


def _everything(server: BerthServer) -> Any:
    return (
        list(Blob.objects.order_by("pk").values_list()),
        list(BlobLink.objects.order_by("pk").values_list()),
        list(Upload.objects.order_by("pk").values_list()),
        list(ObjectToDelete.objects.order_by("pk").values_list()),
        objects(server),
        sorted(os.listdir(server.data_folder / "blobs" / "uploads")),
    )


def test_a_store_without_its_marker_is_left_alone(
    bob: RegistryClient, api: str, registry: BerthServer
) -> None:
    """FS7, I4: a folder that is not mounted does not mean that everything is gone."""
    bob.push_blob(api, some_bytes())
    _age(api)
    marker = registry.data_folder / "blobs" / "berth-store"
    hidden = marker.with_name("hidden")
    before = _everything(registry)
    marker.rename(hidden)
    try:
        with pytest.raises(StoreError):
            collect_garbage()
        with pytest.raises(StoreError):
            expire_uploads()
        with pytest.raises(RuntimeError, match="not mounted"):
            registry.manage("collect_garbage")
    finally:
        hidden.rename(marker)
    assert _everything(registry) == before


def test_it_is_safe_to_run_twice(bob: RegistryClient, api: str) -> None:
    """I8."""
    bob.push_blob(api, some_bytes())
    _collect_as_long_as_it_takes(api)
    again = collect_garbage()
    assert again == Collected()


def _empty_objects(count: int) -> Iterator[str]:
    folder = settings.BERTH_DATA / "blobs" / "sha256" / "00"
    folder.mkdir(exist_ok=True)
    for _ in range(count):
        path = folder / make.unique("k")
        path.touch()
        yield f"sha256/00/{path.name}"


def test_it_finishes_beside_pushes(bob: RegistryClient, api: str, cast: Cast) -> None:
    """I8: more than one batch, and on SQLite no snapshot that others write past."""
    count = BATCH + 20
    blobs = Blob.objects.bulk_create(
        Blob(digest=make.unique("sha256:"), size_bytes=0, storage_key=key)
        for key in _empty_objects(count)
    )
    repository = make.repository(cast.acme.namespace, make.unique("crowd"))
    BlobLink.objects.bulk_create(
        BlobLink(repository=repository, blob=blob) for blob in blobs
    )
    then = timezone.now() - LONG_AGO
    repository.blob_links.update(linked_at=then, marked_at=then)
    Blob.objects.filter(pk__in=[blob.pk for blob in blobs]).update(created_at=then)
    stopping = threading.Event()
    failures: list[BaseException] = []

    def push() -> None:
        try:
            while not stopping.is_set():
                bob.push_blob(api, some_bytes())
        except BaseException as error:
            failures.append(error)

    pusher = threading.Thread(target=push)
    pusher.start()
    try:
        collected = collect_garbage()
    finally:
        stopping.set()
        pusher.join()
    assert failures == []
    assert collected.links == collected.blobs == count
    assert not Blob.objects.filter(pk__in=[blob.pk for blob in blobs]).exists()


# --- a large share at once


@pytest.fixture
def lost_rows(registry: BerthServer) -> Iterator[Path]:
    """A stored object whose rows are gone; its size, but not its space, is a TiB."""
    folder = registry.data_folder / "blobs" / "sha256" / "00"
    folder.mkdir(exist_ok=True)
    path = folder / make.unique("lost")
    path.touch()
    os.truncate(path, TEBIBYTE)
    _age_file(path)
    yield path
    path.unlink(missing_ok=True)
    HeldCollection.objects.all().delete()


def test_a_large_share_of_the_store_waits_for_an_administrator(
    lost_rows: Path, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is deleted until it is confirmed, and a larger one asks again (E1)."""
    settings.BERTH_GARBAGE_CONFIRM_PERCENT = 25
    settings.BERTH_GARBAGE_CONFIRM_BLOBS = 0
    assert not confirm_collection(actor=COMMAND_LINE), "nothing is held yet"
    with pytest.raises(CommandError, match="no collection is held"):
        call_command("collect_garbage", confirm=True)
    events = Event.objects.filter(kind__startswith="collection.").order_by("pk")
    before = events.count()
    for _ in range(2):
        assert collect_garbage().held >= 1
        held = held_collection()
        assert held is not None and held.size_bytes >= TEBIBYTE
        assert lost_rows.exists()
    call_command("collect_garbage")
    assert "collect_garbage --confirm" in capsys.readouterr().out
    assert [e.kind for e in events[before:]] == ["collection.held"], "said once"

    os.truncate(lost_rows, 2 * TEBIBYTE)  # more than what an administrator will see
    _age_file(lost_rows)
    assert confirm_collection(actor=COMMAND_LINE)
    assert collect_garbage().held >= 1
    assert lost_rows.exists()

    call_command("collect_garbage", confirm=True)
    assert not lost_rows.exists()
    assert held_collection() is None and not HeldCollection.objects.exists()
    kinds = [e.kind for e in events[before:]]
    assert kinds == ["collection.held", "collection.confirmed"] * 2
    assert collect_garbage().held == 0


def test_a_few_blobs_never_wait(lost_rows: Path, settings: Any) -> None:
    settings.BERTH_GARBAGE_CONFIRM_PERCENT = 25
    assert collect_garbage().held == 0
    assert not lost_rows.exists()


# --- races, each in both orders


def test_g1_a_blob_waits_for_its_manifest(bob: RegistryClient, api: str) -> None:
    """G1 within the grace: 201 and the pull works."""
    image = images.image()
    for blob in image.blobs:
        bob.push_blob(api, blob)
    collect_garbage()
    assert bob.put_manifest(api, "v1", image).status_code == 201
    assert bob.pull(f"{api}:v1") == image


def test_g1_a_manifest_whose_blobs_were_collected_is_refused(
    bob: RegistryClient, api: str
) -> None:
    """G1 beyond it: the client is told and pushes again; never 201 without a blob."""
    image = images.image()
    for blob in image.blobs:
        bob.push_blob(api, blob)
    _collect_as_long_as_it_takes(api)
    refused = bob.put_manifest(api, "v1", image)
    assert refused.status_code == 400
    assert set(error_codes(refused)) == {"MANIFEST_BLOB_UNKNOWN"}
    for blob in image.blobs:
        assert bob.head(f"/v2/{api}/blobs/{digest_of(blob)}").status_code == 404
    bob.push(f"{api}:v1", image)
    assert bob.pull(f"{api}:v1") == image


def test_g1_a_finish_that_was_cut_short_days_ago_can_be_repeated(
    bob: RegistryClient, api: str, registry: BerthServer
) -> None:
    """G1, C08: the stored bytes belong to a session, however old they are."""
    content = some_bytes(1000)
    digest = digest_of(content)
    location = bob.start_upload(api)
    location = bob.patch(location, content=content).headers["Location"]
    staged = Upload.objects.get(pk=_session(location)).staged
    assert staged is not None
    blobs = registry.data_folder / "blobs"
    stored = blobs / "sha256" / digest[7:9] / f"{digest[7:]}.{staged['generation']}"
    stored.parent.mkdir(exist_ok=True)
    stored.hardlink_to(blobs / "uploads" / staged["generation"])
    _age_file(stored)
    collect_garbage()
    assert stored.exists()
    assert bob.put(with_digest(location, digest)).status_code == 201
    collect_garbage()
    assert bob.pull_blob(api, digest) == content


def test_g2_a_blob_pushed_again_while_it_is_swept_survives(
    bob: RegistryClient, api: str, registry: BerthServer
) -> None:
    """G2, C17, C18: the sweep died between the row and the bytes, or after them."""
    content = some_bytes(1000)
    for point in ("C17", "C18"):
        digest = bob.push_blob(api, content)
        pk = Blob.objects.get(digest=digest).pk
        old = objects_of(registry, digest)
        _age(api)
        collect_garbage()
        _age(api)
        BlobLink.objects.filter(blob=pk).update(marked_at=timezone.now() - LONG_AGO)
        dying = BerthServer(
            data_folder=registry.data_folder,
            database_url=os.environ.get("DATABASE_URL"),
            BERTH_CRASH_AT=point,
        )
        with pytest.raises(RuntimeError):
            dying.manage("collect_garbage")
        assert bob.head(f"/v2/{api}/blobs/{digest}").status_code == 404
        assert objects_of(registry, digest) == (old if point == "C17" else [])
        bob.push_blob(api, content)
        collect_garbage()
        assert bob.pull_blob(api, digest) == content
        assert len(objects_of(registry, digest)) == 1
        assert not ObjectToDelete.objects.filter(storage_key__in=old).exists()
    assert_sound()


def test_a_collection_that_was_killed_is_repeated_or_taken_back(
    bob: RegistryClient, api: str, registry: BerthServer
) -> None:
    """C16, C19: marks are taken back by a request, and the counters are right."""
    content = some_bytes(1000)
    digest = bob.push_blob(api, content)
    dying = BerthServer(
        data_folder=registry.data_folder,
        database_url=os.environ.get("DATABASE_URL"),
        BERTH_GARBAGE_CONFIRM_PERCENT="100",
    )

    def die(point: str) -> None:
        _age(api)
        dying.environment["BERTH_CRASH_AT"] = point
        with pytest.raises(RuntimeError):
            dying.manage("collect_garbage")

    die("C16")
    assert BlobLink.objects.get(repository=_row(api), blob__digest=digest).marked_at
    assert bob.pull_blob(api, digest) == content
    assert not BlobLink.objects.get(repository=_row(api), blob__digest=digest).marked_at
    die("C16")  # it is marked again, and nothing asks for it
    die("C19")
    assert bob.head(f"/v2/{api}/blobs/{digest}").status_code == 404
    assert objects_of(registry, digest) == []
    assert_sound()


def test_what_runs_at_night_runs_beside_itself_and_pushes(
    bob: RegistryClient, api: str, other: str, registry: BerthServer
) -> None:
    """Two collections, a deep check, recounts and pushes at once (G6, G12 - G14, X5).

    No blob is deleted twice, nothing is found that is not so, and tags serve fully.
    """
    doomed = [bob.push_blob(api, some_bytes()) for _ in range(20)]
    _age(api)
    collect_garbage()
    _age(api)
    kept = [images.image() for _ in range(3)]
    for image in kept:  # no tag refers to them, and each is tagged below
        bob.push(other, image)
    _age(other)
    stopping = threading.Event()
    failures: list[BaseException] = []
    collections: list[Collected] = []
    moved: list[Image] = []

    def collect() -> None:
        collections.append(collect_garbage())

    def check() -> None:
        call_command("fsck_registry", deep=True, stdout=StringIO())

    def recount() -> None:
        while not stopping.is_set():
            recount_pulls()

    def move() -> None:
        while not stopping.is_set() or not moved:
            moved.append(kept[len(moved) % len(kept)])
            assert bob.put_manifest(other, "v1", moved[-1]).status_code == 201

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    nightly = [
        threading.Thread(target=run, args=(w,)) for w in (collect, collect, check)
    ]
    beside = [threading.Thread(target=run, args=(w,)) for w in (recount, move)]
    for thread in (*beside, *nightly):
        thread.start()
    for thread in nightly:
        thread.join()
    stopping.set()
    for thread in beside:
        thread.join()
    assert failures == []
    assert sum(collected.links for collected in collections) >= len(doomed)
    for digest in doomed:
        assert objects_of(registry, digest) == []
    assert bob.pull(f"{other}:v1") == moved[-1]
    for image in kept:
        assert bob.pull(f"{other}@{image.digest}") == image
    assert_sound()


@pytest.mark.parametrize("asks", ["HEAD", "GET", "mount", "push"])
def test_g3_what_a_client_relies_on_stays(
    bob: RegistryClient, api: str, other: str, asks: str
) -> None:
    """G3, G4, DEL-7: asking for a marked blob takes it back for another grace."""
    image = images.image()
    for blob in image.blobs:
        bob.push_blob(api, blob)
    _age(api)
    collect_garbage()
    assert BlobLink.objects.get(
        repository=_row(api), blob__digest=digest_of(image.blobs[0])
    ).marked_at
    _age(api)
    target = api
    for blob in image.blobs:
        digest = digest_of(blob)
        if asks in {"HEAD", "GET"}:
            response = bob.request(asks, f"/v2/{api}/blobs/{digest}")
            assert response.status_code == 200
        elif asks == "push":
            bob.push_blob(api, blob)
        else:
            target = other
            bob.push_blob(other, b"{}")
            token = bob.token(f"repository:{other}:pull,push", f"repository:{api}:pull")
            path = f"/v2/{other}/blobs/uploads/?mount={digest}&from={api}"
            assert bob.post(path, token=token).status_code == 201
    collect_garbage()
    assert bob.put_manifest(target, "v1", image).status_code == 201
    assert bob.pull(f"{target}:v1") == image


def test_g7_everything_below_and_beside_an_image_stays(
    bob: RegistryClient, api: str, registry: BerthServer
) -> None:
    """G7: untagged children, an index five deep, referrers, and their blobs."""
    leaf = images.image()
    top = leaf
    for _ in range(5):
        top = images.index(top, images.image())
    bob.push(f"{api}:deep", top)
    referrer = images.artifact(leaf)
    bob.push(api, referrer)
    untagged = images.image()
    bob.push(api, untagged)
    _collect_as_long_as_it_takes(api)
    assert bob.pull(f"{api}:deep") == top
    assert bob.pull(f"{api}@{untagged.digest}") == untagged
    assert [found["digest"] for found in bob.referrers(api, leaf.digest)] == [
        referrer.digest
    ]
    assert bob.pull(f"{api}@{referrer.digest}") == referrer
    assert_sound()


def _session(location: str) -> str:
    return location.partition("?")[0].rpartition("/")[2]


def _expired() -> Any:
    ttl = timedelta(hours=settings.BERTH_UPLOAD_TTL_HOURS)
    return timezone.now() - ttl - timedelta(milliseconds=1)


def test_g9_an_expired_session_is_gone_with_its_bytes(
    bob: RegistryClient, api: str, registry: BerthServer
) -> None:
    """G9: the purge comes first."""
    location = bob.start_upload(api)
    location = bob.patch(location, content=some_bytes()).headers["Location"]
    session = Upload.objects.get(pk=_session(location))
    Upload.objects.filter(pk=session.pk).update(touched_at=_expired())
    assert expire_uploads() >= 1
    response = bob.patch(location, content=b"more")
    assert response.status_code == 404
    assert error_codes(response) == ["BLOB_UPLOAD_UNKNOWN"]
    assert session.staged is not None
    staged = registry.data_folder / "blobs" / "uploads" / session.staged["generation"]
    assert not staged.exists()


def test_g9_a_chunk_that_came_in_time_keeps_the_session(
    bob: RegistryClient, api: str
) -> None:
    """G9: the PATCH comes first."""
    location = bob.start_upload(api)
    Upload.objects.filter(pk=_session(location)).update(touched_at=_expired())
    location = bob.patch(location, content=b"arrived").headers["Location"]
    expire_uploads()
    response = bob.put(with_digest(location, digest_of(b"arrived")))
    assert response.status_code == 201
    assert bob.pull_blob(api, digest_of(b"arrived")) == b"arrived"


@pytest.mark.parametrize("arrived", [b"", b"first "], ids=["first", "later"])
def test_g9_a_chunk_on_its_way_is_kept_or_refused(
    bob: RegistryClient, api: str, registry: BerthServer, arrived: bytes
) -> None:
    """G9: the purge comes while the body streams; never 202 with bytes lost."""
    location = bob.start_upload(api)
    if arrived:
        location = bob.patch(location, content=arrived).headers["Location"]
    Upload.objects.filter(pk=_session(location)).update(touched_at=_expired())
    token = bob.token(f"repository:{api}:pull,push")
    with RawConnection(registry.url) as connection:
        connection.send_head(
            "PATCH",
            location,
            Authorization=f"Bearer {token}",
            Content_Length="8",
        )
        connection.send(b"half")
        expire_uploads()
        connection.send(b"half")
        status = connection.receive("PATCH").status
    assert status in {202, 404}
    whole = arrived + b"halfhalf"
    finished = bob.put(with_digest(location, digest_of(whole)))
    assert finished.status_code == (201 if status == 202 else 404)
    if status == 202:
        assert bob.pull_blob(api, digest_of(whole)) == whole


@pytest.mark.parametrize("order", ["unlink first", "link first"])
def test_g10_a_blob_taken_from_one_repository_stays_in_the_other(
    alice: RegistryClient, api: str, other: str, registry: BerthServer, order: str
) -> None:
    """G10, I5: readable where it is linked, unknown where it is not."""
    content = some_bytes(500)
    digest = alice.push_blob(api, content)
    steps = [
        lambda: alice.delete(f"/v2/{api}/blobs/{digest}"),
        lambda: alice.push_blob(other, content),
    ]
    for step in steps if order == "unlink first" else reversed(steps):
        step()
    _age(other)
    image = images.image(content)
    alice.push(f"{other}:v1", image)
    _collect_as_long_as_it_takes(api, other)
    assert alice.pull(f"{other}:v1") == image
    assert alice.head(f"/v2/{api}/blobs/{digest}").status_code == 404
    assert alice.get(f"/v2/{api}/blobs/{digest}").status_code == 404
    assert len(objects_of(registry, digest)) == 1
    assert_sound()


# --- manifests of types that Berth does not know


def _generic_manifest(blobs: list[bytes], absent: str) -> bytes:
    """Return a manifest of a type of its own, which names blobs in many places."""
    config, layer, blob, nested, subject, child = [
        images.descriptor(content, "application/octet-stream") for content in blobs
    ]
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": GENERIC,
            "config": config,
            "layers": [layer],
            "blobs": [blob],
            "manifests": [child],
            "subject": subject,
            "parts": {"deep": [{"inner": {"digest": nested["digest"]}}]},
            "also": {"digest": absent},
        }
    ).encode()


GENERIC = "application/vnd.example.thing.manifest.v1+json"


@pytest.mark.parametrize("is_upgrade", [False, True])
def test_what_a_manifest_of_an_unknown_type_names_stays(
    bob: RegistryClient, api: str, private_api: Repository, is_upgrade: bool
) -> None:
    """MAN-18: references are found by their shape and kept, older ones too."""
    blobs = [some_bytes() for _ in range(6)]
    digests = [bob.push_blob(api, blob) for blob in blobs]
    unused = bob.push_blob(api, some_bytes())
    later = some_bytes()  # a reference counts when its blob comes after the manifest
    manifest = Image(_generic_manifest(blobs, digest_of(later)), GENERIC)
    assert bob.put_manifest(api, "thing", manifest).status_code == 201
    bob.push_blob(api, later)
    if is_upgrade:
        ManifestReference.objects.filter(repository=private_api).delete()
        _run_migration("repositories.migrations.0011_read_manifests_again")
        _run_migration("distribution.migrations.0003_blobs_of_unknown_manifests")
    required = ManifestReference.objects.filter(
        repository=private_api, kind="other", is_required=True
    )
    assert {reference.digest for reference in required} >= set(digests[:4])
    _collect_as_long_as_it_takes(api)
    for digest, blob in zip([*digests, digest_of(later)], [*blobs, later], strict=True):
        assert bob.pull_blob(api, digest) == blob
        assert bob.delete(f"/v2/{api}/blobs/{digest}").status_code == 405
    assert bob.head(f"/v2/{api}/blobs/{unused}").status_code == 404
    assert bob.delete(f"/v2/{api}/manifests/{manifest.digest}").status_code == 202
    _collect_as_long_as_it_takes(api)
    for digest in digests:
        assert bob.head(f"/v2/{api}/blobs/{digest}").status_code == 404


def _run_migration(name: str) -> None:
    for operation in import_module(name).Migration.operations:
        operation.code(apps, None)
