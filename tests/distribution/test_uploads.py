"""Pushing a blob: sessions, chunks, streams, and all of it in one request (§4)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from django.test import RequestFactory
from django.utils import timezone

from distribution.bodies import Body, Receiving, receive
from distribution.garbage import expire_uploads
from distribution.models import Upload
from distribution.storage.base import Staged
from distribution.uploads import receiving, requests, sessions
from tests import images
from tests.images import EMPTY_BLOB, EMPTY_OBJECT, digest_of, some_bytes
from tests.registry_client import (
    RawConnection,
    RegistryClient,
    error_codes,
    with_digest,
)


def offset_of(client: RegistryClient, location: str) -> str:
    response = client.get(location)
    assert response.status_code == 204
    return response.headers["Range"]


def start(client: RegistryClient, name: str, query: str = "") -> httpx.Response:
    return client.post(f"/v2/{name}/blobs/uploads/{query}")


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (None, {}),
        (b"", {"Content-Type": "application/json"}),  # ggcr
        (b"", {"Content-Length": "0"}),
        ([], {}),  # chunked and empty: the conformance suite
        ([], {"Content-Type": "application/octet-stream"}),
    ],
)
def test_a_session_begins_empty(
    bob: RegistryClient,
    api: str,
    content: bytes | list[bytes] | None,
    headers: dict[str, str],
) -> None:
    """UP-1, UP-6, R-02, R-11: 0-0 and never 0--1, which docker cannot read."""
    response = bob.post(f"/v2/{api}/blobs/uploads/", content=content, headers=headers)
    assert response.status_code == 202
    location = response.headers["Location"]
    uuid = response.headers["Docker-Upload-UUID"]
    assert location == f"/v2/{api}/blobs/uploads/{uuid}"
    assert response.headers["Range"] == "0-0"
    assert "OCI-Chunk-Min-Length" not in response.headers


def test_every_session_is_a_new_one(bob: RegistryClient, api: str) -> None:
    """UP-1."""
    assert len({bob.start_upload(api) for _ in range(3)}) == 3


@pytest.mark.parametrize(
    "query",
    [
        "?mount={digest}&from=no/such-repository",
        "?mount={digest}",
        "?origin=ghcr.io&ns=x",
        "?digest-algorithm=sha512",
        "?state=abc",
    ],
)
def test_the_location_says_nothing_of_the_query(
    bob: RegistryClient, api: str, query: str
) -> None:
    """UP-1, R-18: clients append to it."""
    response = start(bob, api, query.format(digest=images.ABSENT_DIGEST))
    assert response.status_code == 202
    assert "?" not in response.headers["Location"]


def test_a_blob_in_one_post(bob: RegistryClient, api: str) -> None:
    """UP-2, UP-14, R-44: 201, and not a session that nobody asked for."""
    content = some_bytes()
    digest = digest_of(content)
    response = bob.post(f"/v2/{api}/blobs/uploads/?digest={digest}", content=content)
    assert response.status_code == 201
    assert response.headers["Location"] == f"/v2/{api}/blobs/{digest}"
    assert response.headers["Docker-Content-Digest"] == digest
    assert bob.pull_blob(api, digest) == content


@pytest.mark.parametrize("as_pieces", [False, True])
@pytest.mark.parametrize("escaped", [False, True])
def test_a_blob_in_post_and_put(
    bob: RegistryClient, api: str, as_pieces: bool, escaped: bool
) -> None:
    """UP-3, UP-14: with a length and chunked; the digest's colon may be %3A."""
    content = some_bytes()
    digest = digest_of(content)
    location = with_digest(
        bob.start_upload(api), quote(digest, safe="") if escaped else digest
    )
    response = bob.put(location, content=[content] if as_pieces else content)
    assert response.status_code == 201
    assert response.headers["Docker-Content-Digest"] == digest
    assert bob.get(response.headers["Location"]).content == content


def test_the_last_of_several_digests_counts(bob: RegistryClient, api: str) -> None:
    """UP-3: regclient appends a second one when it falls back."""
    content = some_bytes()
    location = with_digest(bob.start_upload(api), images.ABSENT_DIGEST)
    response = bob.put(with_digest(location, digest_of(content)), content=content)
    assert response.status_code == 201


def test_a_put_without_digest_is_refused(bob: RegistryClient, api: str) -> None:
    """UP-3."""
    location = bob.start_upload(api)
    response = bob.put(location, content=b"abc")
    assert response.status_code == 400
    assert error_codes(response) == ["DIGEST_INVALID"]
    assert offset_of(bob, location) == "0-0"


@pytest.mark.parametrize("lengths", [(), (1,), (1, 1, 500), (700, 299)])
@pytest.mark.parametrize("content_type", [None, "application/octet-stream", "x/y"])
def test_a_streamed_blob(
    bob: RegistryClient, api: str, lengths: tuple[int, ...], content_type: str | None
) -> None:
    """UP-4, UP-6, R-01, R-04, R-05: docker takes the layer's size from Range."""
    content = some_bytes(1000)
    location = bob.start_upload(api)
    headers = {"Content-Type": content_type} if content_type else {}
    end = 0
    for piece in images.partitions(content, *lengths):
        end += len(piece)
        response = bob.patch(location, content=[piece], headers=headers)
        assert response.status_code == 202
        assert response.headers["Range"] == f"0-{end - 1}"
        assert response.headers["Docker-Upload-UUID"] in response.headers["Location"]
        location = response.headers["Location"]
    digest = digest_of(content)
    assert bob.put(with_digest(location, digest)).status_code == 201
    assert bob.head(f"/v2/{api}/blobs/{digest}").headers["Content-Length"] == "1000"
    assert bob.pull_blob(api, digest) == content


@pytest.mark.parametrize("form", ["{}-{}", "bytes {}-{}/*", "bytes {}-{}"])
@pytest.mark.parametrize("last_in_put", [False, True])
def test_a_chunked_blob(
    bob: RegistryClient, api: str, form: str, last_in_put: bool
) -> None:
    """UP-5, UP-8, R-03, R-04: sloppy spellings of the range are understood."""
    content = some_bytes(1000)
    location = bob.start_upload(api)
    pieces = list(images.partitions(content, 300, 300))
    start = 0
    closing = pieces.pop() if last_in_put else None
    for piece in pieces:
        headers = {"Content-Range": form.format(start, start + len(piece) - 1)}
        response = bob.patch(location, content=piece, headers=headers)
        assert response.status_code == 202
        start += len(piece)
        assert response.headers["Range"] == f"0-{start - 1}"
    headers = {"Content-Range": form.format(start, 999)} if closing else {}
    location = with_digest(location, digest_of(content))
    assert bob.put(location, content=closing, headers=headers).status_code == 201
    assert bob.pull_blob(api, digest_of(content)) == content


@pytest.mark.parametrize(
    ("content_range", "status", "code"),
    [
        ("0-9", 416, "RANGE_INVALID"),  # an old chunk again
        ("9-18", 416, "RANGE_INVALID"),
        ("11-20", 416, "RANGE_INVALID"),
        ("20-10", 416, "RANGE_INVALID"),
        ("ten-nineteen", 416, "RANGE_INVALID"),
        ("10-", 416, "RANGE_INVALID"),
        ("10-" + "9" * 30, 416, "RANGE_INVALID"),
        ("10-18", 400, "SIZE_INVALID"),
        ("10-20", 400, "SIZE_INVALID"),
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_chunk_that_does_not_fit_is_refused(
    bob: RegistryClient,
    api: str,
    method: str,
    content_range: str,
    status: int,
    code: str,
) -> None:
    """UP-5, UP-8, R-31, R-44: and the session goes on as if nothing had happened."""
    content = some_bytes(20)
    location = bob.start_upload(api)
    bob.patch(location, content=content[:10], headers={"Content-Range": "0-9"})
    response = bob.request(
        method,
        with_digest(location, digest_of(content)),
        content=content[10:],
        headers={"Content-Range": content_range},
    )
    assert response.status_code == status
    assert error_codes(response) == [code]
    assert offset_of(bob, location) == "0-9"
    headers = {"Content-Range": "10-19"}
    assert bob.patch(location, content=content[10:], headers=headers).is_success
    assert bob.put(with_digest(location, digest_of(content))).status_code == 201
    assert bob.pull_blob(api, digest_of(content)) == content


def test_a_refused_chunk_is_told_where_to_go_on(bob: RegistryClient, api: str) -> None:
    """UP-5: regclient resumes from Location and Range of the 416."""
    location = bob.start_upload(api)
    bob.patch(location, content=b"0123456789")
    response = bob.patch(location, content=b"x", headers={"Content-Range": "3-3"})
    assert response.status_code == 416
    assert response.headers["Location"] == location
    assert response.headers["Range"] == "0-9"


@pytest.mark.parametrize(
    "content_range",
    ["", " ", "x", "0-", "-4", "bytes", "4-0", "0-4,5-9", "0x0-0x4", "\u0660-\u0664"],
)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_an_unreadable_range_says_where_to_go_on(
    bob: RegistryClient, api: str, method: str, content_range: str
) -> None:
    """It is refused like a chunk out of order; only ASCII has digits (UP-15, B6)."""
    location = bob.start_upload(api)
    bob.patch(location, content=b"01234")
    with RawConnection(bob.url) as connection:
        token = bob.token_for(api, "PATCH")
        target = with_digest(location, digest_of(b"0123456789"))
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: {connection.host}\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: 5\r\n"
            f"Content-Range: {content_range}\r\n\r\n56789"
        )
        connection.send(head.encode())
        answer = connection.receive(method)
    assert answer.status == (416 if content_range.isascii() else 400)
    if answer.status == 416:
        assert answer.headers["Location"] == location
        assert answer.headers["Range"] == "0-4"
    assert offset_of(bob, location) == "0-4"


@pytest.mark.parametrize("content", [b"", b"x" * 300_000])
def test_a_finished_upload_may_be_finished_again(
    bob: RegistryClient, robby: RegistryClient, api: str, other: str, content: bytes
) -> None:
    """A client whose answer was lost gets it again, where the blob is here (UP-16)."""
    whole = some_bytes()
    location = bob.start_upload(api)
    if not content:
        assert bob.patch(location, content=whole).status_code == 202
    whole = content or whole
    target = with_digest(location, digest_of(whole))
    for _ in range(3):
        response = bob.put(target, content=content)
        assert response.status_code == 201
        assert response.headers["Docker-Content-Digest"] == digest_of(whole)
        assert response.headers["Location"] == f"/v2/{api}/blobs/{digest_of(whole)}"
    absent = with_digest(location, images.ABSENT_DIGEST)
    assert error_codes(bob.put(absent)) == ["BLOB_UPLOAD_UNKNOWN"]
    elsewhere = target.replace(api, other)  # the blob is not there
    assert bob.put(elsewhere).status_code == 404
    assert bob.pull_blob(api, digest_of(whole)) == whole


@pytest.mark.parametrize("query", ["", "?digest=" + images.ABSENT_DIGEST])
def test_the_status_of_a_session(bob: RegistryClient, api: str, query: str) -> None:
    """UP-7, R-45: the suite sends it with the digest appended, too."""
    location = bob.start_upload(api)
    bob.patch(location, content=b"0123456789")
    response = bob.get(location + query)
    assert response.status_code == 204
    assert response.headers["Location"] == location
    assert response.headers["Range"] == "0-9"
    assert response.headers["Docker-Upload-UUID"] == location.rpartition("/")[2]


@pytest.mark.parametrize("way", ["POST", "PUT", "PATCH and PUT"])
def test_bytes_that_are_not_the_digests_are_dropped(
    bob: RegistryClient, api: str, way: str
) -> None:
    """UP-2, UP-8: nothing becomes visible, and the session is over."""
    content, claimed = some_bytes(), digest_of(some_bytes())
    if way == "POST":
        response = start(bob, api, f"?digest={claimed}")
    else:
        location = bob.start_upload(api)
        body = content
        if way == "PATCH and PUT":
            bob.patch(location, content=content)
            body = b""
        response = bob.put(with_digest(location, claimed), content=body)
        assert bob.get(location).status_code == 404
    assert response.status_code == 400
    assert error_codes(response) == ["DIGEST_INVALID"]
    for digest in (claimed, digest_of(content)):
        assert bob.head(f"/v2/{api}/blobs/{digest}").status_code == 404


# --- digests and sizes at the edge


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("content", [EMPTY_BLOB, EMPTY_OBJECT, b"x" * 300_000])
@pytest.mark.parametrize("way", ["POST", "PUT", "streamed", "chunked", "PATCH empty"])
def test_every_way_takes_every_blob(
    bob: RegistryClient, api: str, way: str, content: bytes, algorithm: str
) -> None:
    """UP-10, UP-11: nothing at all, {} and what is more than one piece."""
    digest = digest_of(content, algorithm)
    location = bob.start_upload(api)
    closing = with_digest(location, digest)
    if way == "POST":
        response = bob.post(
            f"/v2/{api}/blobs/uploads/?digest={digest}", content=[content]
        )
    elif way == "PUT":
        response = bob.put(closing, content=content)
    elif way == "streamed":
        assert bob.patch(location, content=[content]).status_code == 202
        response = bob.put(closing)
    elif way == "PATCH empty":
        patched = bob.patch(location, content=b"")
        assert patched.status_code == 202 and patched.headers["Range"] == "0-0"
        response = bob.put(closing, content=[content])
    else:
        half = len(content) // 2
        assert bob.patch(location, content=content[:half]).status_code == 202
        response = bob.put(closing, content=content[half:])
    assert response.status_code == 201
    assert response.headers["Docker-Content-Digest"] == digest
    assert bob.pull_blob(api, digest) == content


def test_an_announced_algorithm(bob: RegistryClient, api: str) -> None:
    """UP-10, G-3: end-4c."""
    content = some_bytes()
    location = start(bob, api, "?digest-algorithm=sha512").headers["Location"]
    bob.patch(location, content=[content])
    closing = with_digest(location, digest_of(content, "sha512"))
    assert bob.put(closing).status_code == 201
    response = start(bob, api, "?digest-algorithm=md5")
    assert response.status_code == 400
    assert error_codes(response) == ["DIGEST_INVALID"]


# --- sessions and their owners


def test_a_cancelled_session_is_gone(bob: RegistryClient, api: str) -> None:
    """UP-9, AUTH-4: a token for pushing is enough."""
    location = bob.start_upload(api)
    bob.patch(location, content=b"abc")
    token = bob.token(f"repository:{api}:pull,push")
    assert bob.delete(location, token=token).status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        response = bob.request(method, location)
        assert response.status_code == 404
        assert error_codes(response) == ["BLOB_UPLOAD_UNKNOWN"]
    assert bob.put(with_digest(location, digest_of(b"abc"))).status_code == 404


def test_a_closed_session_is_gone(bob: RegistryClient, api: str) -> None:
    """UP-9."""
    location = bob.start_upload(api)
    closing = with_digest(location, digest_of(b"abc"))
    assert bob.put(closing, content=b"abc").status_code == 201
    assert bob.get(location).status_code == 404
    elsewhere = with_digest(location, digest_of(b"abcd"))
    assert bob.put(elsewhere, content=b"abcd").status_code == 404


def test_a_session_of_somebody_else_is_not_there(
    bob: RegistryClient, robby: RegistryClient, alice: RegistryClient, api: str
) -> None:
    """UP-3: although they all may push here."""
    location = bob.start_upload(api)
    bob.patch(location, content=b"abc")
    for stranger in (robby, alice):
        for method in ("GET", "PATCH", "DELETE"):
            response = stranger.request(method, location)
            assert response.status_code == 404
            assert error_codes(response) == ["BLOB_UPLOAD_UNKNOWN"]
        closing = with_digest(location, digest_of(b"abc"))
        assert stranger.put(closing).status_code == 404
    assert offset_of(bob, location) == "0-2"


def test_a_session_of_another_repository_is_not_there(
    bob: RegistryClient, api: str, other: str
) -> None:
    """UP-3."""
    location = bob.start_upload(api)
    elsewhere = location.replace(api, other)
    for method in ("GET", "PATCH", "DELETE"):
        assert bob.request(method, elsewhere).status_code == 404
    assert offset_of(bob, location) == "0-0"


@pytest.mark.parametrize("uuid", ["x", "0" * 32, "%00", "..", "a" * 500])
def test_a_session_that_never_was(bob: RegistryClient, api: str, uuid: str) -> None:
    """UP-3, UP-7: whatever stands there."""
    response = bob.patch(f"/v2/{api}/blobs/uploads/{quote(uuid)}", content=b"abc")
    assert response.status_code == 404


def test_a_new_token_goes_on_with_the_session(bob: RegistryClient, api: str) -> None:
    """AUTH-41, D-4, R-25: tokens are shorter than uploads."""
    location = bob.start_upload(api)
    for piece in (b"abc", b"def"):
        bob.tokens.clear()
        assert bob.patch(location, content=piece).status_code == 202
    bob.tokens.clear()
    closing = with_digest(location, digest_of(b"abcdef"))
    assert bob.put(closing).status_code == 201


def test_an_idle_session_ends(bob: RegistryClient, api: str) -> None:
    """UP-9: after a week, and the one beside it goes on."""
    idle, busy = bob.start_upload(api), bob.start_upload(api)
    bob.patch(idle, content=b"abc")
    longer = timezone.now() - timedelta(days=7, minutes=1)
    Upload.objects.filter(pk=idle.rpartition("/")[2]).update(touched_at=longer)
    expire_uploads()
    assert bob.get(idle).status_code == 404
    assert bob.get(busy).status_code == 204


# --- at the same time


def test_one_of_many_writers_wins(bob: RegistryClient, api: str) -> None:
    """UP-12, R-31, R-45: the bytes of one, and never a mixture."""
    location = bob.start_upload(api)
    bob.patch(location, content=b"0123456789")
    contents = [bytes([65 + n]) * 50_000 for n in range(6)]

    def append(content: bytes) -> int:
        headers = {"Content-Range": "10-50009"}
        return bob.patch(location, content=content, headers=headers).status_code

    with ThreadPoolExecutor(len(contents)) as pool:
        statuses = list(pool.map(append, contents))
    assert sorted(statuses) == [202] + [416] * 5
    whole = b"0123456789" + contents[statuses.index(202)]
    closing = with_digest(location, digest_of(whole))
    assert bob.put(closing).status_code == 201
    assert bob.pull_blob(api, digest_of(whole)) == whole


def test_a_writer_whose_bytes_another_took_away_was_slower(
    bob: RegistryClient, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-31: the session lives (416), it is not unknown (404)."""
    location = bob.start_upload(api)
    bob.patch(location, content=b"0123456789")
    slow = Upload.objects.get(pk=location.rpartition("/")[2])
    write = receiving.receive_body

    def after_another(staged: Staged, *rest: Any) -> Receiving[receiving.Received]:
        sessions.claim(Upload.objects.get(pk=slow.pk))
        return write(staged, *rest)

    monkeypatch.setattr(receiving, "receive_body", after_another)
    request = RequestFactory().patch(location, data=b"more")
    appending = requests.append_to_upload(
        upload=slow, body=Body(request), content_range=None
    )
    with pytest.raises(sessions.OutOfOrder):
        receive(appending, request.META["wsgi.input"].read)
    assert offset_of(bob, location) == "0-9"


def test_the_same_blob_many_times_at_once(
    bob: RegistryClient, api: str, other: str
) -> None:
    """UP-12, R-10, R-43: every one of them is told that it is there."""
    content = some_bytes(50_000)
    digest = digest_of(content)
    closings = [
        with_digest(bob.start_upload(name), digest)
        for name in (api, other)
        for _ in range(8)
    ]
    with ThreadPoolExecutor(len(closings)) as pool:
        statuses = pool.map(
            lambda closing: bob.put(closing, content=content).status_code, closings
        )
        assert set(statuses) == {201}
    assert bob.pull_blob(api, digest) == bob.pull_blob(other, digest) == content


def test_a_put_that_was_answered_can_be_pulled_at_once(
    bob: RegistryClient, api: str
) -> None:
    """R-35, R-41: by every worker."""
    for _ in range(20):
        digest = bob.push_blob(api, some_bytes())
        assert bob.head(f"/v2/{api}/blobs/{digest}").status_code == 200
