"""Blobs of a repository: find, link, mount, unlink (BLOB-1 .. MNT-7).

A blob is content, kept once; a link makes it visible in a repository. Nothing here ever
finds a blob by its digest alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.actions import Action
from accounts.actors import Actor
from accounts.authentication import actor_of_access_token, find_live_access_token
from accounts.outages import is_disk_full
from database.crash_points import crash_point
from database.locking import retry_deadlocks
from database.sql import change_rows, fetch_row, for_update, prepared_value
from distribution.errors import Denied
from distribution.models import Blob, BlobLink
from repositories.models import (
    Manifest,
    ManifestReference,
    Repository,
    RepositoryFacts,
    add_stored_bytes,
)
from repositories.oci.digests import Digest
from repositories.rights.decisions import decide

_FIND = """
SELECT l.id, b.id, b.size_bytes, b.storage_key, l.marked_at,
       l.user_id, l.robot_id, l.is_shared
  FROM distribution_bloblink l JOIN distribution_blob b ON b.id = l.blob_id
 WHERE l.repository_id = %s AND b.digest = %s"""

_MAKE = """
INSERT INTO distribution_blob (digest, size_bytes, storage_key, created_at)
VALUES (%s, %s, %s, %s) ON CONFLICT (digest) DO NOTHING RETURNING id"""
_LOCK = "SELECT id, storage_key FROM distribution_blob WHERE digest = %s"
_REPLACE = (
    "UPDATE distribution_blob SET storage_key = %s, size_bytes = %s WHERE id = %s"
)
_MAKE_LINK = """
INSERT INTO distribution_bloblink
  (repository_id, blob_id, linked_at, marked_at, user_id, robot_id, is_shared)
VALUES (%s, %s, %s, NULL, %s, %s, FALSE)
ON CONFLICT (repository_id, blob_id) DO NOTHING"""
_RELY_ON = """
UPDATE distribution_bloblink
   SET marked_at = NULL, is_shared = (is_shared
       OR COALESCE(user_id, 0) <> %s OR COALESCE(robot_id, 0) <> %s)
 WHERE repository_id = %s AND blob_id = %s AND (marked_at IS NOT NULL
       OR (NOT is_shared
           AND (COALESCE(user_id, 0) <> %s OR COALESCE(robot_id, 0) <> %s)))"""


@dataclass(frozen=True, slots=True)
class LinkedBlob:
    """A blob as seen in one repository."""

    link_id: int
    blob_id: int
    size_bytes: int
    storage_key: str
    is_marked: bool
    user_id: int | None  # who pushed it first
    robot_id: int | None
    is_shared: bool  # another one relies on it too

    def is_of(self, actor: Actor) -> bool:
        """Return whether the actor pushed it first."""
        return (self.user_id, self.robot_id) == (actor.user_id, actor.robot_id)


def find_blob(repository: RepositoryFacts, digest: Digest) -> LinkedBlob | None:
    """Return the blob if it is linked to the repository. One query, no objects."""
    row = fetch_row(_FIND, (repository.id, str(digest)))
    if row is None:
        return None
    link_id, blob_id, size_bytes, storage_key, marked_at, *pushed = row
    return LinkedBlob(
        link_id, blob_id, size_bytes, storage_key, marked_at is not None, *pushed
    )


def unmark_blob(blob: LinkedBlob) -> bool:
    """Unmark a link, since a client now relies on it; False if it is deleted.

    Only for a link that the garbage collection has marked: otherwise asking for a blob
    changes nothing (BLOB-2).
    """
    try:
        changed = BlobLink.objects.filter(pk=blob.link_id).update(marked_at=None)
    except OperationalError as error:
        if not is_disk_full(error):
            raise
        return True  # it can be pulled; no push could rely on it now
    return changed == 1


def link_blob(
    *,
    repository: RepositoryFacts,
    digest: Digest,
    size_bytes: int,
    key: str,
    replaces: str | None,
    actor: Actor,
) -> str:
    """Make stored bytes a blob of the repository; return the key that is now used.

    Runs in the caller's transaction. Of two uploads of the same blob the first one's
    bytes stay. ``replaces`` is a key whose bytes turned out to be damaged.
    """
    now = prepared_value(Blob, "created_at", timezone.now())
    fetch_row(_MAKE, (str(digest), size_bytes, key, now))
    # Read a new row too, so that a blob of elsewhere takes no other statements.
    found = fetch_row(_LOCK + for_update(), (str(digest),))
    if found is None:
        raise IntegrityError(f"{digest} was collected at this moment")
    blob_id, used = found
    if replaces is not None and used == replaces:
        used = key
        change_rows(_REPLACE, (key, size_bytes, blob_id))
    _link(repository, blob_id, size_bytes, actor)
    return str(used)


@retry_deadlocks
def mount_blob(
    *,
    repository: RepositoryFacts,
    digest: Digest,
    source: RepositoryFacts,
    actor: Actor,
) -> bool:
    """Link a blob of the source repository here too; False if the source lacks it.

    Whether the actor may pull from the source is the caller's question.
    """
    with transaction.atomic():
        link = (
            BlobLink.objects.select_for_update(of=("self",))
            .select_related("blob")
            .filter(repository_id=source.id, blob__digest=str(digest))
            .first()
        )
        if link is None:
            return False
        _link(repository, link.blob_id, link.blob.size_bytes, actor)
        crash_point("C15")
    return True


def find_mount_source(actor: Actor, digest: Digest) -> RepositoryFacts | None:
    """Return a repository that the actor may pull the blob from (MNT-4)."""
    repository = (
        Repository.objects.visible_to(actor)
        .with_full_name()
        .filter(blob_links__blob__digest=str(digest))
        .order_by("pk")
        .first()
    )
    return repository.facts if repository is not None else None


def may_pull_by_itself(actor: Actor, source: RepositoryFacts) -> bool:
    """Return whether the subject may pull, whatever its registry token says (D-1).

    The ceiling of the access token behind the registry token is read again, since a
    registry token carries only what it was asked for.
    """
    return bool(decide(with_own_ceiling(actor), Action.PULL, source))


def with_own_ceiling(actor: Actor) -> Actor:
    """Return the actor under the ceiling of its access token, as it is now."""
    if actor.access_token_id is None:
        return actor
    token = find_live_access_token(actor.access_token_id)
    return actor if token is None else actor_of_access_token(token)


def record_reliance(
    *, repository: RepositoryFacts, blob: LinkedBlob, actor: Actor
) -> None:
    """Record that a push found the blob here and will not upload it again."""
    if not blob.is_shared and not blob.is_of(actor):
        try:
            _rely_on(repository, blob.blob_id, actor)
        except OperationalError as error:
            if not is_disk_full(error):
                raise


@retry_deadlocks
def unlink_blob(
    *,
    repository: RepositoryFacts,
    blob: LinkedBlob,
    actor: Actor,
    check: Callable[[], None] = lambda: None,
) -> bool:
    """Take a blob out of the repository; False if a manifest needs it (D-10).

    Another person's push may be about to name it. So it is deleted for those who
    pushed it and share it with no one, and for administrators of the repository.
    Raises Denied for everyone else. ``check`` is called last; if it raises, the blob
    stays.
    """
    with transaction.atomic():
        link = BlobLink.objects.select_for_update().filter(pk=blob.link_id).first()
        digest = Blob.objects.values_list("digest", flat=True).get(pk=blob.blob_id)
        if is_needed(repository.id, digest):
            return False
        if link is not None:
            _check_removal(link, digest, repository, actor)
            check()
            link.delete()
            add_stored_bytes(repository.id, -blob.size_bytes)
    return True


def is_needed(repository_id: int, digest: str) -> bool:
    """Return whether a manifest of the repository names the digest."""
    return (
        ManifestReference.objects.filter(
            repository_id=repository_id, digest=digest
        ).exists()
        or Manifest.objects.filter(
            repository_id=repository_id, subject_digest=digest
        ).exists()
    )


def needed_links() -> Q:
    """Return the rule of is_needed for a query of links."""
    repository = OuterRef("repository")
    references = ManifestReference.objects.filter(
        repository=repository, digest=OuterRef("blob__digest")
    )
    # An absent subject is "", which no blob is called; the condition is the index's.
    subjects = Manifest.objects.exclude(subject_digest="").filter(
        repository=repository, subject_digest=OuterRef("blob__digest")
    )
    return Q(Exists(references)) | Q(Exists(subjects))


def _check_removal(
    link: BlobLink, digest: str, repository: RepositoryFacts, actor: Actor
) -> None:
    is_own = (link.user_id, link.robot_id) == (actor.user_id, actor.robot_id)
    if is_own and not link.is_shared:
        return
    if decide(with_own_ceiling(actor), Action.DESTROY, repository):
        return
    raise Denied(
        f"blob {digest} was pushed, or is used, by someone else, whose image may be "
        "about to name it; unused blobs are removed by the garbage collection"
    )


def _link(
    repository: RepositoryFacts, blob_id: int, size_bytes: int, actor: Actor
) -> None:
    now = prepared_value(BlobLink, "linked_at", timezone.now())
    who = (actor.user_id, actor.robot_id)
    if change_rows(_MAKE_LINK, (repository.id, blob_id, now, *who)):
        add_stored_bytes(repository.id, size_bytes)
    else:
        _rely_on(repository, blob_id, actor)


def _rely_on(repository: RepositoryFacts, blob_id: int, actor: Actor) -> None:
    """Keep a link from the garbage collection, and from deletion by one of several."""
    who = (actor.user_id or 0, actor.robot_id or 0)
    change_rows(_RELY_ON, (*who, repository.id, blob_id, *who))
