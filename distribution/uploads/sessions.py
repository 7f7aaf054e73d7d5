"""The rows of upload sessions: find, start, claim, move on, end.

A change of a row counts its version up, unless another request did so first.
"""

import json
import uuid
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.dispatch import receiver
from django.utils import timezone

from accounts.actors import Actor
from accounts.memberships import member_leaves
from accounts.models import Namespace, User
from accounts.signin_limits import TooManyAttempts
from accounts.users import user_suspended
from database.crash_points import crash_point
from database.durability import quick_transaction
from database.sql import change_rows, fetch_row, prepared_value
from distribution.errors import BlobUploadUnknown
from distribution.models import Upload
from distribution.storage import blob_store
from distribution.storage.base import ObjectMissing
from repositories.models import RepositoryFacts
from repositories.oci.digests import CANONICAL_ALGORITHM

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

_value = partial(prepared_value, Upload)

OPEN_IN_USE = timedelta(hours=1)  # untouched for longer, a session is abandoned
ABANDONED_FACTOR = 10  # times BERTH_OPEN_UPLOADS, abandoned ones included
OPEN_RETRY_SECONDS = 60


class OutOfOrder(Exception):
    """The bytes do not start where the session ends, or another request was quicker."""

    def __init__(self, upload: Upload) -> None:
        super().__init__(f"the upload continues at byte {upload.offset_bytes}")
        self.upload = upload


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


def cancel_upload(*, upload: Upload) -> None:
    """End a session and give its space back."""
    staged = (
        Upload.objects.filter(pk=upload.pk).values_list("staged", flat=True).first()
    )
    deleted, _ = Upload.objects.filter(pk=upload.pk).delete()
    if staged is not None:
        # Without the row, no one can finish them any more.
        (blob_store().drop if deleted else blob_store().discard)(staged)
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


def update_session(upload: Upload, **columns: object) -> None:
    """Change the row unless another request did since it was read: OutOfOrder."""
    columns["touched_at"] = timezone.now()
    assignments = ", ".join(f"{name} = %s" for name in columns)
    values = [_value(name, value) for name, value in columns.items()]
    with quick_transaction():
        changed = change_rows(
            _UPDATE.format(assignments=assignments),
            (*values, _value("uuid", upload.pk), upload.version),
        )
    if not changed:
        raise why_lost(upload)
    upload.version += 1
    for name, value in columns.items():
        setattr(upload, name, value)


def claim(upload: Upload) -> None:
    """Become the only request that may write behind the session's bytes.

    From the first change of the row on, a request that had claimed them has lost. What
    counts is copied after that, and no bytes are deleted before the row names the copy.
    """
    store, source = blob_store(), upload.staged
    is_overtaking = upload.writer is not None
    update_session(upload, writer=uuid.uuid4())
    if not is_overtaking or source is None:
        return
    try:
        copy = store.fork(source, upload.offset_bytes, new_generation(upload))
    except ObjectMissing:
        return  # finished before, by a request that died: finish() finds it
    try:
        update_session(upload, staged=copy)
    except (OutOfOrder, BlobUploadUnknown):
        store.drop(copy)
        raise
    store.drop(source)


def release(upload: Upload) -> None:
    """Let go of a claim, so that the next request need not copy."""
    if upload.writer is not None:
        Upload.objects.filter(pk=upload.pk, version=upload.version).update(
            writer=None, version=F("version") + 1
        )


def end_session(upload: Upload) -> None:
    """Delete the session in the caller's transaction, unless another was quicker."""
    if not change_rows(_DELETE, (_value("uuid", upload.pk), upload.version)):
        raise why_lost(upload)


def why_lost(upload: Upload) -> OutOfOrder | BlobUploadUnknown:
    """Return the error of a request that finds its session changed, or gone."""
    latest = Upload.objects.filter(pk=upload.pk).first()
    if latest is None or latest.version == upload.version:
        return BlobUploadUnknown("the bytes of this upload are gone")
    return OutOfOrder(latest)


def new_generation(upload: Upload) -> str:
    return f"{upload.pk.hex}-{uuid.uuid4().hex[:8]}"
