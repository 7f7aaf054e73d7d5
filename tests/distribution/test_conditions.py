"""Conditional requests, from the tables of RFC 9110 §13 (COND-1)."""

import httpx
import pytest

from accounts.conditions import Conditions, Verdict
from tests import images
from tests.images import digest_of, some_bytes
from tests.registry_client import RegistryClient, error_codes

OTHER = "sha256:" + "0" * 64
BEFORE = "Tue, 15 Nov 1994 12:45:26 GMT"
AFTER = "Fri, 31 Dec 2100 23:59:59 GMT"

# The headers, and the answers to a read and to a write of what is there. Nothing under
# /v2/ has a date, so that conditions on dates are ignored there (§13.1.3, §13.1.4).
TABLE: list[tuple[dict[str, str], int, int]] = [
    ({}, 200, 200),
    # If-Match: strong comparison (§13.1.1).
    ({"If-Match": '"{etag}"'}, 200, 200),
    ({"If-Match": "{etag}"}, 200, 200),
    ({"If-Match": "*"}, 200, 200),
    ({"If-Match": '"{other}"'}, 412, 412),
    ({"If-Match": '"{other}", "{etag}"'}, 200, 200),
    ({"If-Match": '"{other}" ,\t, "x,y","{etag}"'}, 200, 200),
    ({"If-Match": 'W/"{etag}"'}, 412, 412),
    ({"If-Match": 'W/"{etag}", "{etag}"'}, 200, 200),
    ({"If-Match": '"x", "y"'}, 412, 412),
    ({"If-Match": '"*"'}, 412, 412),
    ({"If-Match": '"x", *'}, 412, 412),
    ({"If-Match": '"{etag}'}, 412, 412),
    ({"If-Match": '"x" "{etag}"'}, 412, 412),
    ({"If-Match": ""}, 412, 412),
    # If-None-Match: weak comparison (§13.1.2).
    ({"If-None-Match": '"{etag}"'}, 304, 412),
    ({"If-None-Match": "{etag}"}, 304, 412),
    ({"If-None-Match": 'W/"{etag}"'}, 304, 412),
    ({"If-None-Match": "*"}, 304, 412),
    ({"If-None-Match": '"x", "{etag}"'}, 304, 412),
    ({"If-None-Match": '"x,y", W/"z",W/"{etag}"'}, 304, 412),
    ({"If-None-Match": '"{other}"'}, 200, 200),
    ({"If-None-Match": '"x", "y"'}, 200, 200),
    ({"If-None-Match": '"*"'}, 200, 200),
    ({"If-None-Match": 'w/"{etag}"'}, 200, 200),
    ({"If-None-Match": '"{etag}'}, 200, 200),
    ({"If-None-Match": ""}, 200, 200),
    # The order of §13.2.2.
    ({"If-Match": '"{other}"', "If-None-Match": '"{etag}"'}, 412, 412),
    ({"If-Match": '"{etag}"', "If-None-Match": '"{etag}"'}, 304, 412),
    ({"If-Match": '"{etag}"', "If-None-Match": '"{other}"'}, 200, 200),
    ({"If-None-Match": '"{other}"', "If-Modified-Since": AFTER}, 200, 200),
    ({"If-Match": '"{etag}"', "If-Unmodified-Since": BEFORE}, 200, 200),
    # Dates of what has none.
    ({"If-Modified-Since": AFTER}, 200, 200),
    ({"If-Modified-Since": BEFORE}, 200, 200),
    ({"If-Unmodified-Since": BEFORE}, 200, 200),
    ({"If-Unmodified-Since": "yesterday"}, 200, 200),
    # A condition comes before a range.
    ({"If-None-Match": '"{etag}"', "Range": "bytes=0-"}, 304, 412),
    ({"If-None-Match": '"{etag}"', "Range": "bytes=999999999-"}, 304, 412),
    ({"If-Match": '"{other}"', "Range": "bytes=999999999-"}, 412, 412),
]


def filled(headers: dict[str, str], etag: str) -> dict[str, str]:
    return {name: v.format(etag=etag, other=OTHER) for name, v in headers.items()}


def test_reads(bob: RegistryClient, api: str) -> None:
    """GET and HEAD are 304 or 412 where RFC 9110 §13 says so (COND-1)."""
    image = images.image()
    bob.push(f"{api}:v1", image)
    blob = digest_of(image.blobs[0])
    paths = {
        f"/v2/{api}/manifests/v1": image.digest,
        f"/v2/{api}/manifests/{image.digest}": image.digest,
        f"/v2/{api}/blobs/{blob}": blob,
    }
    for path, etag in paths.items():
        plain = bob.head(path)
        for headers, status, _ in TABLE:
            for method in ("GET", "HEAD"):
                sent = filled(headers, etag)
                response = bob.request(method, path, headers=sent)
                about = f"{method} {path} {sent}"
                assert response.status_code == status, about
                assert response.headers["ETag"] == f'"{etag}"', about
                if status == 304:
                    check_not_modified(response, plain)
                if status == 412 and method == "GET":
                    assert error_codes(response) == ["PRECONDITION_FAILED"]


def check_not_modified(response: httpx.Response, plain: httpx.Response) -> None:
    """Compare with what a 200 has said (RFC 9110 §15.4.5)."""
    assert response.content == b"" and "Content-Type" not in response.headers
    for name in ("Cache-Control", "ETag", "Vary", "Docker-Content-Digest"):
        assert response.headers.get(name) == plain.headers.get(name)


def test_pushes(bob: RegistryClient, api: str) -> None:
    """A PUT by tag or by digest is performed on its condition only (COND-1, MAN-16)."""
    first, second = images.image(), images.image()
    bob.push(f"{api}:v1", first)
    bob.push(api, second)
    for headers, _, status in TABLE:
        sent = filled(headers, first.digest)
        bob.put_manifest(api, "v1", first)
        response = bob.put_manifest(api, "v1", second, headers=sent)
        check_change(response, status, 201, sent)
        assert tag_of(bob, api) == (second if status == 200 else first).digest, sent
        # By digest, what is there is the manifest itself.
        path = f"{first.digest}?tag=by-digest"
        response = bob.put_manifest(api, path, first, headers=sent)
        check_change(response, status, 201, sent)
        moved = bob.head(f"/v2/{api}/manifests/by-digest").status_code == 200
        assert moved == (status == 200), sent
        if moved:
            bob.delete(f"/v2/{api}/manifests/by-digest")


def test_pushes_of_what_is_new(bob: RegistryClient, api: str) -> None:
    """If-None-Match holds for what is not there, If-Match does not (COND-1)."""
    bob.push(f"{api}:there", images.image())
    for headers, status in [
        ({}, 201),
        ({"If-None-Match": "*"}, 201),
        ({"If-None-Match": '"{etag}", W/"{other}"'}, 201),
        ({"If-Match": "*"}, 412),
        ({"If-Match": '"{etag}"'}, 412),
        ({"If-Match": "{other}", "If-None-Match": "*"}, 412),
        ({"If-Unmodified-Since": BEFORE}, 201),
    ]:
        image = images.image()
        bob.push_blobs(api, image)
        sent = filled(headers, image.digest)
        assert (
            bob.put_manifest(api, image.digest, image, headers=sent).status_code
            == status
        ), sent
        by_tag = images.image()
        bob.push_blobs(api, by_tag)
        response = bob.put_manifest(api, "new", by_tag, headers=sent)
        assert response.status_code == status, sent
        for digest in (image.digest, by_tag.digest):
            path = f"/v2/{api}/manifests/{digest}"
            assert bob.head(path).status_code == (200 if status == 201 else 404)
        bob.delete(f"/v2/{api}/manifests/new")
    # Nor does a new manifest move a tag that had to be new.
    image = images.image()
    bob.push_blobs(api, image)
    new = {"If-None-Match": "*"}
    response = bob.put_manifest(api, f"{image.digest}?tag=there", image, headers=new)
    check_change(response, 412, 201, new)
    assert bob.head(f"/v2/{api}/manifests/{image.digest}").status_code == 404


def test_deletions(alice: RegistryClient, api: str) -> None:
    """COND-1: a DELETE of a tag, manifest or blob is performed on its condition."""
    image = images.image()
    alice.push(f"{api}:v1", image)
    blob = alice.push_blob(api, some_bytes())
    for headers, _, status in TABLE:
        for path, etag in [
            (f"/v2/{api}/manifests/v1", image.digest),
            (f"/v2/{api}/manifests/{image.digest}", image.digest),
            (f"/v2/{api}/blobs/{blob}", blob),
        ]:
            sent = filled(headers, etag)
            response = alice.delete(path, headers=sent)
            check_change(response, status, 202, sent)
            assert alice.head(path).status_code == (404 if status == 200 else 200)
            if status == 200:
                # What is not there is 404, whatever the condition (§13.2.1).
                assert alice.delete(path, headers=sent).status_code == 404
                if "/blobs/" in path:
                    blob = alice.push_blob(api, some_bytes())
                else:
                    assert alice.put_manifest(api, "v1", image).status_code == 201


def test_what_is_not_there_or_not_allowed_has_no_conditions(
    bob: RegistryClient, carol: RegistryClient, api: str
) -> None:
    """A request that fails anyway is answered as without conditions (§13.2.1)."""
    image = images.image()
    bob.push(f"{api}:v1", image)
    headers = {"If-Match": f'"{OTHER}"', "If-None-Match": "*"}
    for path in ("manifests/absent", f"manifests/{OTHER}", f"blobs/{OTHER}"):
        for method in ("GET", "HEAD"):
            response = bob.request(method, f"/v2/{api}/{path}", headers=headers)
            assert response.status_code == 404
    denied = carol.put_manifest(api, "v1", image, headers=headers)
    assert denied.status_code in (401, 403)
    wrong = bob.put_manifest(api, OTHER, image, headers=headers)
    assert error_codes(wrong) == ["DIGEST_INVALID"]


def check_change(
    response: httpx.Response, status: int, done: int, sent: dict[str, str]
) -> None:
    assert response.status_code == (done if status == 200 else status), sent
    if status == 412:
        assert error_codes(response) == ["PRECONDITION_FAILED"]


def tag_of(client: RegistryClient, name: str) -> str:
    head = client.head(f"/v2/{name}/manifests/v1")
    return str(head.headers["Docker-Content-Digest"])


@pytest.mark.parametrize(
    ("headers", "is_read", "verdict"),
    [
        # What has a date, here of the first of January 2020.
        ({"IF_MODIFIED_SINCE": BEFORE}, True, "proceed"),
        ({"IF_MODIFIED_SINCE": AFTER}, True, "not modified"),
        ({"IF_MODIFIED_SINCE": "Wed, 01 Jan 2020 00:00:00 GMT"}, True, "not modified"),
        ({"IF_MODIFIED_SINCE": "Wednesday, 01-Jan-20 00:00:00 GMT"}, True,
         "not modified"),
        ({"IF_MODIFIED_SINCE": "Tue, 31 Dec 2019 23:59:59 GMT"}, True, "proceed"),
        ({"IF_MODIFIED_SINCE": AFTER}, False, "proceed"),
        ({"IF_MODIFIED_SINCE": "tomorrow"}, True, "proceed"),
        ({"IF_MODIFIED_SINCE": AFTER, "IF_NONE_MATCH": '"x"'}, True, "proceed"),
        ({"IF_MODIFIED_SINCE": BEFORE, "IF_NONE_MATCH": '"e"'}, True, "not modified"),
        ({"IF_UNMODIFIED_SINCE": BEFORE}, True, "failed"),
        ({"IF_UNMODIFIED_SINCE": BEFORE}, False, "failed"),
        ({"IF_UNMODIFIED_SINCE": AFTER}, False, "proceed"),
        ({"IF_UNMODIFIED_SINCE": "Wed, 01 Jan 2020 00:00:00 GMT"}, False, "proceed"),
        ({"IF_UNMODIFIED_SINCE": BEFORE, "IF_MATCH": '"e"'}, False, "proceed"),
        ({"IF_UNMODIFIED_SINCE": AFTER, "IF_MATCH": '"x"'}, False, "failed"),
        ({"IF_UNMODIFIED_SINCE": AFTER, "IF_MODIFIED_SINCE": AFTER}, True,
         "not modified"),
    ],
)  # fmt: skip
def test_dates(headers: dict[str, str], is_read: bool, verdict: str) -> None:
    """COND-1: dates count where there are some, and entity tags come first."""
    environ = {f"HTTP_{name}": value for name, value in headers.items()}
    conditions = Conditions.read(environ)
    found = conditions.judge('"e"', is_read=is_read, modified_at=1_577_836_800)
    assert found is Verdict(verdict)


def test_a_weak_resource_never_matches_strongly() -> None:
    """RFC 9110 §8.8.3.2, its table of comparisons."""
    for mine, theirs, strong, weak in [
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', '"1"', True, True),
    ]:
        match = Conditions.read({"HTTP_IF_MATCH": theirs}).match
        assert match is not None
        assert (match.has_strong(mine), match.has_weak(mine)) == (strong, weak)


@pytest.mark.timeout(30)  # what looks at each pair of characters takes a minute
def test_a_long_list_is_read_in_one_pass() -> None:
    """The work grows with the length of the header only."""
    spaces = " " * 60_000
    for header in (
        *('"' * 60_000, '"a,' * 20_000, "W/" * 30_000, f'{spaces}"', f"a{spaces}a"),
        *(f'"a"{spaces}"', f"{spaces},{spaces}x{spaces}y", "a" * 60_000 + '"'),
    ):
        assert Conditions.read({"HTTP_IF_MATCH": header}).match is not None
