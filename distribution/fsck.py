"""Hold what is kept against what is promised (docs/development/reliability.md).

    store        the blob store is there, and is this database's
    tags         every tag points to a manifest of its own repository
    manifests    the bytes hash to the digest and have the recorded size
    references   every blob that a manifest needs is linked to its repository; what is
                 recorded of a manifest is what its bytes say
    blobs        every blob has an object of its size (deep: and of its digest)
    objects      every stored object is named by a row, or is younger than the grace
    uploads      what a session says has arrived is there; no session outlives its time
    history      the last move of a tag's history is where the tag is
    usage        a repository's size is the sum of its blobs
    deletions    no object waits longer than the grace to be deleted
    owners       every organization has an owner
    names        no former name is one that someone has now
    deleted      no deleted repository waits longer than its time to be purged
    staged       no staged bytes are left without a session beyond the grace

Safe beside pushes and pulls: a finding counts only if a second look finds it again.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import (
    FormerNamespaceName,
    Membership,
    Namespace,
    Organization,
)
from accounts.models.teams import OWNERS_TEAM
from distribution.garbage import HOUR_SECONDS, generation_of, is_staged_needed
from distribution.hashing import StreamHash
from distribution.models import Blob, BlobLink, ObjectToDelete, Upload
from distribution.storage import blob_store
from distribution.storage.base import ObjectMissing, StoreError
from repositories.models import (
    FormerRepositoryName,
    Manifest,
    ManifestReference,
    Repository,
    Tag,
    TagMove,
)
from repositories.models.repositories import restorable_since
from repositories.oci.digests import DigestMalformed, digest_of, parse_digest
from repositories.oci.documents import ManifestMalformed, read_manifest

SECOND_LOOK_SECONDS = 1.0  # between two looks at the same finding
JANITOR_SLACK = timedelta(hours=3)  # expired sessions go once an hour
CHUNK = 200  # rows in memory at once; manifests are up to 4 MiB each
PURGE_SLACK = timedelta(hours=48)  # deleted repositories go once a night
DELETION_SLACK = timedelta(hours=48)  # objects go once a night


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something that is not as promised."""

    check: str
    what: str


Check = Callable[[bool], Iterator[str]]


def run_checks(*, deep: bool = False) -> list[Finding]:
    """Run every check and return what two looks found; ``deep`` hashes every blob.

    Without its store, a database is checked by itself.
    """
    found = [Finding("store", what) for what in _check_store(deep)]
    checks = {
        name: check
        for name, check in CHECKS.items()
        if not found or check not in NEED_THE_STORE
    }
    for name, check in checks.items():
        first = set(check(deep))
        if first:
            time.sleep(SECOND_LOOK_SECONDS)
            first &= set(check(deep))
        found += sorted(Finding(name, what) for what in first)
    return found


def _check_store(deep: bool) -> Iterator[str]:
    try:
        blob_store().check()
    except StoreError as error:
        yield str(error)


def _check_tags(deep: bool) -> Iterator[str]:
    for tag in (
        Tag.objects.exclude(manifest__repository=F("repository"))
        .select_related("repository__namespace")
        .iterator(CHUNK)
    ):
        yield f"tag {tag.repository}:{tag.name} points to another repository's manifest"


def _check_manifests(deep: bool) -> Iterator[str]:
    for pk, text, size_bytes, payload in Manifest.objects.values_list(
        "pk", "digest", "size_bytes", "payload"
    ).iterator(CHUNK):
        content = bytes(payload)
        try:
            algorithm = parse_digest(text).algorithm
        except DigestMalformed:
            yield f"manifest {pk} has no digest but '{text}'"
            continue
        if str(digest_of(content, algorithm)) != text:
            yield f"manifest {pk} is not what its digest {text} says"
        if len(content) != size_bytes:
            yield f"manifest {pk} has {len(content)} bytes and not {size_bytes}"


def _check_references(deep: bool) -> Iterator[str]:
    linked = BlobLink.objects.filter(
        repository=OuterRef("repository"), blob__digest=OuterRef("digest")
    )
    for reference in (
        ManifestReference.objects.filter(~Exists(linked), is_required=True)
        .select_related("manifest", "repository__namespace")
        .iterator(CHUNK)
    ):
        yield (
            f"manifest {reference.manifest.digest} in {reference.repository} needs "
            f"{reference.digest}, which is not there"
        )
    for manifest in Manifest.objects.prefetch_related("references").iterator(CHUNK):
        yield from _check_document(manifest)


def _check_document(manifest: Manifest) -> Iterator[str]:
    try:
        document = read_manifest(bytes(manifest.payload), manifest.media_type)
    except ManifestMalformed as error:
        yield f"manifest {manifest.pk} cannot be read: {error}"
        return
    if manifest.subject_digest != str(document.subject or ""):
        yield f"manifest {manifest.pk} is recorded with another subject than it names"
    if manifest.artifact_type != document.artifact_type:
        yield f"manifest {manifest.pk} is recorded with another type than it names"
    if manifest.referrer_annotations != document.referrer_annotations:
        yield f"manifest {manifest.pk} is listed with other annotations than it has"
    recorded = sorted((r.position, r.digest, r.kind) for r in manifest.references.all())
    named = [
        (position, str(d.digest), d.kind.value)
        for position, d in enumerate(document.descriptors)
    ]
    if recorded != named:
        yield f"manifest {manifest.pk} is recorded with other references than it names"


def _check_blobs(deep: bool) -> Iterator[str]:
    store = blob_store()
    for blob in Blob.objects.iterator(CHUNK):
        size_bytes = store.size_of(blob.storage_key)
        if size_bytes is None:
            yield f"blob {blob.digest} has no object {blob.storage_key}"
        elif size_bytes != blob.size_bytes:
            yield (
                f"blob {blob.digest} has an object of {size_bytes} bytes and not "
                f"{blob.size_bytes}"
            )
        elif deep and not _is_intact(blob):
            yield f"the object of blob {blob.digest} has other content"


def _is_intact(blob: Blob) -> bool:
    digest = parse_digest(blob.digest)
    stream = StreamHash(digest.algorithm)
    try:
        for piece in blob_store().open(
            blob.storage_key, blob.size_bytes, 0, blob.size_bytes
        ):
            stream.update(piece)
        return stream.digest() == digest
    except (ObjectMissing, StoreError, OSError):
        return False
    finally:
        stream.close()


def _check_objects(deep: bool) -> Iterator[str]:
    oldest = time.time() - settings.BERTH_GARBAGE_GRACE_HOURS * HOUR_SECONDS
    for stored in blob_store().stored_objects():
        if stored.modified_at > oldest or is_staged_needed(generation_of(stored.key)):
            continue
        if not Blob.objects.filter(storage_key=stored.key).exists() and not (
            ObjectToDelete.objects.filter(storage_key=stored.key).exists()
        ):
            yield f"object {stored.key} is named by no blob"


def _check_uploads(deep: bool) -> Iterator[str]:
    ttl = timedelta(hours=settings.BERTH_UPLOAD_TTL_HOURS) + JANITOR_SLACK
    oldest = timezone.now() - ttl
    for upload in Upload.objects.iterator(CHUNK):
        if upload.touched_at < oldest:
            yield f"upload {upload.pk} is older than its time"
        if upload.offset_bytes and not (
            upload.staged is not None
            and blob_store().has_staged(upload.staged, upload.offset_bytes)
        ):
            yield (
                f"upload {upload.pk} says that {upload.offset_bytes} bytes arrived, "
                "which are not there"
            )


def _check_history(deep: bool) -> Iterator[str]:
    last_move = TagMove.objects.filter(
        repository=OuterRef("repository"), name=OuterRef("name")
    ).order_by("-pk")
    for tag in (
        Tag.objects.annotate(
            last_digest=Coalesce(Subquery(last_move.values("digest")[:1]), Value(""))
        )
        .exclude(last_digest=F("manifest__digest"))
        .iterator(CHUNK)
    ):
        yield f"the history of tag {tag.pk} ({tag.name}) ends elsewhere than the tag"
    tags = Tag.objects.filter(repository=OuterRef("repository"), name=OuterRef("name"))
    later = TagMove.objects.filter(
        repository=OuterRef("repository"), name=OuterRef("name"), pk__gt=OuterRef("pk")
    )
    for move in (
        TagMove.objects.exclude(digest="")
        .filter(~Exists(tags), ~Exists(later))
        .select_related("repository__namespace")
        .iterator(CHUNK)
    ):
        yield (
            f"the history of tag {move.name} in {move.repository} ends with a "
            "manifest, and there is no such tag"
        )


def _check_usage(deep: bool) -> Iterator[str]:
    stored = (
        BlobLink.objects.filter(repository=OuterRef("pk"))
        .order_by()
        .values("repository")
        .annotate(stored=Sum("blob__size_bytes"))
        .values("stored")
    )
    for repository in (
        Repository.objects.with_full_name()
        .annotate(stored=Coalesce(Subquery(stored), Value(0)))
        .exclude(stored=F("size_bytes"))
        .iterator(CHUNK)
    ):
        yield f"{repository} counts other bytes than its blobs have"


def _check_deletions(deep: bool) -> Iterator[str]:
    oldest = timezone.now() - DELETION_SLACK
    for overdue in ObjectToDelete.objects.filter(marked_at__lt=oldest):
        yield f"object {overdue.storage_key} should have been deleted long ago"


def _check_owners(deep: bool) -> Iterator[str]:
    owners = Membership.objects.filter(
        team__organization=OuterRef("pk"),
        team__name=OWNERS_TEAM,
        user__isnull=False,
    )
    for organization in Organization.objects.filter(~Exists(owners)).iterator(CHUNK):
        yield f"organization {organization.pk} has no owner"


def _check_names(deep: bool) -> Iterator[str]:
    taken = Namespace.objects.filter(name=OuterRef("name"))
    for former in FormerNamespaceName.objects.filter(Exists(taken)).iterator(CHUNK):
        yield f"the name {former.name} leads to another namespace than the one it is of"
    there_is = Repository.objects.filter(
        namespace=OuterRef("namespace"), name=OuterRef("name"), deleted_at=None
    )
    for name in FormerRepositoryName.objects.filter(Exists(there_is)).iterator(CHUNK):
        yield (
            f"the name {name.name} in namespace {name.namespace_id} leads to another "
            "repository than the one it is of"
        )


def _check_deleted(deep: bool) -> Iterator[str]:
    for repository in Repository.objects.filter(
        deleted_at__lt=restorable_since() - PURGE_SLACK
    ).iterator(CHUNK):
        yield f"repository {repository.pk} should have been purged long ago"


def _check_staged(deep: bool) -> Iterator[str]:
    oldest = time.time() - settings.BERTH_GARBAGE_GRACE_HOURS * HOUR_SECONDS
    for staged in blob_store().staged_objects():
        if staged.modified_at < oldest and not is_staged_needed(staged.key):
            yield f"staged bytes {staged.key} belong to no session"


NEED_THE_STORE = (
    _check_store,  # found already
    _check_blobs,
    _check_objects,
    _check_uploads,
    _check_staged,
)
CHECKS: dict[str, Check] = {
    "store": _check_store,
    "tags": _check_tags,
    "manifests": _check_manifests,
    "references": _check_references,
    "blobs": _check_blobs,
    "objects": _check_objects,
    "uploads": _check_uploads,
    "history": _check_history,
    "usage": _check_usage,
    "deletions": _check_deletions,
    "owners": _check_owners,
    "names": _check_names,
    "deleted": _check_deleted,
    "staged": _check_staged,
}
