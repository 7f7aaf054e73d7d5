"""What only a store in S3 has to promise, beside the contract."""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from distribution.storage.base import (
    ObjectMissing,
    StoreAway,
    StoreError,
    WrongStore,
)
from distribution.storage.s3 import breaker, writing
from distribution.storage.s3 import store as s3_store
from distribution.storage.s3.calls import Calls
from distribution.storage.s3.state import PART_MIN_BYTES, PARTS_MAX, part_bytes
from distribution.storage.s3.store import S3Store
from repositories.oci.digests import digest_of
from tests.images import some_bytes
from tests.s3_proxy import S3Proxy
from tests.s3_servers import BUCKET, Moto, SeaweedFS

pytestmark = [pytest.mark.xdist_group("s3"), pytest.mark.slow]

MIB = 1024 * 1024
SMALL, LARGE = some_bytes(100_000), some_bytes(17 * MIB)


@pytest.fixture
def proxy(seaweedfs: SeaweedFS) -> Iterator[S3Proxy]:
    with S3Proxy(seaweedfs) as proxy:
        yield proxy


@pytest.fixture
def location() -> str:
    return f"tests/{uuid.uuid4().hex}"


@pytest.fixture
def store(proxy: S3Proxy, location: str) -> S3Store:
    store = S3Store(**proxy.options(location))
    store.write_mark(str(uuid.uuid4()))
    store.verify()
    proxy.calls()
    return store


def _push(store: S3Store, content: bytes, generation: str = "one") -> str:
    staged, size = store.append(store.stage(generation), 0, [content])
    key = store.finish(staged, digest_of(content), size)
    store.discard(staged)
    return key


def _read(store: S3Store, key: str, size: int, start: int = 0) -> bytes:
    return b"".join(store.open(key, size, start, size - start))


def test_a_small_blob_goes_up_in_one_request(store: S3Store, proxy: S3Proxy) -> None:
    key = _push(store, SMALL)
    assert proxy.calls() == ["PutObject", "CopyObject", "DeleteObject"]
    assert _read(store, key, len(SMALL)) == SMALL
    assert proxy.calls() == ["GetObject"]


def test_a_large_blob_is_never_copied(store: S3Store, proxy: S3Proxy) -> None:
    """Its object stays where its parts went, whichever request finishes it."""
    _push(store, LARGE)
    calls = proxy.calls()
    assert calls.count("CreateMultipartUpload") == 1
    assert calls.count("UploadPart") == 3  # two while it came, and the tail
    assert calls.count("CompleteMultipartUpload") == 1
    assert not [call for call in calls if "Copy" in call]


def test_any_node_continues_what_another_began(
    store: S3Store, proxy: S3Proxy, location: str
) -> None:
    """The state in the session's row is all that it needs."""
    staged, start = store.stage("one"), 0
    for end in (9 * MIB, 11 * MIB, len(LARGE)):
        node = S3Store(**proxy.options(location))
        staged, _ = node.append(staged, start, [LARGE[start:end]])
        start = end
    node = S3Store(**proxy.options(location))
    key = node.finish(staged, digest_of(LARGE), len(LARGE))
    assert _read(store, key, len(LARGE)) == LARGE
    assert not [call for call in proxy.calls() if "Copy" in call]


def test_the_memory_of_an_upload_is_bounded(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large it is: the part that fills, and IN_FLIGHT_BYTES on their way."""
    sent: list[int] = []
    held: list[int] = []
    send = store.send_part

    def send_slowly(*arguments: Any) -> Any:
        sent.append(len(arguments[-1]))
        time.sleep(0.05)
        try:
            return send(*arguments)
        finally:
            sent.remove(len(arguments[-1]))

    monkeypatch.setattr(store, "send_part", send_slowly)
    with store.write(store.stage("one"), 0) as writer:
        for _ in range(40):
            writer.add(bytes(MIB))
            held.append(sum(sent) + len(writer._buffer))  # type: ignore[attr-defined]
        writer.commit()
    assert max(held) <= writing.IN_FLIGHT_BYTES + part_bytes(1)


def test_many_slow_uploads_share_their_memory(
    store: S3Store, seaweedfs: SeaweedFS, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fills no part yet is put aside in S3, and nothing of it is left."""
    monkeypatch.setattr(writing, "FILLING_BYTES", 2 * MIB)
    before = writing.filling.size_bytes
    writers = [store.write(store.stage(f"slow-{n}"), 0) for n in range(4)]
    held = []
    for start in range(0, 12 * MIB, 300_000):
        for writer in writers:
            writer.add(LARGE[start : min(start + 300_000, 12 * MIB)])
        held.append(writing.filling.size_bytes - before)
    assert max(held) <= 2 * MIB + 4 * (MIB + 300_000)
    writers.pop().close()
    for number, writer in enumerate(writers):
        staged = writer.commit()
        key = store.finish(staged, digest_of(LARGE[: 12 * MIB]), 12 * MIB)
        store.discard(staged)
        assert _read(store, key, 12 * MIB) == LARGE[: 12 * MIB], number
    assert writing.filling.size_bytes == before
    assert seaweedfs.names(f"{location}/uploads/") == []


def test_a_fork_makes_connections_of_its_own(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two web workers on one connection would read each other's answers."""
    client = store._calls.client(4)
    assert store._calls.client(4) is client
    with monkeypatch.context() as forked:
        forked.setattr(os, "getpid", lambda: -1)
        assert store._calls.client(4) is not client


def test_parts_grow_so_that_10_000_are_enough() -> None:
    sizes = [part_bytes(number) for number in range(1, PARTS_MAX + 1)]
    assert min(sizes) >= PART_MIN_BYTES
    assert len(set(sizes[:1000])) == 1, "some services want parts of one size"
    assert sum(sizes) > 400 * 1024 * MIB
    assert max(sizes) <= 64 * MIB


def test_listings_go_on_over_their_pages(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than 1,000 parts, objects or multipart uploads come in pages."""
    pages = {"list_parts": "MaxParts", "list_objects_v2": "MaxKeys"}
    pages["list_multipart_uploads"] = "MaxUploads"
    call = Calls.__call__

    def in_small_pages(self: Calls, operation: str, **parameters: Any) -> Any:
        if operation in pages:
            parameters[pages[operation]] = 2
        return call(self, operation, **parameters)

    monkeypatch.setattr(Calls, "__call__", in_small_pages)
    monkeypatch.setattr(writing, "part_bytes", lambda number: PART_MIN_BYTES)
    keys = [_push(store, LARGE if not n else SMALL, f"done-{n}") for n in range(5)]
    for number in range(3):
        store.append(store.stage(f"open-{number}"), 0, [LARGE[: 11 * MIB]])
        store.append(store.stage(f"small-{number}"), 0, [SMALL])
    assert sorted(o.key for o in store.stored_objects()) == sorted(keys)
    staged = {o.key: o.size_bytes for o in store.staged_objects()}
    assert staged == {
        **{f"open-{number}": 11 * MIB for number in range(3)},
        **{f"small-{number}": len(SMALL) for number in range(3)},
    }
    assert _read(store, keys[0], len(LARGE)) == LARGE


def test_abandoned_multipart_uploads_are_found_without_a_row(
    store: S3Store, seaweedfs: SeaweedFS, location: str
) -> None:
    """C20, FS11: those of the store's own prefix, and no others."""
    for _ in range(3):
        store.append(store.stage("one"), 0, [LARGE[: 9 * MIB]])
    client = seaweedfs.client()
    neighbor = f"{location}-of-others/objects/one"
    client.create_multipart_upload(Bucket=BUCKET, Key=neighbor)
    assert len(seaweedfs.uploads(location)) >= 2
    for found in list(store.staged_objects()):
        store.discard_generation(found.key)
    assert seaweedfs.uploads(location) == [neighbor]
    assert seaweedfs.names(f"{location}/uploads/") == []


def test_a_bucket_is_shared_by_prefix(seaweedfs: SeaweedFS) -> None:
    locations = (f"tests/{uuid.uuid4().hex}", f"tests/{uuid.uuid4().hex}/")
    one, other = (S3Store(**seaweedfs.options(location)) for location in locations)
    for store in (one, other):
        store.write_mark(str(uuid.uuid4()))
    key = _push(one, SMALL)
    assert one.read_mark() != other.read_mark()
    assert [o.key for o in one.stored_objects()] == [key]
    assert list(other.stored_objects()) == []
    with pytest.raises(ObjectMissing):
        other.open(key, len(SMALL), 0, 1)
    other.delete(key)
    assert _read(one, key, len(SMALL)) == SMALL


def test_the_bucket_of_another_database_is_left_alone(
    seaweedfs: SeaweedFS, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written, deleted or called missing (E1)."""
    ours = str(uuid.uuid4())
    expected: list[str | None] = [ours]
    options = seaweedfs.options(location)
    store = S3Store(lambda: expected[0], **options)
    with pytest.raises(StoreError, match="no berth-store"):
        store.check()
    store.write_mark(ours)
    staged, size = store.append(store.stage("one"), 0, [SMALL])
    key = _push(store, SMALL, "two")
    monkeypatch.setattr(s3_store, "VERIFIED_SECONDS", 0)
    store.check()
    uses: list[Callable[[], object]] = [
        store.check,
        store.verify,
        lambda: store.append(store.stage("three"), 0, [SMALL]),
        lambda: store.finish(staged, digest_of(SMALL), size),
        lambda: store.open(f"{key}x", 1, 0, 1),
        lambda: store.delete(key),
        lambda: store.discard(staged),
        lambda: store.discard_generation("one"),
    ]
    for identifier in (str(uuid.uuid4()), None):
        expected[0] = identifier
        for use in uses:
            with pytest.raises(WrongStore):
                use()
    expected[0] = ours
    assert _read(store, key, len(SMALL)) == SMALL
    assert [o.key for o in store.staged_objects()] == ["one"]


def test_parameters_of_objects_are_those_of_the_settings(moto: Moto) -> None:
    """Storage class and encryption, for blobs of one part and of more, and copies."""
    parameters = {"StorageClass": "STANDARD_IA", "ServerSideEncryption": "AES256"}
    location = f"tests/{uuid.uuid4().hex}"
    store = S3Store(**moto.options(location), object_parameters=parameters)
    store.write_mark(str(uuid.uuid4()))
    staged, _ = store.append(store.stage("large"), 0, [LARGE])
    store.fork(staged, len(LARGE), "fork")
    keys = [_push(store, SMALL), store.finish(staged, digest_of(LARGE), len(LARGE))]
    for key in keys:
        head = moto.client().head_object(Bucket=BUCKET, Key=f"{location}/{key}")
        assert head["StorageClass"] == "STANDARD_IA"
        assert head["ServerSideEncryption"] == "AES256"


@pytest.mark.parametrize(
    ("style", "address"),
    [
        ("path", "https://s3.example.com/images/key"),
        ("virtual", "https://images.s3.example.com/key"),
    ],
)
def test_the_bucket_is_where_the_style_puts_it(style: str, address: str) -> None:
    store = S3Store(
        addressing_style=style,
        bucket_name="images",
        endpoint_url="https://s3.example.com",
        region_name="us-east-1",
        access_key="key",
        secret_key="secret",
    )
    url = store._calls.client(4.0).generate_presigned_url(
        "get_object", {"Bucket": "images", "Key": "key"}
    )
    assert url.partition("?")[0] == address


@pytest.mark.parametrize("when", ["when_supported", "when_required"])
def test_checksums_can_be_switched_off(
    when: str, proxy: S3Proxy, location: str, settings: Any
) -> None:
    """Old implementations refuse them."""
    settings.AWS_REQUEST_CHECKSUM_CALCULATION = when
    settings.AWS_RESPONSE_CHECKSUM_VALIDATION = when
    store = S3Store(**proxy.options(location))
    store.write_mark(str(uuid.uuid4()))
    assert _read(store, _push(store, LARGE), len(LARGE)) == LARGE
    sent = {name for _, _, headers in proxy.requests for name in headers}
    has_checksums = any(name.startswith("x-amz-checksum-") for name in sent)
    assert has_checksums == (when == "when_supported")


# --- faults


def test_refusals_for_the_moment_are_repeated(store: S3Store, proxy: S3Proxy) -> None:
    """FS8: 503 SlowDown for a third of the requests."""
    proxy.refuse_each(3)
    keys = [_push(store, content, str(len(content))) for content in (SMALL, LARGE)]
    for key, content in zip(keys, (SMALL, LARGE), strict=True):
        assert _read(store, key, len(content)) == content


def test_a_connection_that_breaks_is_continued(store: S3Store, proxy: S3Proxy) -> None:
    """From the byte on where it broke, and never with other bytes."""
    key = _push(store, LARGE)
    proxy.cut_after = 10 * MIB
    assert _read(store, key, len(LARGE)) == LARGE
    assert _read(store, key, len(LARGE), 1000) == LARGE[1000:]
    pieces = store.open(key, len(LARGE), 0, len(LARGE))
    first = next(pieces)
    proxy.cut_after = 0
    with pytest.raises(StoreError):
        b"".join(pieces)
    assert LARGE.startswith(first)


def test_while_s3_is_away_calls_end_at_once(
    store: S3Store, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FS9, I12: within five seconds at first, then at once, and it comes back."""
    monkeypatch.setattr(breaker, "PAUSE_SECONDS", 0.5)
    key = _push(store, SMALL)
    proxy.stop()
    for _ in range(breaker.FAILURES_MAX):
        began = time.monotonic()
        with pytest.raises(StoreAway):
            store.size_of(key)
        assert time.monotonic() - began < 5
    for use in (store.verify, lambda: store.open(key, len(SMALL), 0, 1)):
        began = time.monotonic()
        with pytest.raises(StoreAway, match="left alone"):
            use()
        assert time.monotonic() - began < 0.2
    proxy.start()
    time.sleep(0.6)
    assert _read(store, key, len(SMALL)) == SMALL


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bucket_name": "absent-bucket"}, "absent-bucket"),
        ({"secret_key": "wrong"}, "SignatureDoesNotMatch|403"),
        ({"access_key": "stranger"}, "InvalidAccessKeyId|403"),
    ],
)
def test_what_is_wrong_is_reported(
    seaweedfs: SeaweedFS, location: str, change: dict[str, str], sentence: str
) -> None:
    """In the words of S3, and without a secret (I14)."""
    store = S3Store(**{**seaweedfs.options(location), **change})
    with pytest.raises(StoreError, match=sentence) as refused:
        store.prepare()
        store.check()
    assert "secret" not in str(refused.value)
    assert not store.is_writable()
