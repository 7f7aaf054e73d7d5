"""What a manifest may look like, and what is refused with a reason (§6)."""

import json
from typing import Any

import httpx
import pytest

from accounts.actors import SYSTEM
from accounts.models import Namespace
from accounts.organizations import create_organization
from repositories.models import Repository
from tests import images, make
from tests.conftest import Cast
from tests.images import (
    ABSENT_DIGEST,
    DOCKER_MANIFEST,
    DOCKER_SCHEMA1,
    EMPTY_OBJECT,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
)
from tests.registry_client import RegistryClient, error_codes

EMPTY = images.descriptor(EMPTY_OBJECT, OCI_EMPTY)
IMAGE: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": OCI_MANIFEST,
    "config": EMPTY,
    "layers": [EMPTY],
}
INDEX: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


def put(
    client: RegistryClient, name: str, body: Any, content_type: str | None
) -> httpx.Response:
    """Push a manifest, as an object or as bytes, by tag; its blob {} is there."""
    client.push_blob(name, EMPTY_OBJECT)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {} if content_type is None else {"Content-Type": content_type}
    path = f"/v2/{name}/manifests/v1"
    response = client.put(path, content=content, headers=headers)
    if response.status_code == 201:
        assert client.get(path).content == content
    return response


def without(body: dict[str, Any], *members: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in members}


@pytest.mark.parametrize(
    ("body", "content_type", "served_as"),
    [
        (IMAGE, OCI_MANIFEST, OCI_MANIFEST),
        (IMAGE, f"{OCI_MANIFEST}; charset=utf-8", OCI_MANIFEST),
        (without(IMAGE, "mediaType"), OCI_MANIFEST, OCI_MANIFEST),
        (without(IMAGE, "mediaType"), DOCKER_MANIFEST, DOCKER_MANIFEST),
        (without(INDEX, "mediaType"), OCI_INDEX, OCI_INDEX),
        (IMAGE, None, OCI_MANIFEST),
        (IMAGE, "application/octet-stream", OCI_MANIFEST),
        (INDEX, "application/json", OCI_INDEX),
        (without(IMAGE, "mediaType"), None, OCI_MANIFEST),
        (without(INDEX, "mediaType"), "application/json", OCI_INDEX),
        (
            {"schemaVersion": 2, "blobs": []},
            "application/vnd.example.thing.v1+json",
            "application/vnd.example.thing.v1+json",
        ),
    ],
)
def test_the_media_type_is_that_of_the_request_or_of_the_body(
    bob: RegistryClient, api: str, body: Any, content_type: str | None, served_as: str
) -> None:
    """MAN-3, MAN-4, H-4, R-08: helm writes no mediaType; parameters are cut off."""
    assert put(bob, api, body, content_type).status_code == 201
    got = bob.get(f"/v2/{api}/manifests/v1")
    assert got.headers["Content-Type"] == served_as


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": []},
        {"annotations": None},
        {"annotations": {}},
        {"annotations": {"a": "ä\n\u2028"}},
        {"artifactType": "application/vnd.anything+x"},
        {"config": {**EMPTY, "mediaType": "application/octet-stream"}},
        {"config": {**EMPTY, "mediaType": "application/vnd.cncf.helm.config.v1+json"}},
        {"config": {**EMPTY, "data": "e30="}},
        {"layers": [{**EMPTY, "mediaType": "application/x-whatever", "extra": [1]}]},
        {"layers": [{**EMPTY, "annotations": {"t": "x"}}, EMPTY, EMPTY]},
        {"subject": images.descriptor(b"absent", OCI_MANIFEST)},
        {"subject": images.descriptor(b"x", OCI_MANIFEST, algorithm="sha512")},
        {"subject": None},
        {"unknown": {"deep": [[[{}]]]}, "history": None},
        {"layers": None, "manifests": None},
        {"annotations": {"a": "x", "A": "y"}},
        {"unknown": {"digest": "a text", "Size": 5}},
    ],
)
def test_a_legal_image_is_taken(
    bob: RegistryClient, api: str, changes: dict[str, Any]
) -> None:
    """MAN-8, R-23, R-47: no list of allowed types, and unknown members pass.

    Null is the same as an absent member (MAN-20).
    """
    assert put(bob, api, IMAGE | changes, OCI_MANIFEST).status_code == 201


@pytest.mark.parametrize(
    "child",
    [
        {**EMPTY, "platform": {"os": "unknown", "architecture": "unknown"}},
        {**EMPTY, "platform": None},
        {**EMPTY, "mediaType": DOCKER_MANIFEST},
        {**EMPTY, "mediaType": OCI_INDEX, "artifactType": "x/y"},
        images.descriptor(b"absent", OCI_MANIFEST, algorithm="sha512"),
    ],
)
def test_a_legal_index_is_taken(
    bob: RegistryClient, api: str, child: dict[str, Any]
) -> None:
    """MAN-8, R-51: BuildKit's attestations have an unknown platform."""
    body = INDEX | {"manifests": [child]}
    assert put(bob, api, body, OCI_INDEX).status_code == 201


@pytest.mark.parametrize(
    "body", [INDEX | {"manifests": None}, without(INDEX, "manifests")]
)
def test_an_index_of_nothing_may_be_null(
    bob: RegistryClient, api: str, body: dict[str, Any]
) -> None:
    """Go writes a nil slice as null, which is the same as no member (MAN-20)."""
    assert put(bob, api, body, OCI_INDEX).status_code == 201


@pytest.mark.parametrize("member", ["manifests", "subject"])
def test_a_descriptor_of_a_manifest_has_its_size(
    bob: RegistryClient, api: str, member: str
) -> None:
    """MAN-19, B5: where the manifest is here, its size must be right."""
    image = images.image()
    bob.push(f"{api}:child", image)
    for change, status in ((0, 201), (1, 400)):
        descriptor = image.descriptor(size=image.size_bytes + change)
        value = [descriptor] if member == "manifests" else descriptor
        assert put(bob, api, INDEX | {member: value}, OCI_INDEX).status_code == status


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(IMAGE, indent=5, sort_keys=True) + "\n\n",
        "\n\t " + json.dumps(IMAGE, separators=(",", ":")),
        json.dumps(dict(reversed(IMAGE.items()))),
        json.dumps({**IMAGE, "n": 1}).replace('"n": 1', '"n": 1.50e+10'),
        json.dumps({**IMAGE, "annotations": {"a": "\u00e9"}}, ensure_ascii=False),
    ],
)
def test_no_spelling_of_json_matters(bob: RegistryClient, api: str, text: str) -> None:
    """MAN-2, R-37: the bytes that came are the bytes that go."""
    response = put(bob, api, text.encode(), OCI_MANIFEST)
    assert response.status_code == 201
    digest = response.headers["Docker-Content-Digest"]
    assert digest == images.digest_of(text.encode())


MALFORMED: list[bytes] = [
    b"",
    b" ",
    b"{",
    b"null",
    b"[]",
    b"2",
    b'"text"',
    b"not json",
    b"\xef\xbb\xbf" + json.dumps(IMAGE).encode(),  # a byte order mark
    json.dumps(IMAGE).encode("utf-16"),
    b'{"a":"\xff\xfe"}',
    json.dumps(IMAGE).encode()[:-1] + b',"a":NaN}',
    json.dumps(IMAGE).encode()[:-1] + b',"a":-Infinity}',
    json.dumps(IMAGE).encode()[:-1] + b',"layers":[]}',  # twice
    json.dumps(IMAGE).encode() + b"{}",
    b'{"a":' + b"9" * 100_000 + b"}",
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    json.dumps(IMAGE).encode()[:-1] + b',"a":' + b"[" * 70 + b"]" * 70 + b"}",
    json.dumps(IMAGE).encode()[:-1] + b',"a":1e999}',
    json.dumps(IMAGE).encode()[:-1] + b',"a":"\\ud800"}',
    json.dumps(IMAGE).encode()[:-1] + b',"a":{"b":1,"b":2}}',  # twice, further in
    b"[" * 200_000,
    b'{"schemaVersion":2,"mediaType":"' + OCI_MANIFEST.encode() + b'"}',
    b"\0" * 100,
]


@pytest.mark.parametrize("content", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_no_json_object_is_refused(
    bob: RegistryClient, api: str, content: bytes
) -> None:
    """MAN-14, R-48: 400 with a reason, never 500."""
    response = put(bob, api, content, OCI_MANIFEST)
    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert error["code"] == "MANIFEST_INVALID"
    assert len(error["message"]) > len("manifest invalid: ")


HUGE = 10**30


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"schemaVersion": 1}, "schema 1"),
        ({"schemaVersion": 3}, "schemaVersion"),
        ({"schemaVersion": "2"}, "schemaVersion"),
        ({"schemaVersion": None}, "schemaVersion"),
        ({"mediaType": OCI_INDEX}, "differs"),
        ({"mediaType": 5}, "mediaType"),
        ({"mediaType": "x" * 300}, "mediaType"),
        ({"config": None}, "config"),
        ({"config": "text"}, "config"),
        ({"config": []}, "config"),
        ({"config": {}}, "config"),
        ({"config": {**EMPTY, "digest": 5}}, "config"),
        ({"config": {**EMPTY, "digest": "sha256:short"}}, "64"),
        ({"config": {**EMPTY, "digest": "md5:" + "0" * 32}}, "md5"),
        ({"config": {**EMPTY, "size": -1}}, "size"),
        ({"config": {**EMPTY, "size": "2"}}, "size"),
        ({"config": {**EMPTY, "size": 2.0}}, "size"),
        ({"config": {**EMPTY, "size": True}}, "size"),
        ({"config": {**EMPTY, "size": 2**63}}, "size"),
        ({"config": {**EMPTY, "size": HUGE}}, "64 bits"),
        ({"config": {**EMPTY, "size": None}}, "size"),
        ({"config": {**EMPTY, "mediaType": ""}}, "mediaType"),
        ({"config": {**EMPTY, "mediaType": ["x"]}}, "mediaType"),
        ({"config": {**EMPTY, "mediaType": "a/\0b"}}, "NUL"),
        *[
            (change, "media type")
            for bad in ("text/html;x=+json", "a/b\r\nx: 1", "a", "a/b/c", "ä/b", " a/b")
            for change in (
                {"mediaType": bad},
                {"artifactType": bad},
                {"config": {**EMPTY, "mediaType": bad}},
                {"layers": [{**EMPTY, "mediaType": bad}]},
                {"layers": [{**EMPTY, "artifactType": bad}]},
                {"subject": {**EMPTY, "mediaType": bad}},
                {"blobs": [{**EMPTY, "mediaType": bad}]},
                {"unknown": {"deep": [{**EMPTY, "mediaType": bad}]}},
            )
        ],
        # What another parser takes for the member (B4).
        ({"MediaType": "a/b"}, "case"),
        ({"Layers": []}, "case"),
        ({"Manifests": []}, "spelling"),
        ({"\u017fubject": EMPTY}, "spelling"),
        ({"config": {**EMPTY, "Digest": EMPTY["digest"]}}, "case"),
        ({"layers": [{**EMPTY, "URLs": []}]}, "spelling"),
        ({"unknown": {"deep": [{"a": 1, "A": 2}]}}, "case"),
        ({"unknown": "\ud800"}, "surrogate"),
        ({"unknown": {"\udfff": 1}}, "surrogate"),
        ({"annotations": {"a": "\0"}}, "NUL"),
        ({"unknown": [2**64]}, "64 bits"),
        ({"unknown": [1] * 50_001}, "values"),
        ({"unknown": [[]] * 200_001}, "values"),
        ({"blobs": [{"digest": f"sha256:{n:064}"} for n in range(2000)]}, "2000"),
        ({"schemaVersion": 2.0}, "schemaVersion"),
        ({"schemaVersion": True}, "schema"),
        # Sizes against what is here (B5).
        ({"config": {**EMPTY, "size": 3}}, "2 bytes and not 3"),
        ({"layers": [EMPTY, {**EMPTY, "size": 0}]}, "2 bytes and not 0"),
        ({"blobs": [{**EMPTY, "size": 1}]}, "2 bytes and not 1"),
        ({"subject": {**EMPTY, "size": 4}}, "2 bytes and not 4"),
        ({"subject": without(EMPTY, "mediaType")}, "subject has no mediaType"),
        ({"subject": without(EMPTY, "size")}, "subject: size"),
        ({"subject": without(EMPTY, "digest")}, "subject has no digest"),
        ({"annotations": {"": "x"}}, "empty key"),
        ({"layers": [{**EMPTY, "annotations": {"": "x"}}]}, "empty key"),
        ({"layers": [{**EMPTY, "annotations": {"a": None}}]}, "annotations"),
        ({"subject": {**EMPTY, "annotations": []}}, "annotations"),
        ({"layers": [{**EMPTY, "urls": "http://a"}]}, "urls"),
        ({"layers": [{**EMPTY, "data": "e3t9"}]}, "data"),
        ({"layers": [{**EMPTY, "data": "%"}]}, "base64"),
        ({"layers": [{**EMPTY, "platform": "linux"}]}, "platform"),
        ({"layers": [{**EMPTY, "platform": {"os": 5}}]}, "os"),
        ({"layers": {}}, "layers"),
        ({"layers": "text"}, "layers"),
        ({"layers": [None]}, "layers[0]"),
        ({"layers": [EMPTY, {**EMPTY, "size": -5}]}, "layers[1]"),
        ({"layers": [EMPTY] * 2001}, "2000"),
        ({"manifests": []}, "manifests"),
        ({"subject": "text"}, "subject"),
        ({"subject": {"digest": "text"}}, "subject"),
        ({"subject": {}}, "subject"),
        ({"annotations": []}, "annotations"),
        ({"annotations": {"a": 1}}, "annotations"),
        ({"artifactType": 5}, "artifactType"),
        ({"artifactType": "x" * 256}, "artifactType"),
    ],
)
def test_an_image_against_the_rules_is_refused_with_the_reason(
    bob: RegistryClient, api: str, changes: dict[str, Any], word: str
) -> None:
    """MAN-3, MAN-14, MAN-19, E-4, R-48: a bare 'manifest invalid' costs people days."""
    response = put(bob, api, IMAGE | changes, OCI_MANIFEST)
    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert error["code"] == "MANIFEST_INVALID"
    assert word in error["message"]
    assert bob.tags(api) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"manifests": {}},
        {"manifests": ["text"]},
        {"manifests": [{**EMPTY, "size": -1}]},
        {"layers": [EMPTY]},
        {"config": EMPTY},
    ],
)
def test_an_index_against_the_rules_is_refused(
    bob: RegistryClient, api: str, changes: dict[str, Any]
) -> None:
    """MAN-14: nor is anything both image and index."""
    response = put(bob, api, INDEX | changes, OCI_INDEX)
    assert response.status_code == 400
    assert error_codes(response) == ["MANIFEST_INVALID"]


@pytest.mark.parametrize(
    ("body", "content_type", "word"),
    [
        ({"schemaVersion": 1, "fsLayers": []}, DOCKER_SCHEMA1, "schema 1"),
        (IMAGE, DOCKER_SCHEMA1, "differs"),
        (without(IMAGE, "mediaType"), DOCKER_SCHEMA1, "schema 1"),
        (without(IMAGE, "mediaType"), "image/png", "image/png"),
        (without(IMAGE, "mediaType"), "x/" + "y" * 300 + "+json", "too long"),
        ({"schemaVersion": 2}, "application/json", "type"),
        (IMAGE, OCI_INDEX, "differs"),
    ],
)
def test_a_type_that_is_not_taken_is_named(
    bob: RegistryClient, api: str, body: Any, content_type: str, word: str
) -> None:
    """MAN-3, MAN-4, R-48."""
    response = put(bob, api, body, content_type)
    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert error["code"] == "MANIFEST_INVALID"
    assert word in error["message"]


# --- a namespace that may keep images without their layers


@pytest.fixture
def sparse(cast: Cast) -> str:
    """A repository in the namespace that BERTH_SPARSE_NAMESPACES names."""
    namespace = Namespace.objects.filter(name="sparse").first()
    if namespace is None:
        namespace = create_organization(
            name="sparse", owner=cast.alice, actor=SYSTEM
        ).namespace
    return make.repository(namespace, make.unique("mirror")).full_name


def test_a_sparse_namespace_takes_images_without_their_layers(
    alice: RegistryClient, sparse: str, api: str
) -> None:
    """MAN-7, D-8: meant for mirrors; nowhere else."""
    image = images.image()
    assert alice.put_manifest(sparse, "v1", image).status_code == 201
    assert alice.get(f"/v2/{sparse}/manifests/v1").content == image.payload
    assert alice.put_manifest(api, "v1", image).status_code == 400
    index = images.index(image)
    assert alice.put_manifest(sparse, ABSENT_DIGEST, index).status_code == 400
    assert alice.put_manifest(sparse, "v2", index).status_code == 201


def test_the_same_bytes_stay_what_they_were_pushed_as(
    bob: RegistryClient, api: str
) -> None:
    """MAN-3, CVE-2021-41190: no second meaning for what other tags point to."""
    bare = without(IMAGE, "mediaType")
    assert put(bob, api, bare, OCI_MANIFEST).status_code == 201
    refused = put(bob, api, bare, DOCKER_MANIFEST)
    assert refused.status_code == 400
    assert error_codes(refused) == ["MANIFEST_INVALID"]
    assert OCI_MANIFEST in refused.json()["errors"][0]["message"]
    served = bob.get(f"/v2/{api}/manifests/v1")
    assert served.headers["Content-Type"] == OCI_MANIFEST
    assert put(bob, api, bare, OCI_MANIFEST).status_code == 201


ODD_MEMBERS: list[dict[str, Any]] = [
    {"layers": 5, "config": [], "manifests": {"a": []}},
    {"layers": [5, None, "text", {"mediaType": 7}], "blobs": "text"},
    {"layers": [{"annotations": {"predicateType": "x"}}], "config": {"digest": "x"}},
    {"manifests": [None, EMPTY, {"platform": {"os": "linux"}}], "layers": [EMPTY]},
]


@pytest.mark.parametrize("members", ODD_MEMBERS, ids=range(len(ODD_MEMBERS)))
def test_a_manifest_of_an_unknown_type_breaks_no_page(
    bob: RegistryClient, public_api: Repository, members: dict[str, Any]
) -> None:
    """Pages and lists show what they can read of it (B2)."""
    api = public_api.full_name
    subject = images.image()
    bob.push(f"{api}:subject", subject)
    body = {
        "schemaVersion": 2,
        "subject": subject.descriptor(),
        "annotations": {"in-toto.io/predicate-type": "spdx"},
        **members,
    }
    attached = subject.digest.replace(":", "-") + ".sig"
    assert put(bob, api, body, "application/vnd.example.odd+json").status_code == 201
    image = images.Image(json.dumps(body).encode(), "application/vnd.example.odd+json")
    assert bob.put_manifest(api, attached, image).status_code == 201
    assert [r["digest"] for r in bob.referrers(api, subject.digest)] == [image.digest]
    for path in ("", ":v1", ":subject", f":{attached}"):
        assert bob.http.get(f"{bob.url}/{api}{path}").status_code == 200, path
    tags = f"{bob.url}/api/v1/repositories/{api}/tags"
    for url in (tags, f"{tags}/v1", f"{tags}/subject"):
        assert bob.http.get(url).status_code == 200, url
