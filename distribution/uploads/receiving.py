"""Receive the bytes of an upload: into the store, hashed as they come."""

from dataclasses import dataclass

from database.crash_points import crash_point
from distribution.bodies import Body, BodyCutOff, Receiving
from distribution.errors import BlobUploadUnknown
from distribution.hashing import StreamHash
from distribution.models import Upload
from distribution.storage import blob_store
from distribution.storage.base import ObjectMissing, Staged
from distribution.uploads.sessions import (
    OutOfOrder,
    claim,
    new_generation,
    release,
    update_session,
    why_lost,
)
from repositories.oci.digests import Digest


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes of one request, durable in the store; ``cut_off`` says why they ended."""

    staged: Staged
    size_bytes: int
    digest: Digest
    cut_off: BodyCutOff | None


def receive_next(upload: Upload, body: Body, algorithm: str) -> Receiving[Received]:
    """Write a body behind what the session has; the row is not moved yet."""
    if upload.offset_bytes == 0:
        staged = blob_store().stage(new_generation(upload))
    else:
        claim(upload)
        assert upload.staged is not None, "a session with bytes has their place"
        staged = upload.staged
    try:
        return (yield from receive_body(staged, upload.offset_bytes, body, algorithm))
    except ObjectMissing:
        raise why_lost(upload) from None
    except BaseException:
        release(upload)
        raise


def receive_body(
    staged: Staged, offset_bytes: int, body: Body, algorithm: str
) -> Receiving[Received]:
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
        return Received(staged, writer.size_bytes, stream.digest(), cut_off)
    finally:
        stream.close()


def digest_of_staged(upload: Upload, staged: Staged, algorithm: str) -> Digest:
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
        raise why_lost(upload) from None
    finally:
        stream.close()
    return stream.digest()


def save_progress(upload: Upload, received: Received) -> None:
    columns: dict[str, object] = {
        "staged": received.staged,
        "offset_bytes": upload.offset_bytes + received.size_bytes,
        "algorithm": received.digest.algorithm,
        "digest_so_far": "" if upload.offset_bytes else received.digest.encoded,
        "writer": None,
    }
    in_place = upload.offset_bytes > 0
    try:
        update_session(upload, **columns)
    except (OutOfOrder, BlobUploadUnknown):
        if not in_place or not Upload.objects.filter(pk=upload.pk).exists():
            blob_store().discard(received.staged)
        raise


def give_up(upload: Upload, received: Received) -> None:
    """Forget what a request wrote.

    Behind other bytes the claim stays, so that the next request copies what counts.
    """
    if upload.offset_bytes == 0:
        blob_store().discard(received.staged)
