"""fsck_registry finds each corruption when it is planted, and only that (I16)."""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db.models import F
from django.utils import timezone

from accounts.models import FormerNamespaceName, Organization
from distribution.fsck import CHECKS, run_checks
from distribution.models import Blob, BlobLink, ObjectToDelete, Upload
from distribution.storage import blob_store
from distribution.storage.marks import MARKER
from repositories.models import (
    FormerRepositoryName,
    Manifest,
    ManifestReference,
    Repository,
    Tag,
    TagMove,
)
from tests import make
from tests.conftest import Cast
from tests.images import digest_of, image, some_bytes
from tests.registry_client import RegistryClient

LONG_AGO = timedelta(days=30)


class Planted:
    """One image in a repository of its own, to be damaged."""

    def __init__(self, cast: Cast, alice: RegistryClient) -> None:
        self.alice = alice
        self.repository = make.repository(cast.acme.namespace, make.unique("fsck"))
        self.name = self.repository.full_name
        self.image = image(some_bytes(1000))
        alice.push(f"{self.name}:v1", self.image)
        self.manifest = Manifest.objects.get(repository=self.repository)
        self.layer = Blob.objects.get(digest=digest_of(self.image.blobs[1]))
        self.object = Path(settings.BERTH_DATA) / "blobs" / self.layer.storage_key

    def another_manifest(self) -> Manifest:
        other = make.repository(self.repository.namespace, make.unique("other"))
        self.alice.push(f"{other.full_name}:v1", image())
        return Manifest.objects.get(repository=other)


Plant = Callable[[Planted], Callable[[], object]]


def tag_of_another_repository(p: Planted) -> Callable[[], object]:
    tags = Tag.objects.filter(repository=p.repository)
    TagMove.objects.filter(repository=p.repository).delete()  # that check is another
    other = p.another_manifest()
    TagMove.objects.create(
        repository=p.repository,
        name="v1",
        digest=other.digest,
        moved_at=timezone.now(),
    )
    tags.update(manifest=other)

    def undo() -> None:
        tags.delete()
        TagMove.objects.filter(repository=p.repository).delete()

    return undo


def manifest_of_other_bytes(p: Planted) -> Callable[[], object]:
    manifests = Manifest.objects.filter(pk=p.manifest.pk)
    manifests.update(payload=p.image.payload + b" ", size_bytes=F("size_bytes") + 1)
    return lambda: manifests.update(
        payload=p.image.payload, size_bytes=len(p.image.payload)
    )


def manifest_of_another_size(p: Planted) -> Callable[[], object]:
    manifests = Manifest.objects.filter(pk=p.manifest.pk)
    manifests.update(size_bytes=1)
    return lambda: manifests.update(size_bytes=len(p.image.payload))


def layer_not_linked(p: Planted) -> Callable[[], object]:
    link = BlobLink.objects.get(repository=p.repository, blob=p.layer)
    repositories = Repository.objects.filter(pk=p.repository.pk)
    repositories.update(size_bytes=F("size_bytes") - p.layer.size_bytes)
    link.delete()

    def undo() -> None:
        BlobLink.objects.create(repository=p.repository, blob=p.layer)
        repositories.update(size_bytes=F("size_bytes") + p.layer.size_bytes)

    return undo


def reference_lost(p: Planted) -> Callable[[], object]:
    reference = ManifestReference.objects.get(manifest=p.manifest, position=1)
    ManifestReference.objects.filter(pk=reference.pk).delete()
    return lambda: reference.save(force_insert=True)


def subject_invented(p: Planted) -> Callable[[], object]:
    manifests = Manifest.objects.filter(pk=p.manifest.pk)
    manifests.update(subject_digest=digest_of(b"nothing"))
    return lambda: manifests.update(subject_digest="")


def annotations_invented(p: Planted) -> Callable[[], object]:
    manifests = Manifest.objects.filter(pk=p.manifest.pk)
    manifests.update(referrer_annotations='{"a":"b"}', referrer_annotations_bytes=9)
    return lambda: manifests.update(
        referrer_annotations="", referrer_annotations_bytes=0
    )


def object_lost(p: Planted) -> Callable[[], object]:
    content = p.object.read_bytes()
    p.object.unlink()
    return lambda: p.object.write_bytes(content)


def object_truncated(p: Planted) -> Callable[[], object]:
    content = p.object.read_bytes()
    os.truncate(p.object, 10)
    return lambda: p.object.write_bytes(content)


def object_with_a_flipped_bit(p: Planted) -> Callable[[], object]:
    content = p.object.read_bytes()
    p.object.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    return lambda: p.object.write_bytes(content)


def orphan_object(p: Planted) -> Callable[[], object]:
    orphan = p.object.with_name(p.object.name + "0")
    orphan.write_bytes(b"orphan")
    long_ago = time.time() - LONG_AGO.total_seconds()
    os.utime(orphan, (long_ago, long_ago))
    return orphan.unlink


def session_ahead_of_its_bytes(p: Planted) -> Callable[[], object]:
    location = p.alice.start_upload(p.name)
    p.alice.patch(location, content=b"some")
    upload = Upload.objects.get(pk=location.rpartition("/")[2])
    Upload.objects.filter(pk=upload.pk).update(offset_bytes=1_000_000)
    return lambda: p.alice.delete(location)


def session_beyond_its_time(p: Planted) -> Callable[[], object]:
    location = p.alice.start_upload(p.name)
    Upload.objects.filter(pk=location.rpartition("/")[2]).update(
        touched_at=timezone.now() - LONG_AGO
    )
    return lambda: p.alice.delete(location)


def history_that_ends_elsewhere(p: Planted) -> Callable[[], object]:
    moves = TagMove.objects.filter(repository=p.repository, name="v1")
    moves.update(digest=digest_of(b"elsewhere"))
    return lambda: moves.update(digest=p.manifest.digest)


def history_of_a_tag_that_is_gone(p: Planted) -> Callable[[], object]:
    Tag.objects.filter(repository=p.repository).delete()
    return TagMove.objects.filter(repository=p.repository).delete


def usage_miscounted(p: Planted) -> Callable[[], object]:
    repositories = Repository.objects.filter(pk=p.repository.pk)
    repositories.update(size_bytes=F("size_bytes") + 7)
    return lambda: repositories.update(size_bytes=F("size_bytes") - 7)


def object_marked_long_ago(p: Planted) -> Callable[[], object]:
    marked = ObjectToDelete.objects.create(storage_key="gone", size_bytes=1)
    rows = ObjectToDelete.objects.filter(pk=marked.pk)
    rows.update(marked_at=timezone.now() - LONG_AGO)
    return rows.delete


def organization_without_owner(p: Planted) -> Callable[[], object]:
    organization = Organization.objects.create()
    return organization.delete


def namespace_name_of_two(p: Planted) -> Callable[[], object]:
    namespace = p.repository.namespace
    former = FormerNamespaceName.objects.create(name=namespace, namespace=namespace)
    return former.delete


def repository_name_of_two(p: Planted) -> Callable[[], object]:
    other = make.repository(p.repository.namespace, make.unique("other"))
    former = FormerRepositoryName.objects.create(
        namespace=p.repository.namespace, name=p.repository.name, repository=other
    )
    return former.delete


def repository_deleted_long_ago(p: Planted) -> Callable[[], object]:
    rows = Repository.objects.filter(pk=p.repository.pk)
    rows.update(deleted_at=timezone.now() - LONG_AGO)
    return lambda: rows.update(deleted_at=None)


def staged_bytes_without_session(p: Planted) -> Callable[[], object]:
    generation = "0" * 32 + "-1"
    staged = Path(settings.BERTH_DATA) / "blobs" / "uploads" / generation
    staged.write_bytes(b"left")
    long_ago = time.time() - LONG_AGO.total_seconds()
    os.utime(staged, (long_ago, long_ago))
    return lambda: blob_store().discard_generation(generation)


def store_of_another_database(p: Planted) -> Callable[[], object]:
    """The bytes are not compared then: they are another registry's (E1)."""
    marker = Path(settings.BERTH_DATA) / "blobs" / MARKER
    right = marker.read_text()
    identifier = json.loads(right)["installation"]
    marker.write_text(right.replace(identifier, str(uuid.uuid4())))
    return lambda: marker.write_text(right)


CORRUPTIONS: list[tuple[str, Plant, bool]] = [
    ("tags", tag_of_another_repository, False),
    ("manifests", manifest_of_other_bytes, False),
    ("manifests", manifest_of_another_size, False),
    ("references", layer_not_linked, False),
    ("references", reference_lost, False),
    ("references", subject_invented, False),
    ("references", annotations_invented, False),
    ("blobs", object_lost, False),
    ("blobs", object_truncated, False),
    ("blobs", object_with_a_flipped_bit, True),
    ("objects", orphan_object, False),
    ("uploads", session_ahead_of_its_bytes, False),
    ("uploads", session_beyond_its_time, False),
    ("history", history_that_ends_elsewhere, False),
    ("history", history_of_a_tag_that_is_gone, False),
    ("usage", usage_miscounted, False),
    ("deletions", object_marked_long_ago, False),
    ("owners", organization_without_owner, False),
    ("names", namespace_name_of_two, False),
    ("names", repository_name_of_two, False),
    ("deleted", repository_deleted_long_ago, False),
    ("staged", staged_bytes_without_session, False),
    ("store", store_of_another_database, False),
]


@contextmanager
def damaged(plant: Plant, planted: Planted) -> Iterator[None]:
    undo = plant(planted)
    try:
        yield
    finally:
        undo()


@pytest.mark.parametrize(
    ("check", "plant", "deep"),
    CORRUPTIONS,
    ids=[plant.__name__ for _, plant, _ in CORRUPTIONS],
)
def test_a_planted_corruption_is_found(
    cast: Cast, alice: RegistryClient, check: str, plant: Plant, deep: bool
) -> None:
    """Exactly one finding, of that check; everything else stays sound."""
    planted = Planted(cast, alice)
    with damaged(plant, planted):
        found = run_checks(deep=deep)
    assert [finding.check for finding in found] == [check], found
    assert not run_checks()


def test_a_flipped_bit_wants_the_deep_look(cast: Cast, alice: RegistryClient) -> None:
    planted = Planted(cast, alice)
    with damaged(object_with_a_flipped_bit, planted):
        assert not [p for p in run_checks() if planted.layer.digest in p.what]


def test_every_check_has_a_corruption() -> None:
    assert {check for check, _, _ in CORRUPTIONS} == set(CHECKS)


def test_the_command_fails_when_something_is_wrong(
    cast: Cast, alice: RegistryClient, capsys: pytest.CaptureFixture[str]
) -> None:
    planted = Planted(cast, alice)
    with damaged(usage_miscounted, planted), pytest.raises(SystemExit) as ended:
        call_command("fsck_registry", "--json")
    assert ended.value.code == 1
    report = json.loads(capsys.readouterr().out)
    assert {"check": "usage"}.items() <= report["problems"][-1].items()
