"""One contract for every blob store: each sentence of distribution/storage/base.py.

That returned bytes survive a power cut cannot be seen from here; everything else can.
A store joins by adding itself to STORES. S3 is SeaweedFS and moto's server.
"""

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from distribution.garbage import generation_of
from distribution.storage.base import (
    BlobStore,
    ObjectMissing,
    Staged,
    StoredObject,
    StoreError,
    StoreFull,
)
from distribution.storage.filesystem import PIECE_BYTES, FilesystemStore
from distribution.storage.marks import MARKER
from distribution.storage.s3 import writing
from distribution.storage.s3.state import PART_MIN_BYTES
from distribution.storage.s3.store import S3Store
from repositories.oci.digests import Digest, digest_of
from tests.faults.disks import small_disk
from tests.images import some_bytes
from tests.s3_servers import S3Server

pytestmark = pytest.mark.xdist_group("s3")

FIRST, SECOND = b"first piece, ", b"second piece"
WHOLE = FIRST + SECOND


def _filesystem(folder: Path) -> BlobStore:
    store = FilesystemStore(folder / "blobs")
    store.prepare()
    store.write_mark(str(uuid.uuid4()))
    return store


def _bucket(server: S3Server, **options: Any) -> S3Store:
    """Return a store in the bucket that all tests share, below a prefix of its own."""
    store = S3Store(**server.options(f"tests/{uuid.uuid4().hex}"), **options)
    store.prepare()
    store.write_mark(str(uuid.uuid4()))
    return store


STORES = [
    "filesystem",
    pytest.param("seaweedfs", marks=pytest.mark.slow),
    pytest.param("moto", marks=pytest.mark.slow),
]


@pytest.fixture(params=STORES)
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> BlobStore:
    if request.param == "filesystem":
        return _filesystem(tmp_path)
    monkeypatch.setattr(writing, "part_bytes", lambda number: PART_MIN_BYTES)
    return _bucket(request.getfixturevalue(request.param))


class ClientWent(Exception):
    """The client stopped sending."""


def _breaking_off(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces
    raise ClientWent


def _staged(store: BlobStore, content: bytes, generation: str = "one") -> Staged:
    return store.append(store.stage(generation), 0, [content])[0]


def _stored(store: BlobStore, content: bytes, generation: str = "one") -> str:
    staged = _staged(store, content, generation)
    key = store.finish(staged, digest_of(content), len(content))
    store.discard(staged)
    return key


def _read_staged(store: BlobStore, staged: Staged, size_bytes: int) -> bytes:
    return b"".join(store.read_staged(staged, size_bytes))


def _read(store: BlobStore, key: str, size_bytes: int) -> bytes:
    return b"".join(store.open(key, size_bytes, 0, size_bytes))


def _keys(listing: Iterator[StoredObject]) -> list[str]:
    return sorted(found.key for found in listing)


# --- stage, append


def test_staging_alone_stores_nothing(store: BlobStore) -> None:
    store.stage("one")
    assert _keys(store.staged_objects()) == []
    assert _keys(store.stored_objects()) == []


def test_pieces_are_written_from_the_offset_on(store: BlobStore) -> None:
    staged, written = store.append(store.stage("one"), 0, [FIRST[:3], FIRST[3:]])
    assert written == len(FIRST)
    staged, written = store.append(staged, len(FIRST), [SECOND])
    assert written == len(SECOND)
    assert _read_staged(store, staged, len(WHOLE)) == WHOLE


def test_no_pieces_are_no_bytes(store: BlobStore) -> None:
    staged = _staged(store, FIRST)
    staged, written = store.append(staged, len(FIRST), [])
    assert written == 0
    assert _read_staged(store, staged, len(FIRST)) == FIRST


@pytest.mark.parametrize("offset", [0, 1, len(FIRST)])
def test_what_lies_beyond_the_offset_is_dropped(store: BlobStore, offset: int) -> None:
    """C03, C04: a request that died left it there."""
    staged = _staged(store, FIRST + b"never acknowledged, and longer than the rest")
    staged, _ = store.append(staged, offset, [SECOND])
    expected = FIRST[:offset] + SECOND
    assert [found.size_bytes for found in store.staged_objects()] == [len(expected)]
    assert _read_staged(store, staged, len(expected)) == expected


def test_pieces_that_fail_at_the_beginning_leave_nothing(store: BlobStore) -> None:
    """I7."""
    with pytest.raises(ClientWent):
        store.append(store.stage("one"), 0, _breaking_off(FIRST))
    assert _keys(store.staged_objects()) == []


def test_pieces_that_fail_later_leave_what_was_there(store: BlobStore) -> None:
    """I7, UP-13."""
    staged = _staged(store, FIRST)
    with pytest.raises(ClientWent):
        store.append(staged, len(FIRST), _breaking_off(SECOND))
    assert [found.size_bytes for found in store.staged_objects()] == [len(FIRST)]
    assert _read_staged(store, staged, len(FIRST)) == FIRST


def test_appending_to_bytes_that_are_gone_is_an_error(store: BlobStore) -> None:
    """Never a hole that reads as zeros."""
    with pytest.raises(ObjectMissing):
        store.append(store.stage("one"), len(FIRST), [SECOND])
    assert _keys(store.staged_objects()) == []
    staged = _staged(store, FIRST, "two")
    with pytest.raises(ObjectMissing):
        store.append(staged, len(FIRST) + 1, [SECOND])
    assert _read_staged(store, staged, len(FIRST)) == FIRST


# --- fork, read_staged


def test_a_fork_is_a_copy_of_the_first_bytes_only(store: BlobStore) -> None:
    staged = _staged(store, WHOLE)
    forked = store.fork(staged, len(FIRST), "two")
    assert forked["generation"] == "two"
    assert _keys(store.staged_objects()) == ["one", "two"]
    assert _read_staged(store, staged, len(WHOLE)) == WHOLE
    forked, _ = store.append(forked, len(FIRST), [b"!"])
    assert _read_staged(store, forked, len(FIRST) + 1) == FIRST + b"!"


def test_another_writer_does_not_reach_a_fork(store: BlobStore) -> None:
    """L9: it began to write before the fork and goes on after it."""
    staged = _staged(store, FIRST)
    forks: list[Staged] = []

    def overtaken() -> Iterator[bytes]:
        yield b"written before"
        forks.append(store.fork(staged, len(FIRST), "two"))
        yield b"written after"

    store.append(staged, len(FIRST), overtaken())
    [forked] = forks
    assert _read_staged(store, forked, len(FIRST)) == FIRST
    sizes = {o.key: o.size_bytes for o in store.staged_objects()}
    assert sizes["two"] == len(FIRST)


def test_forking_nothing_needs_nothing(store: BlobStore) -> None:
    forked = store.fork(store.stage("one"), 0, "two")
    assert store.append(forked, 0, [FIRST])[1] == len(FIRST)


def test_forking_what_is_gone_is_an_error_and_leaves_nothing(store: BlobStore) -> None:
    with pytest.raises(ObjectMissing):
        store.fork(store.stage("one"), len(FIRST), "two")
    assert _keys(store.staged_objects()) == []


def test_staged_bytes_are_read_up_to_the_size_that_is_asked_for(
    store: BlobStore,
) -> None:
    staged = _staged(store, WHOLE)
    assert _read_staged(store, staged, 5) == WHOLE[:5]
    with pytest.raises(ObjectMissing):
        _read_staged(store, staged, len(WHOLE) + 1)
    with pytest.raises(ObjectMissing):
        _read_staged(store, store.stage("two"), 1)


# --- finish


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_key_ends_with_the_generation(store: BlobStore, algorithm: str) -> None:
    digest = digest_of(WHOLE, algorithm)
    key = store.finish(_staged(store, WHOLE, "gen-1"), digest, len(WHOLE))
    if isinstance(store, FilesystemStore):
        assert key.startswith(f"{algorithm}/")
        assert key.endswith(f"/{digest.encoded}.gen-1")
    assert generation_of(key) == "gen-1"
    assert _read(store, key, len(WHOLE)) == WHOLE


def test_finishing_is_safe_to_repeat(store: BlobStore) -> None:
    """C06 - C08: with the staged bytes still there, and after they are discarded."""
    staged, digest = _staged(store, WHOLE), digest_of(WHOLE)
    key = store.finish(staged, digest, len(WHOLE))
    assert store.finish(staged, digest, len(WHOLE)) == key
    store.discard(staged)
    assert store.finish(staged, digest, len(WHOLE)) == key
    assert _keys(store.stored_objects()) == [key]
    assert _read(store, key, len(WHOLE)) == WHOLE


def test_what_was_finished_can_go_on_until_it_is_discarded(store: BlobStore) -> None:
    """I6: a finish that died does not take the session's bytes away."""
    staged = _staged(store, FIRST)
    store.finish(staged, digest_of(FIRST), len(FIRST))
    assert _read_staged(store, staged, len(FIRST)) == FIRST
    staged, _ = store.append(staged, len(FIRST), [SECOND])
    key = store.finish(staged, digest_of(WHOLE), len(WHOLE))
    store.discard(staged)
    assert _keys(store.staged_objects()) == []
    assert _read(store, key, len(WHOLE)) == WHOLE


def test_nothing_at_all_can_be_finished(store: BlobStore) -> None:
    """UP-11: the empty blob, of which no byte was ever appended."""
    key = store.finish(store.stage("one"), digest_of(b""), 0)
    store.discard(store.stage("one"))
    assert store.size_of(key) == 0
    assert _read(store, key, 0) == b""
    assert store.finish(store.stage("one"), digest_of(b""), 0) == key


@pytest.mark.parametrize("difference", [-1, 1])
def test_finishing_with_another_size_is_an_error(
    store: BlobStore, difference: int
) -> None:
    staged = _staged(store, WHOLE)
    with pytest.raises(ObjectMissing):
        store.finish(staged, digest_of(WHOLE), len(WHOLE) + difference)
    assert _keys(store.stored_objects()) == []


def test_finishing_what_is_gone_is_an_error(store: BlobStore) -> None:
    with pytest.raises(ObjectMissing):
        store.finish(store.stage("one"), digest_of(WHOLE), len(WHOLE))
    assert _keys(store.stored_objects()) == []


# --- more than a part of a multipart upload

LARGE = some_bytes(11 * 1024 * 1024 + 5)


def _append_in_requests(store: BlobStore, ends: list[int], generation: str) -> Staged:
    staged, start = store.stage(generation), 0
    for end in ends:
        content = LARGE[start:end]
        pieces = [content[at : at + 300_000] for at in range(0, len(content), 300_000)]
        staged, written = store.append(staged, start, pieces)
        assert written == end - start
        start = end
    return staged


@pytest.mark.parametrize(
    "ends",
    [
        [10 << 20],  # two whole parts
        [3 << 20, 7 << 20, 8 << 20, len(LARGE)],  # tails that grow to parts
    ],
    ids=["whole parts", "small requests"],
)
def test_a_large_blob_is_staged_read_and_finished(
    store: BlobStore, ends: list[int]
) -> None:
    """UP-13: read before it is finished or not, and with what is left of a request."""
    size_bytes = ends[-1]
    content = LARGE[:size_bytes]
    unread = _append_in_requests(store, ends, "unread")
    read = _append_in_requests(store, ends, "read")
    assert store.has_staged(read, size_bytes)
    sizes = {found.key: found.size_bytes for found in store.staged_objects()}
    assert sizes == {"unread": size_bytes, "read": size_bytes}
    assert _read_staged(store, read, size_bytes) == content
    assert store.has_staged(read, size_bytes)
    for staged in (unread, read):
        digest = digest_of(content)
        key = store.finish(staged, digest, size_bytes)
        assert store.finish(staged, digest, size_bytes) == key
        store.discard(staged)
        assert store.finish(staged, digest, size_bytes) == key
        assert _read(store, key, size_bytes) == content
        pieces = store.open(key, size_bytes, 5_000_000, 4_000_000)
        assert b"".join(pieces) == content[5_000_000:9_000_000]
    assert _keys(store.staged_objects()) == []


@pytest.mark.parametrize("offset", [7 << 20, 10 << 20])
def test_what_was_read_or_finished_can_go_on(store: BlobStore, offset: int) -> None:
    """I6, C22: with all of it, and with less than all of its parts."""
    staged = _append_in_requests(store, [10 << 20], "one")
    store.finish(staged, digest_of(LARGE[: 10 << 20]), 10 << 20)
    staged, _ = store.append(staged, offset, [LARGE[offset:]])
    key = store.finish(staged, digest_of(LARGE), len(LARGE))
    store.discard(staged)
    assert _read(store, key, len(LARGE)) == LARGE


def test_a_large_fork_is_a_copy(store: BlobStore) -> None:
    """L9: also of what is lost for the one that was overtaken."""
    staged = _append_in_requests(store, [10 << 20], "one")
    forked = store.fork(staged, 8 << 20, "two")
    again = store.fork(staged, 10 << 20, "three")
    store.drop(staged)
    forked, _ = store.append(forked, 8 << 20, [LARGE[8 << 20 :]])
    again, _ = store.append(again, 10 << 20, [LARGE[10 << 20 :]])
    for copy in (forked, again):
        key = store.finish(copy, digest_of(LARGE), len(LARGE))
        store.discard(copy)
        assert _read(store, key, len(LARGE)) == LARGE
    assert _keys(store.staged_objects()) == []
    assert {o.size_bytes for o in store.stored_objects()} == {len(LARGE)}


def test_large_pieces_that_fail_leave_nothing(store: BlobStore) -> None:
    """I7: of a first request nothing, of a later one what was there."""
    with pytest.raises(ClientWent):
        store.append(store.stage("one"), 0, _breaking_off(LARGE))
    assert _keys(store.staged_objects()) == []
    staged = _append_in_requests(store, [6 << 20], "two")
    with pytest.raises(ClientWent):
        store.append(staged, 6 << 20, _breaking_off(LARGE[6 << 20 :]))
    staged, _ = store.append(staged, 6 << 20, [LARGE[6 << 20 :]])
    key = store.finish(staged, digest_of(LARGE), len(LARGE))
    assert _read(store, key, len(LARGE)) == LARGE
    store.drop(_append_in_requests(store, [6 << 20], "three"))
    store.discard(staged)
    assert _keys(store.staged_objects()) == []
    assert _keys(store.stored_objects()) == [key]


def test_a_generation_of_many_parts_can_be_discarded(store: BlobStore) -> None:
    """C20, FS11."""
    _append_in_requests(store, [6 << 20], "one")
    _append_in_requests(store, [7 << 20], "one")  # as after a crash
    store.discard_generation("one")
    assert _keys(store.staged_objects()) == []


# --- discard


def test_discarding_twice_is_as_good_as_once(store: BlobStore) -> None:
    staged = _staged(store, WHOLE)
    kept = _staged(store, WHOLE, "kept")
    store.discard(staged)
    store.discard(staged)
    store.discard_generation("never there")
    assert _keys(store.staged_objects()) == ["kept"]
    assert _read_staged(store, kept, len(WHOLE)) == WHOLE


def test_a_generation_that_no_upload_names_can_be_discarded(store: BlobStore) -> None:
    _staged(store, WHOLE)
    [found] = store.staged_objects()
    store.discard_generation(found.key)
    assert _keys(store.staged_objects()) == []


# --- open, size_of, delete


@pytest.mark.parametrize(
    ("start", "length"),
    [
        (0, 3 * PIECE_BYTES // 2),
        (0, 1),
        (7, 0),
        (PIECE_BYTES - 1, 2),
        (3 * PIECE_BYTES // 2 - 1, 1),
    ],
)
def test_a_stretch_of_an_object_is_read(
    store: BlobStore, start: int, length: int
) -> None:
    content = some_bytes(3 * PIECE_BYTES // 2)
    key = _stored(store, content)
    pieces = store.open(key, len(content), start, length)
    assert b"".join(pieces) == content[start : start + length]


@pytest.mark.parametrize("difference", [-1, 1])
def test_opening_raises_before_the_first_piece(
    store: BlobStore, difference: int
) -> None:
    """I2, FS4: nothing is sent of an object that has not the size it should have."""
    key = _stored(store, WHOLE)
    with pytest.raises(ObjectMissing):
        store.open(key, len(WHOLE) + difference, 0, 1)
    with pytest.raises(ObjectMissing):
        store.open(key + "x", len(WHOLE), 0, 1)


def test_an_open_object_can_be_closed_early_and_twice(store: BlobStore) -> None:
    pieces = store.open(_stored(store, WHOLE), len(WHOLE), 0, len(WHOLE))
    pieces.close()  # type: ignore[attr-defined]
    pieces.close()  # type: ignore[attr-defined]


def test_an_object_that_is_being_read_may_be_deleted(store: BlobStore) -> None:
    """G8: the pull completes."""
    content = some_bytes(3 * PIECE_BYTES)
    key = _stored(store, content)
    pieces = store.open(key, len(content), 0, len(content))
    first = next(pieces)
    store.delete(key)
    assert first + b"".join(pieces) == content


def test_deleting_one_generation_leaves_the_other(store: BlobStore) -> None:
    """G2: a blob pushed again while the old bytes are swept."""
    old, new = _stored(store, WHOLE, "one"), _stored(store, WHOLE, "two")
    store.delete(old)
    store.delete(old)
    assert store.size_of(old) is None
    assert store.size_of(new) == len(WHOLE)
    assert _read(store, new, len(WHOLE)) == WHOLE


# --- listings


def test_listings_tell_keys_sizes_and_times(store: BlobStore) -> None:
    before = time.time() - 5
    digests: list[tuple[Digest, bytes]] = [
        (digest_of(WHOLE), WHOLE),
        (digest_of(FIRST, "sha512"), FIRST),
    ]
    keys = {}
    for serial, (digest, content) in enumerate(digests):
        staged = _staged(store, content, f"stored-{serial}")
        keys[store.finish(staged, digest, len(content))] = len(content)
        store.discard(staged)
    _staged(store, SECOND, "staged")
    found = list(store.stored_objects())
    assert {o.key: o.size_bytes for o in found} == keys
    [staged_object] = store.staged_objects()
    assert (staged_object.key, staged_object.size_bytes) == ("staged", len(SECOND))
    for listed in [*found, staged_object]:
        assert before < listed.modified_at < time.time() + 5


# --- check


def test_a_store_that_was_prepared_is_there(store: BlobStore) -> None:
    store.check()


def test_a_folder_that_is_not_mounted_is_no_store(tmp_path: Path) -> None:
    """FS7: an empty folder is not a registry without blobs."""
    store = FilesystemStore(tmp_path / "blobs")
    with pytest.raises(StoreError):
        store.check()
    store.folder.mkdir()
    with pytest.raises(StoreError):
        store.check()
    store.prepare()
    with pytest.raises(StoreError):
        store.check()
    store.write_mark(str(uuid.uuid4()))
    store.check()
    store.prepare()  # a second start
    store.check()
    shutil.rmtree(store.folder / "uploads")
    with pytest.raises(StoreError):
        store.check()


def test_a_store_of_another_database_is_left_alone(tmp_path: Path) -> None:
    """Nothing is written, deleted or called missing, also after a change (E1)."""
    ours, theirs = str(uuid.uuid4()), str(uuid.uuid4())
    expected: list[str | None] = [ours]
    store = FilesystemStore(tmp_path / "blobs", lambda: expected[0])
    store.prepare()
    store.write_mark(ours)
    staged = _staged(store, WHOLE)
    key = _stored(store, WHOLE, "two")
    uses: list[Callable[[], object]] = [
        store.check,
        store.verify,
        lambda: store.append(store.stage("three"), 0, [WHOLE]),
        lambda: store.finish(staged, digest_of(WHOLE), len(WHOLE)),
        lambda: store.open(f"{key}x", 1, 0, 1),
        lambda: store.delete(key),
        lambda: store.discard(staged),
    ]
    marker = store.folder / MARKER
    for mark in (theirs, "", None, "garbage", '{"format": 2, "installation": ""}'):
        if mark is None:
            marker.unlink()
        elif mark == theirs:
            store.write_mark(theirs)
        else:
            marker.write_text(mark)
        for use in uses:
            with pytest.raises(StoreError) as refused:
                use()
            assert not isinstance(refused.value, ObjectMissing), mark
        assert store.size_of(key) == len(WHOLE)
        store.write_mark(ours)
        store.check()
    expected[0] = theirs
    with pytest.raises(StoreError):
        store.check()
    expected[0] = None
    with pytest.raises(StoreError, match="prepare"):
        store.check()


# --- a full disk


def test_a_full_disk_is_told_and_freed_at_once(tmp_path: Path) -> None:
    """FS1, I7: also when a part fitted, and when a copy does not fit beside it."""
    with small_disk(tmp_path / "disk", "size=1900k") as disk:
        store = _filesystem(disk)
        with pytest.raises(StoreFull):
            store.append(store.stage("one"), 0, [bytes(PIECE_BYTES)] * 3)
        assert _keys(store.staged_objects()) == []
        staged, written = store.append(store.stage("two"), 0, [bytes(PIECE_BYTES)])
        with pytest.raises(StoreFull):
            store.append(staged, written, [bytes(PIECE_BYTES)] * 2)
        with pytest.raises(StoreFull):
            store.fork(staged, written, "three")
        assert {o.key: o.size_bytes for o in store.staged_objects()} == {"two": written}
        staged, _ = store.append(staged, written, [WHOLE])
        assert _read_staged(store, staged, written + 13)[written:] == WHOLE[:13]


def test_a_disk_without_inodes_is_a_full_disk(tmp_path: Path) -> None:
    """FS2, I7."""
    with small_disk(tmp_path / "disk", "size=2m,nr_inodes=12") as disk:
        store = _filesystem(disk)
        kept = _staged(store, WHOLE, "kept")
        for serial in range(12):
            if os.statvfs(disk).f_ffree == 0:
                break
            _staged(store, WHOLE, str(serial))
        with pytest.raises(StoreFull):
            store.append(store.stage("one more"), 0, [WHOLE])
        with pytest.raises(StoreFull):  # the folder of the digest wants an inode too
            store.finish(kept, digest_of(WHOLE), len(WHOLE))
        for serial in range(2):  # tmpfs counts every name as an inode
            store.discard_generation(str(serial))
        key = store.finish(kept, digest_of(WHOLE), len(WHOLE))
        assert _read(store, key, len(WHOLE)) == WHOLE
