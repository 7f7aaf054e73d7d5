"""Uploads: start, append, finish, cancel. The state machine of pushing a blob.

    POST ──> session ──PATCH──> session ──PUT?digest──> blob + link
                 └──────────────PUT?digest + body──────────┘
    POST?digest + body ────────────────────────────────────┘

No transaction is open and no row is locked while a body streams. Instead every change
of a session counts its ``version`` up with a guarded UPDATE, and a request whose
version is no longer the row's has lost (OutOfOrder):

* From offset 0 every request writes bytes of its own and wins or loses at the end.
* Later requests first claim the row (``writer``) and append in place. A claim that is
  still there when another request comes belongs to one that died or is being overtaken:
  the newcomer continues with a copy, so that no two ever write to the same bytes (L9).

What a session says has arrived is durable: first the bytes, then the row (UP-13). The
row itself need not be: after a power cut a session may say less than arrived, or be
gone, and its client sends those bytes again. Only the blob's commit waits for the disk.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.dispatch import receiver
from django.utils import timezone

from accounts.actions import Action
from accounts.actors import Actor
from accounts.memberships import member_leaves
from accounts.models import Namespace, User
from accounts.signin_limits import TooManyAttempts
from accounts.users import user_suspended
from database.crash_points import crash_point
from database.durability import quick_transaction
from database.locking import retry_deadlocks
from database.sql import change_rows, fetch_row, prepared_value
from distribution.blobs import link_blob
from distribution.bodies import Body, BodyCutOff, Receiving
from distribution.errors import (
    BlobUploadUnknown,
    Denied,
    DigestInvalid,
    SizeInvalid,
)
from distribution.hashing import StreamHash
from distribution.models import Upload
from distribution.storage import blob_store
from distribution.storage.base import ObjectMissing, Staged, StoreFull
from repositories.models import RepositoryFacts
from repositories.oci.digests import CANONICAL_ALGORITHM, Digest
from repositories.rights.decisions import decide

_INSERT = """
INSERT INTO distribution_upload (uuid, repository_id, user_id, robot_id, offset_bytes,
  algorithm, digest_so_far, staged, writer, version, started_at, touched_at)
VALUES (%s, %s, %s, %s, 0, %s, '', NULL, NULL, 0, %s, %s)"""
_FIND = """
SELECT user_id, robot_id, offset_bytes, algorithm, digest_so_far, staged, writer,
  version
  FROM distribution_upload WHERE uuid = %s AND repository_id = %s"""
_COUNT_OPEN = """
SELECT COUNT(*), SUM(CASE WHEN touched_at > %s THEN 1 ELSE 0 END)
  FROM distribution_upload WHERE {owner} = %s"""
_UPDATE = """
UPDATE distribution_upload SET {assignments}, version = version + 1
 WHERE uuid = %s AND version = %s"""
_DELETE = "DELETE FROM distribution_upload WHERE uuid = %s AND version = %s"
_STORED = "SELECT storage_key FROM distribution_blob WHERE digest = %s"

_value = partial(prepared_value, Upload)

OPEN_IN_USE = timedelta(hours=1)  # untouched for longer, a session is abandoned
ABANDONED_FACTOR = 10  # times BERTH_OPEN_UPLOADS, abandoned ones included
OPEN_RETRY_SECONDS = 60
LINK_TRIES = 5  # a blob may be collected between being found and being linked


class OutOfOrder(Exception):
    """The bytes do not start where the session ends, or another request was quicker."""

    def __init__(self, upload: Upload) -> None:
        super().__init__(f"the upload continues at byte {upload.offset_bytes}")
        self.upload = upload


@dataclass(frozen=True, slots=True)
class ContentRange:
    """The position of a chunk in the blob; both ends inclusive (UP-5)."""

    first: int
    last: int

    @property
    def length_bytes(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class _Received:
    """Bytes of one request, durable in the store; ``cut_off`` says why they ended."""

    staged: Staged
    size_bytes: int
    digest: Digest
    cut_off: BodyCutOff | None


class TooManyUploads(TooManyAttempts):
    """The account has too many sessions open; finished and canceled ones are gone."""

    def __init__(self, count: int) -> None:
        super().__init__(OPEN_RETRY_SECONDS)
        self.args = (
            f"{count} uploads are open: finish or cancel some, or try again in "
            f"{OPEN_RETRY_SECONDS} seconds (BERTH_OPEN_UPLOADS)",
        )


def _check_open_uploads(actor: Actor) -> None:
    """Raise TooManyUploads for an account with too many sessions in use, or at all.

    One that was not touched for an hour was probably abandoned, and blocks nothing
    until there are ten times as many. One query.
    """
    if actor.is_anonymous:
        return
    owner = "robot_id" if actor.robot_id is not None else "user_id"
    since = _value("touched_at", timezone.now() - OPEN_IN_USE)
    row = fetch_row(
        _COUNT_OPEN.format(owner=owner), (since, actor.robot_id or actor.user_id)
    )
    count, in_use = (row[0], row[1] or 0) if row is not None else (0, 0)
    most = settings.BERTH_OPEN_UPLOADS
    if in_use >= most or count >= ABANDONED_FACTOR * most:
        raise TooManyUploads(count)


def start_upload(
    *,
    repository: RepositoryFacts,
    actor: Actor,
    algorithm: str = CANONICAL_ALGORITHM,
) -> Upload:
    """Begin a session, bound to the repository and to who began it.

    Raises TooManyUploads.
    """
    _check_open_uploads(actor)
    upload = Upload(
        repository_id=repository.id,
        user_id=actor.user_id,
        robot_id=actor.robot_id,
        algorithm=algorithm,
    )
    now = timezone.now()
    with quick_transaction():
        change_rows(
            _INSERT,
            (
                _value("uuid", upload.pk),
                repository.id,
                actor.user_id,
                actor.robot_id,
                algorithm,
                _value("started_at", now),
                _value("touched_at", now),
            ),
        )
        crash_point("C01")
    crash_point("C02")
    return upload


def find_upload(*, repository: RepositoryFacts, uuid_text: str, actor: Actor) -> Upload:
    """Return a session of this repository and this actor, else BlobUploadUnknown."""
    if not uuid_text.isascii():  # int() reads other digits, too
        raise BlobUploadUnknown
    try:
        key = uuid.UUID(uuid_text)
    except ValueError as error:
        raise BlobUploadUnknown from error
    row = fetch_row(_FIND, (_value("uuid", key), repository.id))
    if row is None or row[:2] != (actor.user_id, actor.robot_id):
        raise BlobUploadUnknown
    user_id, robot_id, offset_bytes, algorithm, digest_so_far, staged, *rest = row
    writer, version = rest
    return Upload(
        uuid=key,
        repository_id=repository.id,
        user_id=user_id,
        robot_id=robot_id,
        offset_bytes=offset_bytes,
        algorithm=algorithm,
        digest_so_far=digest_so_far,
        staged=None if staged is None else json.loads(staged),
        writer=None if writer is None else uuid.UUID(str(writer)),
        version=version,
    )


def append_to_upload(
    *, upload: Upload, body: Body, content_range: ContentRange | None
) -> Receiving[None]:
    """Add a body to the session and move its offset.

    Raises OutOfOrder when the range does not begin at the offset or another request
    was quicker, and SizeInvalid when range and body differ in length. Of a body that
    was cut off, what arrived counts.
    """
    _check_order(upload, content_range)
    _check_length(body, content_range)
    received = yield from _receive_next(upload, body, upload.algorithm)
    if content_range and received.size_bytes > content_range.length_bytes:
        _give_up(upload, received)
        raise SizeInvalid("the body is longer than its Content-Range")
    _save_progress(upload, received)
    crash_point("C05")
    if received.cut_off:
        raise received.cut_off
    if content_range and received.size_bytes < content_range.length_bytes:
        raise SizeInvalid("the body is shorter than its Content-Range")


def finish_upload(
    *,
    upload: Upload,
    body: Body,
    content_range: ContentRange | None,
    digest: Digest,
    repository: RepositoryFacts,
    actor: Actor,
) -> Receiving[None]:
    """Close the session: its bytes become a blob of the repository.

    Raises DigestInvalid, and ends the session, when the bytes are not what the digest
    says (UP-8), and Denied when the actor may not push any more.
    """
    _check_order(upload, content_range)
    _check_length(body, content_range)
    if upload.offset_bytes == 0 and not body.is_empty:
        received = yield from _receive_next(upload, body, digest.algorithm)
        if received.cut_off:
            # The client is gone: keep what came, so that it may continue (UP-13).
            _save_progress(upload, received)
            raise received.cut_off
        staged, size_bytes, actual = (
            received.staged,
            received.size_bytes,
            received.digest,
        )
    else:
        if not body.is_empty:
            yield from append_to_upload(
                upload=upload, body=body, content_range=content_range
            )
        if upload.writer is not None:
            _claim(upload)  # a request that died, or is still writing, had it
        staged = upload.staged or blob_store().stage(_generation(upload))
        size_bytes = upload.offset_bytes
        actual = _digest_of_staged(upload, staged, digest.algorithm)
    if actual != digest:
        blob_store().discard(staged)
        cancel_upload(upload=upload)
        raise DigestInvalid(
            f"the bytes have the digest {actual} and not {digest}",
            detail={"expected": str(digest), "actual": str(actual)},
        )
    _keep(
        repository=repository,
        digest=digest,
        size_bytes=size_bytes,
        staged=staged,
        upload=upload,
        actor=actor,
    )


def push_whole_blob(
    *, repository: RepositoryFacts, body: Body, digest: Digest, actor: Actor
) -> Receiving[None]:
    """Take a whole blob in one request, without a session (end-4b)."""
    store = blob_store()
    staged = store.stage(uuid.uuid4().hex)
    received = yield from _receive(staged, 0, body, digest.algorithm)
    if received.cut_off or received.digest != digest:
        store.discard(received.staged)
        if received.cut_off:
            raise received.cut_off
        raise DigestInvalid(
            f"the bytes have the digest {received.digest} and not {digest}",
            detail={"expected": str(digest), "actual": str(received.digest)},
        )
    _keep(
        repository=repository,
        digest=digest,
        size_bytes=received.size_bytes,
        staged=received.staged,
        upload=None,
        actor=actor,
    )


def cancel_upload(*, upload: Upload) -> None:
    """End a session and give its space back."""
    staged = (
        Upload.objects.filter(pk=upload.pk).values_list("staged", flat=True).first()
    )
    deleted, _ = Upload.objects.filter(pk=upload.pk).delete()
    if staged is not None:
        blob_store().discard(staged)
    if not deleted:
        raise BlobUploadUnknown


@receiver(member_leaves)
def cancel_uploads_in(*, namespace: Namespace, user: User, **signal: Any) -> None:
    """End the sessions of a user who leaves a namespace."""
    _cancel_all(Upload.objects.filter(repository__namespace=namespace, user=user))


@receiver(user_suspended)
def cancel_uploads_of(*, user: User, **signal: Any) -> None:
    """End the sessions of a user who is suspended."""
    _cancel_all(Upload.objects.filter(user=user))


def _cancel_all(uploads: QuerySet[Upload]) -> None:
    """Delete the rows now, and what they staged after the commit."""
    rows = list(uploads.values_list("pk", "staged"))
    Upload.objects.filter(pk__in=[pk for pk, _ in rows]).delete()
    for _, staged in rows:
        if staged is not None:
            transaction.on_commit(partial(blob_store().discard, staged), robust=True)


# --- receiving bytes


def _check_order(upload: Upload, content_range: ContentRange | None) -> None:
    if content_range is not None and content_range.first != upload.offset_bytes:
        raise OutOfOrder(upload)


def _check_length(body: Body, content_range: ContentRange | None) -> None:
    if (
        content_range is not None
        and body.length_bytes is not None
        and body.length_bytes != content_range.length_bytes
    ):
        raise SizeInvalid("Content-Range and Content-Length differ")


def _receive_next(upload: Upload, body: Body, algorithm: str) -> Receiving[_Received]:
    """Write a body behind what the session has; the row is not moved yet."""
    if upload.offset_bytes == 0:
        staged = blob_store().stage(_generation(upload))
    else:
        _claim(upload)
        assert upload.staged is not None, "a session with bytes has their place"
        staged = upload.staged
    try:
        return (yield from _receive(staged, upload.offset_bytes, body, algorithm))
    except ObjectMissing:
        raise _why_lost(upload) from None
    except BaseException:
        _release(upload)
        raise


def _receive(
    staged: Staged, offset_bytes: int, body: Body, algorithm: str
) -> Receiving[_Received]:
    """Write and hash a body as it comes; if it breaks off, what arrived counts."""
    cut_off = None
    stream = StreamHash(algorithm)
    try:
        with blob_store().write(staged, offset_bytes) as writer:
            try:
                while piece := (yield from body.next_piece()):
                    stream.update(piece)
                    writer.add(piece)
            except BodyCutOff as error:
                cut_off = error
            staged = writer.commit()
        crash_point("C04")
        return _Received(staged, writer.size_bytes, stream.digest(), cut_off)
    finally:
        stream.close()


def _generation(upload: Upload) -> str:
    return f"{upload.pk.hex}-{uuid.uuid4().hex[:8]}"


def _digest_of_staged(upload: Upload, staged: Staged, algorithm: str) -> Digest:
    """Return the digest of everything that arrived, from memory where possible."""
    if upload.digest_so_far and upload.algorithm == algorithm:
        return Digest(algorithm, upload.digest_so_far)
    stream = StreamHash(algorithm)
    if not upload.offset_bytes:
        return stream.digest()
    try:
        for piece in blob_store().read_staged(staged, upload.offset_bytes):
            stream.update(piece)
    except ObjectMissing:
        raise _why_lost(upload) from None
    finally:
        stream.close()
    return stream.digest()


# --- moving the row


def _update(upload: Upload, **columns: object) -> None:
    """Change the row if no one else did since it was read, else raise OutOfOrder."""
    columns["touched_at"] = timezone.now()
    assignments = ", ".join(f"{name} = %s" for name in columns)
    values = [_value(name, value) for name, value in columns.items()]
    with quick_transaction():
        changed = change_rows(
            _UPDATE.format(assignments=assignments),
            (*values, _value("uuid", upload.pk), upload.version),
        )
    if not changed:
        raise _why_lost(upload)
    upload.version += 1
    for name, value in columns.items():
        setattr(upload, name, value)


def _claim(upload: Upload) -> None:
    """Become the only request that may write behind the session's bytes.

    Where another request has claimed them, copy first and let the row decide whose copy
    counts: until then no one's bytes are taken away.
    """
    store, source = blob_store(), upload.staged
    if upload.writer is None or source is None:
        _update(upload, writer=uuid.uuid4())
        return
    try:
        copy = store.fork(source, upload.offset_bytes, _generation(upload))
    except ObjectMissing:
        # Finished before, by a request that died: finish() finds it.
        _update(upload, writer=uuid.uuid4())
        return
    try:
        _update(upload, writer=uuid.uuid4(), staged=copy)
    except (OutOfOrder, BlobUploadUnknown):
        store.discard(copy)
        raise
    store.discard(source)


def _save_progress(upload: Upload, received: _Received) -> None:
    columns: dict[str, object] = {
        "staged": received.staged,
        "offset_bytes": upload.offset_bytes + received.size_bytes,
        "algorithm": received.digest.algorithm,
        "digest_so_far": "" if upload.offset_bytes else received.digest.encoded,
        "writer": None,
    }
    in_place = upload.offset_bytes > 0
    try:
        _update(upload, **columns)
    except (OutOfOrder, BlobUploadUnknown):
        if not in_place or not Upload.objects.filter(pk=upload.pk).exists():
            blob_store().discard(received.staged)
        raise


def _give_up(upload: Upload, received: _Received) -> None:
    """Forget what a request wrote.

    Behind other bytes the claim stays, so that the next request copies what counts.
    """
    if upload.offset_bytes == 0:
        blob_store().discard(received.staged)


def _release(upload: Upload) -> None:
    """Let go of a claim, so that the next request need not copy."""
    if upload.writer is not None:
        Upload.objects.filter(pk=upload.pk, version=upload.version).update(
            writer=None, version=F("version") + 1
        )


def _keep(
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
    # Bytes that the session names are also another request's, which may have won.
    is_own = upload is None or upload.staged != staged
    known = fetch_row(_STORED, (str(digest),))
    known_key = None if known is None else str(known[0])
    is_whole = known_key is not None and store.size_of(known_key) == size_bytes
    try:
        key = store.finish(staged, digest, size_bytes)
    except ObjectMissing:
        if upload is None:
            raise
        raise _why_lost(upload) from None
    except StoreFull:
        if is_own:
            store.discard(staged)
        raise

    @retry_deadlocks
    def link() -> str:
        with transaction.atomic():
            if upload is not None:
                _end(upload)
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

    for tries_left in reversed(range(LINK_TRIES)):
        try:
            used = link()
            break
        except IntegrityError:  # its row was collected, or made, at this moment
            if not tries_left:
                raise
        except (OutOfOrder, BlobUploadUnknown, Denied):
            if is_own:
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


def _end(upload: Upload) -> None:
    """Delete the session in the caller's transaction, unless another was quicker."""
    if not change_rows(_DELETE, (_value("uuid", upload.pk), upload.version)):
        raise _why_lost(upload)


def _why_lost(upload: Upload) -> OutOfOrder | BlobUploadUnknown:
    """Return the error of a request that finds its session changed, or gone."""
    latest = Upload.objects.filter(pk=upload.pk).first()
    if latest is None or latest.version == upload.version:
        return BlobUploadUnknown("the bytes of this upload are gone")
    return OutOfOrder(latest)
