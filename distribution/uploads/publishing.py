"""Publish staged bytes as a blob of a repository."""

from collections.abc import Callable

from django.db import IntegrityError, transaction

from accounts.actions import Action
from accounts.actors import Actor
from database.crash_points import crash_point
from database.locking import retry_deadlocks
from database.sql import fetch_row
from distribution.blobs import link_blob
from distribution.errors import BlobUploadUnknown, Denied
from distribution.models import Upload
from distribution.storage import blob_store
from distribution.storage.base import ObjectMissing, Staged, StoreFull
from distribution.uploads.sessions import OutOfOrder, end_session, why_lost
from repositories.models import RepositoryFacts
from repositories.oci.digests import Digest
from repositories.rights.decisions import decide

_STORED = "SELECT storage_key FROM distribution_blob WHERE digest = %s"
LINK_TRIES = 5  # a blob may be collected between being found and being linked


def publish_blob(
    *,
    repository: RepositoryFacts,
    digest: Digest,
    size_bytes: int,
    staged: Staged,
    upload: Upload | None,
    actor: Actor,
) -> None:
    """Make staged bytes the blob's: bytes first, then the rows, in one transaction.

    A blob that is there and whole stays as it is, and the new bytes are dropped; one
    whose bytes were lost or damaged gets the new ones.
    """
    store = blob_store()
    known = fetch_row(_STORED, (str(digest),))
    known_key = None if known is None else str(known[0])
    is_whole = known_key is not None and store.size_of(known_key) == size_bytes
    key = _finish_object(staged, digest, size_bytes, upload)

    @retry_deadlocks
    def link() -> str:
        with transaction.atomic():
            if upload is not None:
                end_session(upload)
            used = link_blob(
                repository=repository,
                digest=digest,
                size_bytes=size_bytes,
                key=key,
                replaces=None if is_whole else known_key,
                actor=actor,
            )
            # Long after the gate, and so that none comes after a removal (L8).
            decision = decide(actor, Action.PUSH, repository, holds=True)
            if not decision:
                raise Denied(decision.reason)
            return used

    try:
        used = _try_again(link)
    except (OutOfOrder, BlobUploadUnknown, Denied):
        if _is_own(staged, upload):
            store.delete(key)
            store.discard(staged)
        raise
    crash_point("C09")
    store.discard(staged)
    if used != key:
        store.delete(key)
    elif known_key is not None and not is_whole:
        store.delete(known_key)
    crash_point("C10")


def _finish_object(
    staged: Staged, digest: Digest, size_bytes: int, upload: Upload | None
) -> str:
    """Return the key under which the store has the bytes now."""
    store = blob_store()
    try:
        return store.finish(staged, digest, size_bytes)
    except ObjectMissing:
        if upload is None:
            raise
        raise why_lost(upload) from None
    except StoreFull:
        if _is_own(staged, upload):
            store.discard(staged)
        raise


def _is_own(staged: Staged, upload: Upload | None) -> bool:
    """Return whether no other request, which may have won, has the same bytes."""
    return upload is None or upload.staged != staged


def _try_again(link: Callable[[], str]) -> str:
    """Link the blob; its row may be collected, or made, at this moment."""
    for _ in range(LINK_TRIES - 1):
        try:
            return link()
        except IntegrityError:
            continue
    return link()
