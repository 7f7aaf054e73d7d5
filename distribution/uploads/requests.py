"""The requests of an upload: append, finish, or push a whole blob at once."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from accounts.actors import Actor
from database.crash_points import crash_point
from distribution.bodies import Body, Receiving
from distribution.errors import DigestInvalid, SizeInvalid
from distribution.models import Upload
from distribution.storage import blob_store
from distribution.storage.base import StoreError
from distribution.uploads.publishing import publish_blob
from distribution.uploads.receiving import (
    digest_of_staged,
    give_up,
    receive_body,
    receive_next,
    save_progress,
)
from distribution.uploads.sessions import (
    OutOfOrder,
    cancel_upload,
    claim,
    new_generation,
    release,
)
from repositories.models import RepositoryFacts
from repositories.oci.digests import Digest


@dataclass(frozen=True, slots=True)
class ContentRange:
    """The position of a chunk in the blob; both ends inclusive (UP-5)."""

    first: int
    last: int

    @property
    def length_bytes(self) -> int:
        return self.last - self.first + 1


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
    received = yield from receive_next(upload, body, upload.algorithm)
    if content_range and received.size_bytes > content_range.length_bytes:
        give_up(upload, received)
        raise SizeInvalid("the body is longer than its Content-Range")
    save_progress(upload, received)
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
        received = yield from receive_next(upload, body, digest.algorithm)
        if received.cut_off:
            # The client is gone: keep what came, so that it may continue (UP-13).
            save_progress(upload, received)
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
        if upload.writer is not None or _needs_claim(upload):
            claim(upload)  # a request that died, or is still writing, had it
        staged = upload.staged or blob_store().stage(new_generation(upload))
        size_bytes = upload.offset_bytes
        with _released_if_the_store_fails(upload):
            actual = digest_of_staged(upload, staged, digest.algorithm)
    if actual != digest:
        blob_store().drop(staged)
        cancel_upload(upload=upload)
        raise DigestInvalid(
            f"the bytes have the digest {actual} and not {digest}",
            detail={"expected": str(digest), "actual": str(actual)},
        )
    with _released_if_the_store_fails(upload):
        publish_blob(
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
    received = yield from receive_body(staged, 0, body, digest.algorithm)
    if received.cut_off or received.digest != digest:
        store.discard(received.staged)
        if received.cut_off:
            raise received.cut_off
        raise DigestInvalid(
            f"the bytes have the digest {received.digest} and not {digest}",
            detail={"expected": str(digest), "actual": str(received.digest)},
        )
    publish_blob(
        repository=repository,
        digest=digest,
        size_bytes=received.size_bytes,
        staged=received.staged,
        upload=None,
        actor=actor,
    )


def _needs_claim(upload: Upload) -> bool:
    return blob_store().reading_ends_writing and upload.offset_bytes > 0


@contextmanager
def _released_if_the_store_fails(upload: Upload) -> Iterator[None]:
    """Let go of a claim, so that the same request again need not copy."""
    try:
        yield
    except StoreError:
        release(upload)
        raise


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
