"""What every refusal looks like, and what every path makes of odd requests (§1)."""

import pytest

from distribution import errors
from tests import images, make
from tests.images import ABSENT_DIGEST
from tests.registry_client import RawConnection, RegistryClient, error_codes

SESSION = "blobs/uploads/00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
@pytest.mark.parametrize(
    "path",
    [
        "/v2/nothing",
        "/v2/nothing/here",
        "/v2/_catalog/more",
        "/v2/_oci/ext/other",
        "/v2/acme/api/blobs",
        "/v2/acme/api/tags",
        "/v2/acme/api/tags/list/more",
        "/v2//",
        "/v1/",
        "/v1/images",
    ],
)
def test_an_unknown_path_is_404_in_json(
    anonymous: RegistryClient, method: str, path: str
) -> None:
    """E-1, H-1: docker prints garbage for anything but JSON."""
    response = anonymous.request(method, path, token="")
    assert response.status_code == 404
    if method != "HEAD":
        assert error_codes(response) == ["NAME_UNKNOWN"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v2/", "GET, HEAD"),
        ("/v2/token", "GET, HEAD, POST"),
        ("/v2/token/jwks", "GET, HEAD"),
        ("/v2/_catalog", "GET, HEAD"),
        ("/v2/_oci/ext/discover", "GET, HEAD"),
        ("/v2/acme/api/blobs/uploads/", "POST"),
        (f"/v2/acme/api/{SESSION}", "PATCH, PUT, GET, HEAD, DELETE"),
        (f"/v2/acme/api/blobs/{ABSENT_DIGEST}", "GET, HEAD, DELETE"),
        ("/v2/acme/api/manifests/v1", "GET, HEAD, PUT, DELETE"),
        ("/v2/acme/api/tags/list", "GET, HEAD"),
        (f"/v2/acme/api/referrers/{ABSENT_DIGEST}", "GET, HEAD"),
        ("/v1/_ping", "GET, HEAD"),
        ("/v1/search", "GET, HEAD"),
    ],
)
def test_another_method_is_405_and_says_which_are_allowed(
    anonymous: RegistryClient, path: str, allowed: str
) -> None:
    """E-1, E-2: UNSUPPORTED."""
    words = allowed.split(", ")
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
        if method not in words:
            response = anonymous.request(method, path, token="")
            assert response.status_code == 405
            assert response.headers["Allow"] == allowed
            assert error_codes(response) == ["UNSUPPORTED"]


@pytest.mark.parametrize(
    ("path", "code", "word"),
    [
        ("manifests/absent", "MANIFEST_UNKNOWN", "'absent' does not exist"),
        (f"manifests/{ABSENT_DIGEST}", "MANIFEST_UNKNOWN", ABSENT_DIGEST),
        (f"blobs/{ABSENT_DIGEST}", "BLOB_UNKNOWN", ABSENT_DIGEST),
        (SESSION, "BLOB_UPLOAD_UNKNOWN", "upload"),
        ("blobs/sha256:bad", "DIGEST_INVALID", "64"),
        ("blobs/md5:0123", "DIGEST_INVALID", "md5"),
        ("tags/list?n=-1", "PAGINATION_NUMBER_INVALID", "-1"),
    ],
)
def test_a_refusal_says_what_was_wrong(
    alice: RegistryClient, api: str, path: str, code: str, word: str
) -> None:
    """E-2, E-4."""
    response = alice.get(f"/v2/{api}/{path}")
    [error] = response.json()["errors"]
    assert error["code"] == code
    assert word in error["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept-Encoding": "zstd, gzip, deflate"},
        {"Accept-Encoding": "gzip", "Accept": "text/html"},
        {"Accept-Language": "de", "Cookie": "sessionid=x; csrftoken=y"},
        {"Accept": "application/xml;q=1, */*;q=0"},
        {"Origin": "https://elsewhere.example", "Referer": "https://elsewhere.example"},
    ],
)
def test_no_header_of_a_browsers_changes_an_answer(
    alice: RegistryClient, api: str, headers: dict[str, str]
) -> None:
    """H-2, DJ-3, R-24, R-30, R-32, R-33: no cookie, no CSRF check, no compression."""
    digest = alice.push(f"{api}:v1", image := images.image(images.some_bytes(5000)))
    blob = images.digest_of(image.blobs[1])
    for path in (f"manifests/{digest}", f"blobs/{blob}", "tags/list", "tags/absent"):
        plain = alice.get(f"/v2/{api}/{path}", headers={"Accept-Encoding": "identity"})
        fancy = alice.get(f"/v2/{api}/{path}", headers=headers)
        assert fancy.status_code == plain.status_code
        assert fancy.content == plain.content
        assert fancy.headers["Content-Length"] == plain.headers["Content-Length"]
    response = alice.post(f"/v2/{api}/blobs/uploads/", headers=headers)
    assert response.status_code == 202


@pytest.mark.parametrize(
    "path",
    [
        "manifests/{digest}",
        "manifests/v1",
        "blobs/{blob}",
        "tags/list",
        "referrers/{digest}",
    ],
)
def test_a_trailing_slash_makes_no_difference(
    alice: RegistryClient, api: str, path: str
) -> None:
    """H-2: and is never answered with a redirect."""
    digest = alice.push(f"{api}:v1", image := images.image())
    path = path.format(digest=digest, blob=images.digest_of(image.blobs[0]))
    plain = alice.get(f"/v2/{api}/{path}")
    slashed = alice.get(f"/v2/{api}/{path}/")
    assert plain.status_code == slashed.status_code == 200
    assert plain.content == slashed.content


@pytest.mark.parametrize("path", ["/v2/_catalog/", "/v2/token/", "/v1/search/"])
def test_a_trailing_slash_makes_no_difference_elsewhere(
    alice: RegistryClient, path: str
) -> None:
    """SRCH-5, H-2."""
    assert alice.get(path).status_code == 200


def test_an_upload_works_with_and_without_slashes(
    alice: RegistryClient, api: str
) -> None:
    """H-2: end-4a in both spellings, and a session's address too."""
    response = alice.post(f"/v2/{api}/blobs/uploads")
    location = response.headers["Location"]
    assert response.status_code == 202
    assert alice.patch(f"{location}/", content=b"abc").status_code == 202
    digest = images.digest_of(b"abc")
    assert alice.put(f"{location}/?digest={digest}").status_code == 201


# --- names, tags and digests


@pytest.mark.parametrize(
    "name",
    [
        "a/manifests/b",
        "blobs/uploads",
        "manifests",
        "tags/list",
        "referrers/sha256",
        "a/blobs",
        "blobs/uploads/blobs",
        "a.b_c__d-e---f/0",
        "charts/team/deep/deeper/name",
    ],
)
def test_a_name_may_be_made_of_the_routes_own_words(
    alice: RegistryClient, name: str
) -> None:
    """G-1, G-5: what counts is what stands last."""
    full_name = f"{alice.username}/{name}"
    image = images.image()
    digest = alice.push(f"{full_name}:latest", image)
    assert alice.pull(f"{full_name}:latest") == image
    assert alice.tags(full_name) == ["latest"]
    assert alice.referrers(full_name, digest) == []
    assert alice.delete(f"/v2/{full_name}/manifests/{digest}").status_code == 202


BAD_NAMES = [
    "UPPER/case",
    "acme/API",
    "acme//api",
    "/acme/api",
    "acme/api/",
    "-acme/api",
    "acme/api-",
    "acme/_api",
    "acme/a..b",
    "acme/a___b",
    "acme/api%20x",
    "acme/%00",
    "acme/%ff",
    "acme/%C3%A4pi",
    "acme/api:v1",
    "acme/a%5Cb",
    "acme/" + "x" * 251,
    "_acme/api",
]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "tags/list"),
        ("GET", "manifests/v1"),
        ("PUT", "manifests/v1"),
        ("POST", "blobs/uploads/"),
        ("DELETE", f"blobs/{ABSENT_DIGEST}"),
        ("GET", f"referrers/{ABSENT_DIGEST}"),
    ],
)
def test_a_name_against_the_grammar_is_refused(
    alice: RegistryClient, name: str, method: str, path: str
) -> None:
    """G-1, E-2: and says so before it asks who is there."""
    response = alice.request(method, f"/v2/{name}/{path}", token="")
    assert response.status_code == 400
    assert error_codes(response) == ["NAME_INVALID"]


@pytest.mark.parametrize("target", ["/v2/../v2/x", "/v2/a/../../etc/passwd", "/v2/%2e"])
def test_dots_lead_nowhere(anonymous: RegistryClient, target: str) -> None:
    """G-1: no client resolves them for us here."""
    with RawConnection(anonymous.url) as connection:
        connection.send_head("GET", target)
        answer = connection.receive()
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/json"


def test_the_longest_name_works(alice: RegistryClient) -> None:
    """G-1: 255 characters, of which the namespace is a part."""
    name = f"{alice.username}/"
    name += "x" * (255 - len(name))
    image = images.image()
    alice.push(f"{name}:v1", image)
    assert alice.pull(f"{name}:v1") == image


@pytest.mark.parametrize(
    "tag",
    ["a", "_", "A.b-c_D", "0", "x" * 128, "sha256-" + "0" * 64 + ".sig", "_1__2..3--"],
)
def test_a_tag_of_the_grammar_is_taken(
    alice: RegistryClient, api: str, tag: str
) -> None:
    """G-2."""
    image = images.image()
    alice.push(f"{api}:{tag}", image)
    assert alice.pull(f"{api}:{tag}") == image


@pytest.mark.parametrize(
    "tag", [".a", "-a", "x" * 129, "a%20b", "a+b", "%C3%A4", "a%00", "a@b", "a%0A"]
)
def test_a_tag_against_the_grammar_is_refused(
    alice: RegistryClient, api: str, tag: str
) -> None:
    """G-2: 400 for a push, and not there for a pull."""
    response = alice.put(f"/v2/{api}/manifests/{tag}", content=b"{}")
    assert response.status_code == 400
    assert error_codes(response) == ["TAG_INVALID"]
    response = alice.get(f"/v2/{api}/manifests/{tag}")
    assert response.status_code == 404
    assert error_codes(response) == ["MANIFEST_UNKNOWN"]


def test_tags_have_a_case(alice: RegistryClient, api: str) -> None:
    """G-2: whatever the database thinks of letters."""
    upper, lower = images.image(), images.image()
    alice.push(f"{api}:V1", upper)
    alice.push(f"{api}:v1", lower)
    assert alice.pull(f"{api}:V1") == upper
    assert alice.pull(f"{api}:v1") == lower
    assert alice.tags(api) == ["V1", "v1"]


BAD_DIGESTS = [
    "sha256:baddigeststring",
    "sha256:" + "0" * 63,
    "sha256:" + "A" * 64,
    "sha512:" + "0" * 64,
    "md5:" + "0" * 32,
    "sha384:" + "0" * 96,
    "sha256:",
    ":" + "0" * 64,
    "SHA256:" + "0" * 64,
    "sha256:" + "0" * 64 + ":1",
]


@pytest.mark.parametrize("digest", BAD_DIGESTS)
def test_a_malformed_digest_is_refused_everywhere(
    alice: RegistryClient, api: str, digest: str
) -> None:
    """G-3: 400 DIGEST_INVALID, whichever way it comes in."""
    session = alice.start_upload(api)
    for method, path in [
        ("GET", f"/v2/{api}/blobs/{digest}"),
        ("DELETE", f"/v2/{api}/blobs/{digest}"),
        ("GET", f"/v2/{api}/manifests/{digest}"),
        ("PUT", f"/v2/{api}/manifests/{digest}"),
        ("DELETE", f"/v2/{api}/manifests/{digest}"),
        ("GET", f"/v2/{api}/referrers/{digest}"),
        ("POST", f"/v2/{api}/blobs/uploads/?digest={digest}"),
        ("POST", f"/v2/{api}/blobs/uploads/?mount={digest}&from={api}"),
        ("PUT", f"{session}?digest={digest}"),
    ]:
        response = alice.request(method, path)
        assert (response.status_code, method, path) == (400, method, path)
        assert error_codes(response) == ["DIGEST_INVALID"]


def test_a_push_by_digest_makes_no_tag(alice: RegistryClient, api: str) -> None:
    """G-4, R-12."""
    digest = alice.push(api, images.image())
    assert alice.tags(api) == []
    assert alice.head(f"/v2/{api}/manifests/{digest}").status_code == 200


def test_an_unknown_namespace_is_said_to_be_unknown(alice: RegistryClient) -> None:
    """E-2: a push into it has no other remedy."""
    name = f"{make.unique('nowhere')}/api"
    token = alice.token(f"repository:{name}:pull,push")
    response = alice.post(f"/v2/{name}/blobs/uploads/", token=token)
    assert response.status_code == 404
    assert error_codes(response) == ["NAME_UNKNOWN"]


# --- lengths, addresses and codes


def test_empty_answers_say_that_they_are_empty(alice: RegistryClient, api: str) -> None:
    """H-7: Content-Length: 0 on 201 and 202, and nothing of the kind on 204."""
    token = f"Bearer {alice.token(f'repository:{api}:pull,push')}"
    location = alice.start_upload(api)
    for method, target, status, length in [
        ("POST", f"/v2/{api}/blobs/uploads/", 202, "0"),
        ("PATCH", location, 202, "0"),
        ("GET", location, 204, None),
        ("PUT", f"{location}?digest={images.digest_of(b'')}", 201, "0"),
    ]:
        with RawConnection(alice.url) as connection:
            connection.send_head(
                method, target, Authorization=token, Content_Length="0"
            )
            answer = connection.receive(method)
        assert answer.status == status
        assert answer.headers.get("Content-Length") == length
        assert "Transfer-Encoding" not in answer.headers
        assert answer.body == b""


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "elsewhere.example"},
        {"Host": "elsewhere.example:8443", "X-Forwarded-Proto": "https"},
        {"X-Forwarded-Host": "elsewhere.example"},
        {"Forwarded": "host=elsewhere.example;proto=https"},
    ],
)
def test_addresses_are_relative_whatever_stands_in_front(
    alice: RegistryClient, api: str, headers: dict[str, str]
) -> None:
    """H-6, D-6, R-34: a wrong guess at the host has broken many a push."""
    token = alice.token(f"repository:{api}:pull,push")
    response = alice.post(f"/v2/{api}/blobs/uploads/", token=token, headers=headers)
    assert response.status_code == 202
    assert response.headers["Location"].startswith(f"/v2/{api}/blobs/uploads/")
    challenge = alice.get("/v2/", token="", headers=headers)
    realm = f'realm="{alice.url}/v2/token"'  # the one absolute address, from settings
    assert realm in challenge.headers["WWW-Authenticate"]


def test_codes_that_clients_retry_on_are_for_what_passes() -> None:
    """E-3: ggcr sends a request again on these codes, and on these statuses."""
    kinds = [errors.RegistryError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    retried_codes = {"BLOB_UPLOAD_INVALID", "TOOMANYREQUESTS", "UNKNOWN", "UNAVAILABLE"}
    retried_statuses = {408, 429, 500, 502, 503, 504}
    for kind in kinds:
        is_retried = kind.code in retried_codes or kind.status in retried_statuses
        passes = kind.status >= 500 or kind.status in {408, 429}
        assert is_retried == passes, kind


def test_head_is_answered_wherever_get_is(alice: RegistryClient, api: str) -> None:
    """HEAD has the status and headers of GET, and no body (H-10)."""
    image = images.image()
    digest = alice.push(f"{api}:v1", image)
    upload = alice.start_upload(api)
    for path in (
        "/v2/",
        "/v2/token",
        "/v2/token/jwks",
        "/v2/_catalog",
        "/v2/_oci/ext/discover",
        f"/v2/{api}/tags/list",
        f"/v2/{api}/referrers/{digest}",
        f"/v2/{api}/manifests/v1",
        f"/v2/{api}/blobs/{images.digest_of(image.blobs[0])}",
        upload,
        "/v1/_ping",
        "/v1/search?q=a",
    ):
        options = {"headers": alice.basic, "token": ""} if path == "/v2/token" else {}
        got, head = alice.get(path, **options), alice.head(path, **options)
        assert head.status_code == got.status_code in {200, 204}, path
        assert head.content == b""
        for name in ("Content-Type", "Content-Length", "Location", "Range"):
            if path != "/v2/token":  # each answer has a token of its own
                assert head.headers.get(name) == got.headers.get(name), (path, name)


@pytest.mark.parametrize("method", ["get", "Get", "head", "pUT", "delete"])
@pytest.mark.parametrize("path", ["/v2/", "/v1/_ping", "/v2/token", "/", "/healthz"])
def test_methods_are_case_sensitive(
    anonymous: RegistryClient, method: str, path: str
) -> None:
    """RFC 9110 §9.1 (H-10, B6)."""
    with RawConnection(anonymous.url) as connection:
        connection.send_head(method, path)
        answer = connection.receive(method.upper())
    assert answer.status in {405, 501}


@pytest.mark.parametrize(
    "path",
    [
        "/v2/",
        "/v2/token",
        "/v2/_catalog",
        "/v2/{api}/tags/list",
        "/v2/{api}/referrers/" + ABSENT_DIGEST,
        "/v2/{api}/manifests/v1",
        "/v1/search",
    ],
)
def test_a_query_of_very_many_fields_is_refused(
    alice: RegistryClient, api: str, path: str
) -> None:
    """It is 400 or 414, and never a failure of the server (B7)."""
    query = "&".join(["n=1", "tag=a", "scope=b", "q=c", "artifactType=d/e"] * 300)
    response = alice.get(f"{path.format(api=api)}?{query}")
    assert response.status_code in {200, 400, 404, 414}
    assert response.status_code >= 400 or path == "/v2/"


def test_a_put_that_names_thousands_of_tags_is_refused(
    alice: RegistryClient, api: str
) -> None:
    """By digest with 2,000 times ``tag=`` (B7)."""
    image = images.image()
    tags = "&".join(f"tag=t{number}" for number in range(2000))
    response = alice.put_manifest(api, f"{image.digest}?{tags}", image)
    assert response.status_code in {400, 414}
    assert alice.post(f"/v2/{api}/blobs/uploads/?{tags}").status_code in {400, 414}


@pytest.mark.parametrize(
    ("method", "path", "header", "status"),
    [
        ("GET", "/v2/token", "Authorization: Basic \u0661", 401),
        ("GET", "/v1/search?q=a", "Authorization: Bearer \xe9", 401),
        ("GET", "/v2/", "Cookie: a=\xe9", 401),
        ("GET", "/", "Cookie: a=\u202e", 200),
        ("GET", "/v1/_ping", "X-Forwarded-For: \u0661", 200),
        ("GET", "/v1/_ping", "User-Agent: \xe9", 200),
    ],
)
def test_a_header_that_is_not_ascii_is_not_an_absent_one(
    anonymous: RegistryClient, method: str, path: str, header: str, status: int
) -> None:
    """Wrong credentials are never taken for none (AUTH-11, B6)."""
    with RawConnection(anonymous.url) as connection:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {connection.host}\r\n{header}\r\n\r\n"
        )
        connection.send(head.encode())
        assert connection.receive(method).status == status


@pytest.mark.parametrize("query", ["q=\u00e9", "\u202e=\U0001f600", "n=\uffff"])
@pytest.mark.parametrize("path", ["/v2/_catalog", "/v1/search", "/v2/token", "/"])
def test_a_query_need_not_be_escaped(
    anonymous: RegistryClient, path: str, query: str
) -> None:
    """Bytes of UTF-8 are read as such, and never fail (B7)."""
    with RawConnection(anonymous.url) as connection:
        head = f"GET {path}?{query} HTTP/1.1\r\nHost: {connection.host}\r\n\r\n"
        connection.send(head.encode())
        assert connection.receive().status in {200, 400, 401}


def test_no_answer_runs_in_a_browser(alice: RegistryClient, api: str) -> None:
    """Other people's bytes are shown as their type says, in a sandbox (H-11, B2)."""
    image = images.image()
    alice.push(f"{api}:v1", image)
    blob = images.digest_of(image.blobs[1])
    for path in ("manifests/v1", f"blobs/{blob}", "tags/list", "manifests/absent"):
        response = alice.get(f"/v2/{api}/{path}")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy
