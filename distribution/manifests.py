"""Manifests on the wire: what a PUT keeps and what a GET finds (MAN-1 .. MAN-16)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.conf import settings
from django.db import transaction

from accounts.actions import Action
from accounts.actors import Actor
from accounts.conditions import UNCONDITIONAL, Conditions
from database.crash_points import crash_point
from database.locking import retry_deadlocks
from database.sql import fetch_row
from distribution.errors import (
    Denied,
    ManifestBlobUnknown,
    ManifestInvalid,
    NameUnknown,
)
from distribution.headers import check_conditions
from distribution.images import read_image_config
from distribution.models import BlobLink
from repositories.manifests import (
    MediaTypeDiffers,
    add_image_config,
    mark_pushed,
    record_manifest,
    record_push_by_digest,
    store_image_config,
)
from repositories.models import Manifest, RepositoryFacts
from repositories.oci.digests import Digest
from repositories.oci.documents import Document, ReferenceKind
from repositories.rights.decisions import decide, decide_tags
from repositories.tags import move_tag

_COLUMNS = "m.digest, m.media_type, m.size_bytes"
_BY_DIGEST = """
SELECT {columns} FROM repositories_manifest m
 WHERE m.repository_id = %s AND m.digest = %s"""
_BY_TAG = """
SELECT {columns} FROM repositories_tag t
  JOIN repositories_manifest m ON m.id = t.manifest_id
 WHERE t.repository_id = %s AND t.name = %s"""

# Kinds of references whose bytes the repository has to have (D-8).
OWN_BLOBS = frozenset({ReferenceKind.CONFIG, ReferenceKind.LAYER})


@dataclass(frozen=True, slots=True)
class FoundManifest:
    """The part of a manifest that an answer needs; ``payload`` only where needed."""

    digest: str
    media_type: str
    size_bytes: int
    payload: bytes | None


def find_manifest(
    repository: RepositoryFacts, reference: Digest | str, *, with_payload: bool
) -> FoundManifest | None:
    """Return a manifest by digest or by tag. One query, no objects (MAN-15)."""
    columns = f"{_COLUMNS}, m.payload" if with_payload else _COLUMNS
    sql = _BY_DIGEST if isinstance(reference, Digest) else _BY_TAG
    row = fetch_row(sql.format(columns=columns), (repository.id, str(reference)))
    if row is None:
        return None
    payload = bytes(row[3]) if with_payload else None
    return FoundManifest(row[0], row[1], row[2], payload)


@retry_deadlocks
def put_manifest(
    *,
    repository: RepositoryFacts,
    digest: Digest,
    payload: bytes,
    document: Document,
    tags: Sequence[str],
    actor: Actor,
    by_digest: bool = False,
    conditions: Conditions = UNCONDITIONAL,
) -> None:
    """Keep a manifest and move its tags, all or nothing (D-11).

    Everything is locked in the order of database/locking.py, so that the garbage
    collection, deletions and other pushes wait or come after. Tags are judged by where
    they pointed when they were locked; a refusal undoes everything. Raises
    ManifestBlobUnknown, PreconditionFailed, NameUnknown, and Denied for a tag that the
    actor may not create or move.
    """
    config = read_image_config(repository, digest, document)
    with transaction.atomic():
        present = _lock_blobs(repository, document)
        _check_manifest_sizes(repository, document)
        crash_point("C11")
        try:
            manifest, is_new = record_manifest(
                repository=repository,
                digest=digest,
                payload=payload,
                document=document,
                required=present,
                actor=actor,
            )
        except MediaTypeDiffers as error:
            raise ManifestInvalid(f"manifest invalid: {error}") from error
        crash_point("C12")
        previous = {
            tag: move_tag(
                repository=repository, name=tag, manifest=manifest, actor=actor
            )
            for tag in sorted(tags)
        }
        if is_new and not tags:
            record_push_by_digest(repository=repository, manifest=manifest, actor=actor)
        if not mark_pushed(repository):
            raise NameUnknown("the repository was deleted or moved at this moment")
        if config is not None:
            add = add_image_config if is_new else store_image_config
            add(manifest, config)
        _check_tags(repository, digest, previous, actor)
        target = {str(digest): "" if is_new else str(digest)} if by_digest else {}
        _check_conditions(conditions, target, previous)
    crash_point("C13")


def _lock_blobs(repository: RepositoryFacts, document: Document) -> set[str]:
    """Return the digests that are blobs here, locked; unmark marked links."""
    named = {str(descriptor.digest) for descriptor in document.descriptors}
    if document.subject is not None:
        named.add(str(document.subject))
    links = list(
        BlobLink.objects.select_for_update(of=("self",))
        .filter(repository_id=repository.id, blob__digest__in=named)
        .order_by("blob__digest")
        .values_list("pk", "blob__digest", "blob__size_bytes", "marked_at")
    )
    _check_sizes(document, {digest: size for _, digest, size, _ in links})
    present = {digest for _, digest, _, _ in links}
    needed = {str(d.digest) for d in document.descriptors if d.kind in OWN_BLOBS}
    missing = sorted(needed - present)
    if missing and repository.namespace_name not in settings.BERTH_SPARSE_NAMESPACES:
        raise ManifestBlobUnknown(missing)
    marked = [pk for pk, _, _, marked_at in links if marked_at is not None]
    if marked:
        BlobLink.objects.filter(pk__in=marked).update(marked_at=None)
    return present


def _check_manifest_sizes(repository: RepositoryFacts, document: Document) -> None:
    """Hold the sizes of children and subject against the manifests that are here."""
    named = {
        str(descriptor.digest)
        for descriptor in document.descriptors
        if descriptor.kind in {ReferenceKind.CHILD, ReferenceKind.OTHER}
    }
    if document.subject is not None:
        named.add(str(document.subject))
    if named:
        rows = Manifest.objects.filter(repository_id=repository.id, digest__in=named)
        _check_sizes(document, dict(rows.values_list("digest", "size_bytes")))


def _check_sizes(document: Document, sizes: Mapping[str, int]) -> None:
    """Refuse a descriptor that gives another size than the content has.

    Clients allocate, and stop reading, by the size that a descriptor gives.
    """
    for digest, size_bytes in document.sizes:
        actual = sizes.get(str(digest), size_bytes)
        if actual != size_bytes:
            raise ManifestInvalid(
                f"manifest invalid: the size of {digest} is {actual} bytes and not "
                f"{size_bytes}"
            )


def _check_tags(
    repository: RepositoryFacts,
    digest: Digest,
    previous: Mapping[str, str],
    actor: Actor,
) -> None:
    """Refuse what the actor may not do to the tags.

    The last step before the commit, and a right that lets it happen is held until
    then: a push that comes after the right was taken away is undone (L8).
    """
    if not previous:
        decision = decide(actor, Action.PUSH, repository, holds=True)
        if not decision:
            raise Denied(decision.reason)
        return
    actions = {
        tag: Action.PUSH if pointed_to in ("", str(digest)) else Action.OVERWRITE
        for tag, pointed_to in previous.items()
    }
    for decision in decide_tags(actor, actions, repository, holds=True):
        if not decision:
            raise Denied(decision.reason)


def _check_conditions(
    conditions: Conditions, manifest: Mapping[str, str], tags: Mapping[str, str]
) -> None:
    """Undo a push that its conditions exclude, under the locks of its tags (COND-1).

    Both are mappings to where something pointed before, "" for what is new. The
    conditions are about the URL: the manifest of a push by digest, else the tag. Tags
    in the query of a push by digest have to be new too, if that is asked for.
    """
    for name, before in (manifest or tags).items():
        check_conditions(conditions, before, f"'{name}'")
    if manifest and conditions.none_match is not None:
        for tag, before in tags.items():
            check_conditions(replace(conditions, match=None), before, f"tag '{tag}'")
