"""Give back what nothing needs, while pushes and pulls continue (I4, I7, I8).

    link       no manifest names it, older than the grace   -> marked for deletion
               marked for the grace, still unneeded     -> deleted
    blob       without links, older than the grace          -> row deleted, object noted
    object     noted                                        -> deleted, note deleted
               named by no row, older than the grace        -> deleted
    session    untouched for BERTH_UPLOAD_TTL_HOURS         -> deleted with its bytes

Each step is one short transaction that looks again under the lock, so it is safe to
kill and to run twice. A client that asks for a marked blob takes it back. Time is
read from the database's rows only, never from the clock of a single request.

A run that would delete more than BERTH_GARBAGE_CONFIRM_PERCENT of the store deletes
nothing and leaves a HeldCollection, which an administrator confirms. So a database that
was restored from an old backup, or lost rows, does not cost the blobs.
"""

import logging
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.actors import SYSTEM, Actor
from database.crash_points import crash_point
from distribution.blobs import is_needed, needed_links
from distribution.installation import check_store
from distribution.models import (
    Blob,
    BlobLink,
    HeldCollection,
    ObjectToDelete,
    Upload,
)
from distribution.models.installation import ONLY
from distribution.signals import garbage_collected
from distribution.storage import blob_store
from distribution.storage.base import StoredObject
from repositories.events.recording import record_in_namespace
from repositories.models import Event, add_stored_bytes

log = logging.getLogger(__name__)

BATCH = 500  # rows of one look; memory stays flat however much there is
HOUR_SECONDS = 3600
CONFIRMED_SLACK = 1.1  # what grew since an administrator confirmed is no other case


@dataclass
class Collected:
    """The result of one run, or of a dry run."""

    sessions: int = 0
    marked: int = 0
    links: int = 0
    blobs: int = 0
    objects: int = 0
    freed_bytes: int = 0
    held: int = 0  # objects that an administrator has to confirm first


@dataclass
class Share:
    """How much of the store a run would delete."""

    objects_count: int = 0
    size_bytes: int = 0
    stored_count: int = 0
    stored_bytes: int = 0

    def is_large(self) -> bool:
        """Return whether an administrator has to confirm it."""
        percent = settings.BERTH_GARBAGE_CONFIRM_PERCENT
        if self.objects_count <= settings.BERTH_GARBAGE_CONFIRM_BLOBS:
            return False
        return (
            100 * self.objects_count > percent * self.stored_count
            or 100 * self.size_bytes > percent * self.stored_bytes
        )


def expire_uploads(*, dry_run: bool = False) -> int:
    """End sessions that no one touched for the TTL; return how many."""
    blob_store().check()
    oldest = timezone.now() - timedelta(hours=settings.BERTH_UPLOAD_TTL_HOURS)
    stale = Upload.objects.filter(touched_at__lt=oldest)
    if dry_run:
        return stale.count()
    ended = 0
    for pk in _keys(stale):
        upload = Upload.objects.filter(pk=pk).first()
        if upload is None:
            continue
        # A guarded delete: a PATCH that came in the meantime keeps its session (G9).
        deleted, _ = Upload.objects.filter(
            pk=upload.pk, version=upload.version, touched_at__lt=oldest
        ).delete()
        if deleted:
            ended += 1
            if upload.staged is not None:
                blob_store().drop(upload.staged)
    return ended


def collect_garbage(*, dry_run: bool = False) -> Collected:
    """Run every step once.

    Raises StoreError when the store is not there, is another database's or lacks many
    blobs: an empty folder, not mounted, must not be taken for a registry without blobs.
    """
    check_store()
    collected = Collected(sessions=expire_uploads(dry_run=dry_run))
    grace = timedelta(hours=settings.BERTH_GARBAGE_GRACE_HOURS)
    before = timezone.now() - grace
    share = measure_share(before)
    if share.is_large() and not _is_confirmed(share):
        collected.held = share.objects_count
        if not dry_run:
            hold_collection(share)
            log.error("garbage: held until an administrator confirms it: %s", share)
        return collected
    try:
        _delete_marked_links(collected, before, dry_run)
        _mark_links(collected, before, dry_run)
        _delete_unlinked_blobs(collected, before, dry_run)
        _delete_objects(collected, dry_run)
        _delete_orphan_objects(collected, dry_run)
    finally:
        if not dry_run:
            garbage_collected.send(None, collected=collected)
    if not dry_run:
        HeldCollection.objects.all().delete()
    log.info("garbage: %s", collected)
    return collected


def measure_share(before: datetime) -> Share:
    """Count what a run would delete, and what is stored. Nothing is changed.

    Blobs whose last links would go count at once, although their bytes go a grace
    later: after that it would be too late to ask.
    """
    share = Share()
    kept = BlobLink.objects.filter(blob=OuterRef("pk")).exclude(
        ~needed_links(), marked_at__lt=before
    )
    doomed = Blob.objects.filter(~Exists(kept), created_at__lt=before)
    sums = [
        rows.aggregate(count=models.Count("pk"), size=models.Sum("size_bytes"))
        for rows in (doomed, ObjectToDelete.objects.all())
    ]
    share.objects_count = sum(each["count"] for each in sums)
    share.size_bytes = sum(each["size"] or 0 for each in sums)
    oldest = before.timestamp()
    batch: list[StoredObject] = []
    for stored in blob_store().stored_objects():
        share.stored_count += 1
        share.stored_bytes += stored.size_bytes
        if stored.modified_at < oldest:
            batch.append(stored)
        if len(batch) == BATCH:
            _add_orphans(share, batch)
            batch = []
    _add_orphans(share, batch)
    return share


def _add_orphans(share: Share, batch: list[StoredObject]) -> None:
    keys = [stored.key for stored in batch]
    noted = ObjectToDelete.objects.filter(storage_key__in=keys)  # counted above
    counted = set(noted.values_list("storage_key", flat=True))
    for stored in _unnamed(batch):
        if stored.key not in counted:
            share.objects_count += 1
            share.size_bytes += stored.size_bytes


def held_collection() -> HeldCollection | None:
    """Return the collection that waits to be confirmed."""
    return HeldCollection.objects.filter(confirmed_at=None).first()


def hold_collection(share: Share) -> None:
    """Record that a collection waits for an administrator; once in the audit log."""
    with transaction.atomic():
        if HeldCollection.objects.filter(pk=ONLY, confirmed_at=None).update(
            **_columns(share)
        ):
            return
        HeldCollection.objects.update_or_create(
            pk=ONLY, defaults={**_columns(share), "confirmed_at": None}
        )
        record_in_namespace(
            kind=Event.Kind.COLLECTION_HELD,
            namespace=None,
            actor=SYSTEM,
            detail=_columns(share),
        )


def confirm_collection(*, actor: Actor) -> bool:
    """Let the held collection run; False if there is none.

    It counts for as much as was shown: one that has grown is held again.
    """
    with transaction.atomic():
        held = HeldCollection.objects.select_for_update().filter(confirmed_at=None)
        row = held.first()
        if row is None:
            return False
        row.confirmed_at = timezone.now()
        row.save(update_fields=["confirmed_at"])
        detail = {"objects_count": row.objects_count, "size_bytes": row.size_bytes}
        record_in_namespace(
            kind=Event.Kind.COLLECTION_CONFIRMED,
            namespace=None,
            actor=actor,
            detail=detail,
        )
    return True


def _is_confirmed(share: Share) -> bool:
    row = HeldCollection.objects.exclude(confirmed_at=None).first()
    return row is not None and (
        share.objects_count <= row.objects_count * CONFIRMED_SLACK
        and share.size_bytes <= row.size_bytes * CONFIRMED_SLACK
    )


def _columns(share: Share) -> dict[str, int]:
    return asdict(share)


def _mark_links(collected: Collected, before: object, dry_run: bool) -> None:
    links = BlobLink.objects.filter(
        ~needed_links(), marked_at=None, linked_at__lt=before
    )
    if dry_run:
        collected.marked = links.count()
        return
    for batch in _batches(links):
        with transaction.atomic():
            # One that is locked is just being relied on by a push: another night.
            free = BlobLink.objects.select_for_update(skip_locked=True)
            locked = list(free.filter(pk__in=batch).values_list("pk", flat=True))
            collected.marked += links.filter(pk__in=locked).update(
                marked_at=timezone.now()
            )
    crash_point("C16")


def _delete_marked_links(collected: Collected, before: object, dry_run: bool) -> None:
    links = BlobLink.objects.filter(marked_at__lt=before)
    if dry_run:
        collected.links = links.filter(~needed_links()).count()
        return
    for pk in _keys(links):
        with transaction.atomic():
            link = (
                BlobLink.objects.select_for_update(of=("self",))
                .select_related("blob")
                .filter(pk=pk, marked_at__lt=before)
                .first()
            )
            if link is None:
                continue  # taken back in the meantime
            if is_needed(link.repository_id, link.blob.digest):
                link.marked_at = None
                link.save(update_fields=["marked_at"])
                continue
            link.delete()
            add_stored_bytes(link.repository_id, -link.blob.size_bytes)
            collected.links += 1


def _delete_unlinked_blobs(collected: Collected, before: object, dry_run: bool) -> None:
    blobs = Blob.objects.filter(links=None, created_at__lt=before)
    if dry_run:
        collected.blobs = blobs.count()
        return
    for pk in _keys(blobs):
        with transaction.atomic():
            blob = Blob.objects.select_for_update().filter(pk=pk).first()
            if blob is None or blob.links.exists():
                continue
            ObjectToDelete.objects.create(
                storage_key=blob.storage_key, size_bytes=blob.size_bytes
            )
            blob.delete()
            collected.blobs += 1
    crash_point("C17")


def _delete_objects(collected: Collected, dry_run: bool) -> None:
    for pk in _keys(ObjectToDelete.objects.all()):
        unneeded = ObjectToDelete.objects.filter(pk=pk).first()
        if unneeded is None:
            continue  # another run was quicker
        collected.objects += 1
        collected.freed_bytes += unneeded.size_bytes
        if not dry_run:
            blob_store().delete(unneeded.storage_key)
            crash_point("C18")
            unneeded.delete()
    crash_point("C19")


def _delete_orphan_objects(collected: Collected, dry_run: bool) -> None:
    """Delete bytes that no row names: what crashes left behind.

    Bytes come before rows, so an object is an orphan only when it is older than the
    grace and no session is left that may still name it: a finish that died is repeated
    days later. Rows are read after the listing, and sessions before blobs, since a
    session ends in the transaction that makes the blob.
    """
    store = blob_store()
    oldest = time.time() - settings.BERTH_GARBAGE_GRACE_HOURS * HOUR_SECONDS
    batch: list[StoredObject] = []
    for stored in store.stored_objects():
        if stored.modified_at < oldest:
            batch.append(stored)
        if len(batch) == BATCH:
            _delete_unnamed(batch, collected, dry_run)
            batch = []
    _delete_unnamed(batch, collected, dry_run)
    for staged in list(store.staged_objects()):
        if staged.modified_at < oldest and not is_staged_needed(staged.key):
            collected.objects += 1
            collected.freed_bytes += staged.size_bytes
            if not dry_run:
                store.discard_generation(staged.key)


def _delete_unnamed(
    batch: list[StoredObject], collected: Collected, dry_run: bool
) -> None:
    for stored in _unnamed(batch):
        collected.objects += 1
        collected.freed_bytes += stored.size_bytes
        if not dry_run:
            blob_store().delete(stored.key)


def _unnamed(batch: list[StoredObject]) -> list[StoredObject]:
    """Return the objects that no blob has and no session may still name."""
    batch = [o for o in batch if not is_staged_needed(generation_of(o.key))]
    keys = [stored.key for stored in batch]
    rows = Blob.objects.filter(storage_key__in=keys)
    named = set(rows.values_list("storage_key", flat=True))
    return [stored for stored in batch if stored.key not in named]


def _keys(rows: models.QuerySet[Any]) -> Iterator[Any]:
    """Yield primary keys."""
    for batch in _batches(rows):
        yield from batch


def _batches(rows: models.QuerySet[Any]) -> Iterator[list[Any]]:
    """Yield primary keys in batches, with no cursor left open between them.

    SQLite refuses a write transaction to a connection that still reads from before
    another one's write.
    """
    last = None
    while True:
        ordered = rows.order_by("pk").values_list("pk", flat=True)
        batch = list((ordered if last is None else ordered.filter(pk__gt=last))[:BATCH])
        yield batch
        if len(batch) < BATCH:
            return
        last = batch[-1]


def generation_of(key: str) -> str:
    """Return the generation that a stored object's key ends with."""
    return key.rpartition("/")[2].rpartition(".")[2]


def is_staged_needed(generation: str) -> bool:
    """Return whether an open session may own these staged bytes."""
    try:
        session = uuid.UUID(generation.partition("-")[0])
    except ValueError:
        return False
    return Upload.objects.filter(pk=session).exists()
