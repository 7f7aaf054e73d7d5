"""Manifests in and out: exact bytes, whatever a client wrote into them (§6)."""

from collections.abc import Callable
from typing import Any

import pytest

from repositories.models import Repository
from tests import images
from tests.images import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Image,
    digest_of,
    some_bytes,
)
from tests.registry_client import RegistryClient, error_codes

EMPTY_CONFIG = images.descriptor(images.EMPTY_OBJECT, images.OCI_EMPTY)

KINDS: dict[str, Callable[[], Image]] = {
    "OCI image": lambda: images.image(),
    "OCI index": lambda: images.index(images.image(), images.image()),
    "nested index": lambda: images.index(images.index(images.image())),
    "empty index": lambda: images.index(),
    "Docker image": lambda: images.docker_image(),
    "Docker list": lambda: images.index(
        images.docker_image(), media_type=images.DOCKER_LIST
    ),
    "Docker image in OCI index": lambda: images.index(images.docker_image()),
    "OCI image in Docker list": lambda: images.index(
        images.image(), media_type=images.DOCKER_LIST
    ),
    "artifact": lambda: images.artifact(),
    "no layers": lambda: Image(
        images.as_json({**images.image().body, "layers": [], "config": EMPTY_CONFIG}),
        OCI_MANIFEST,
        (images.EMPTY_OBJECT,),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_goes_in_and_out_unchanged(
    bob: RegistryClient, api: str, kind: str
) -> None:
    """MAN-2, MAN-4, MAN-8, R-21, R-37, R-47, R-51: Docker's types beside OCI's."""
    image = KINDS[kind]()
    digest = bob.push(f"{api}:v1", image)
    for reference in ("v1", digest):
        response = bob.get(f"/v2/{api}/manifests/{reference}")
        assert response.status_code == 200
        assert response.content == image.payload
        assert response.headers["Content-Type"] == image.media_type
        assert response.headers["Docker-Content-Digest"] == digest
    assert bob.pull(f"{api}:v1") == image


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_the_answer_to_a_push(
    bob: RegistryClient, api: str, by: str, chunked: bool
) -> None:
    """MAN-1, H-3, R-50: docker and the suite send it without a length."""
    image = images.image()
    for blob in image.blobs:
        bob.push_blob(api, blob)
    reference = "v1" if by == "tag" else image.digest
    response = bob.put(
        f"/v2/{api}/manifests/{reference}",
        content=[image.payload[:10], image.payload[10:]] if chunked else image.payload,
        headers={"Content-Type": image.media_type},
    )
    assert response.status_code == 201
    assert response.headers["Location"] == f"/v2/{api}/manifests/{image.digest}"
    assert response.headers["Docker-Content-Digest"] == image.digest
    assert "OCI-Subject" not in response.headers
    assert "OCI-Tag" not in response.headers
    assert bob.get(response.headers["Location"]).content == image.payload


def test_head_says_what_get_sends(bob: RegistryClient, api: str) -> None:
    """MAN-11, H-4, H-5, R-06, R-24: bare type, length, digest and ETag."""
    image = images.image()
    digest = bob.push(f"{api}:v1", image)
    for reference in ("v1", digest):
        got = bob.get(f"/v2/{api}/manifests/{reference}")
        head = bob.head(f"/v2/{api}/manifests/{reference}")
        expected = {
            "Content-Type": OCI_MANIFEST,
            "Content-Length": str(len(image.payload)),
            "Docker-Content-Digest": digest,
            "ETag": f'"{digest}"',
        }
        for answer in (got, head):
            assert {n: answer.headers.get(n) for n in expected} == expected
        assert head.content == b""


@pytest.mark.parametrize(
    "accept",
    [
        [],
        [OCI_MANIFEST],
        [OCI_INDEX],
        [DOCKER_MANIFEST, DOCKER_LIST],
        [OCI_INDEX, "*/*"],
        ["*/*"],
        [f"{OCI_INDEX};q=0.1, {DOCKER_LIST};q=0.9, */*;q=0.5"],
        ["text/html"],
        ["nonsense;;;q=x"],
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_accept_never_hides_a_manifest(
    bob: RegistryClient, api: str, method: str, accept: list[str]
) -> None:
    """MAN-12, D-5, R-07: several lines, q-values, and Watchtower's short list."""
    bob.push(f"{api}:v1", images.image())
    headers = [("Accept", line) for line in accept]
    response = bob.request(method, f"/v2/{api}/manifests/v1", headers=headers)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == OCI_MANIFEST


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("reference", ["absent", images.ABSENT_DIGEST])
@pytest.mark.parametrize("place", ["{api}", "{own}/absent"])
def test_what_is_not_there(
    alice: RegistryClient, api: str, method: str, reference: str, place: str
) -> None:
    """MAN-13: one code for tag, digest and repository, the one that skopeo knows."""
    name = place.format(api=api, own=alice.username)
    # Of what could be made, a token grants pull and push (AUTH-14), never delete.
    response = alice.request(
        method, f"/v2/{name}/manifests/{reference}", token="", headers=alice.basic
    )
    assert response.status_code == 404
    if method != "HEAD":
        assert error_codes(response) == ["MANIFEST_UNKNOWN"]


def test_asking_has_no_effect(
    bob: RegistryClient, private_api: Repository, api: str
) -> None:
    """MAN-15: Watchtower and Flux ask all day long."""
    bob.push(f"{api}:v1", images.image())
    private_api.refresh_from_db()
    before = (private_api.pull_count, private_api.pushed_at, private_api.size_bytes)
    for _ in range(3):
        assert bob.head(f"/v2/{api}/manifests/v1").status_code == 200
    private_api.refresh_from_db()
    after = (private_api.pull_count, private_api.pushed_at, private_api.size_bytes)
    assert after == before


def test_the_mirror_parameter_is_ignored(bob: RegistryClient, api: str) -> None:
    """MAN-17: containerd appends ns= to what it takes for a mirror."""
    bob.push(f"{api}:v1", images.image())
    response = bob.get(f"/v2/{api}/manifests/v1?ns=docker.io")
    assert response.status_code == 200
    assert "OCI-Namespace" not in response.headers


# --- digests and tags


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_push_by_digest_keeps_the_digest_it_was_given(
    bob: RegistryClient, api: str, algorithm: str
) -> None:
    """MAN-5, H-3, G-3."""
    image = images.image(algorithm=algorithm)
    for blob in image.blobs:
        bob.push_blob(api, blob, algorithm=algorithm)
    digest = digest_of(image.payload, algorithm)
    response = bob.put_manifest(api, digest, image)
    assert response.status_code == 201
    assert response.headers["Docker-Content-Digest"] == digest
    got = bob.get(f"/v2/{api}/manifests/{digest}")
    assert got.content == image.payload
    assert got.headers["Docker-Content-Digest"] == digest


def test_a_push_by_the_wrong_digest_is_refused(bob: RegistryClient, api: str) -> None:
    """MAN-5, E-4: and the message names both."""
    image = images.image()
    for blob in image.blobs:
        bob.push_blob(api, blob)
    response = bob.put_manifest(api, images.ABSENT_DIGEST, image)
    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert error["code"] == "DIGEST_INVALID"
    assert image.digest in error["message"]
    assert images.ABSENT_DIGEST in error["message"]
    for digest in (image.digest, images.ABSENT_DIGEST):
        assert bob.head(f"/v2/{api}/manifests/{digest}").status_code == 404


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("count", [1, 10, 100])
def test_a_push_by_digest_may_name_tags(
    bob: RegistryClient, api: str, count: int, algorithm: str
) -> None:
    """MAN-9: they resolve to the digest that was given."""
    image = images.image()
    for blob in image.blobs:
        bob.push_blob(api, blob)
    digest = digest_of(image.payload, algorithm)
    tags = [f"v{n}" for n in range(count)]
    query = "&".join(f"tag={tag}" for tag in [*tags, tags[0]])
    response = bob.put_manifest(api, f"{digest}?{query}", image)
    assert response.status_code == 201
    assert response.headers["OCI-Tag"].split(", ") == tags
    assert bob.tags(api) == sorted(tags)
    head = bob.head(f"/v2/{api}/manifests/{tags[-1]}")
    assert head.headers["Docker-Content-Digest"] == digest


def test_too_many_tags_at_once_are_414(bob: RegistryClient, api: str) -> None:
    """MAN-9: and none of them is made."""
    image = images.image()
    for blob in image.blobs:
        bob.push_blob(api, blob)
    query = "&".join(f"tag=v{n}" for n in range(101))
    response = bob.put_manifest(api, f"{image.digest}?{query}", image)
    assert response.status_code == 414
    assert bob.head(f"/v2/{api}/manifests/{image.digest}").status_code == 404


def test_one_bad_tag_of_many_stops_all(bob: RegistryClient, api: str) -> None:
    """MAN-9, D-11: all or nothing."""
    image = images.image()
    for blob in image.blobs:
        bob.push_blob(api, blob)
    response = bob.put_manifest(api, f"{image.digest}?tag=good&tag=.bad", image)
    assert response.status_code == 400
    assert error_codes(response) == ["TAG_INVALID"]
    assert bob.tags(api) == []


def test_a_tag_moves_and_the_old_manifest_stays(bob: RegistryClient, api: str) -> None:
    """MAN-10, R-35: read after write, and the old one by digest."""
    first, second = images.image(), images.image()
    bob.push(f"{api}:v1", first)
    bob.push(f"{api}:v1", second)
    assert bob.pull(f"{api}:v1") == second
    assert bob.pull(f"{api}@{first.digest}") == first
    assert bob.tags(api) == ["v1"]


@pytest.mark.parametrize("first", ["image", "index"])
def test_a_tag_may_change_between_image_and_index(
    bob: RegistryClient, api: str, first: str
) -> None:
    """MAN-10, R-20."""
    steps = [images.image(), images.index(images.image())]
    for step in steps if first == "image" else reversed(steps):
        bob.push(f"{api}:v1", step)
        assert bob.pull(f"{api}:v1") == step


def test_the_same_push_again_is_taken(bob: RegistryClient, api: str) -> None:
    """MAN-10, D-9."""
    image = images.image()
    assert bob.push(f"{api}:v1", image) == bob.push(f"{api}:v1", image)
    assert bob.tags(api) == ["v1"]


# --- sizes


def test_a_large_manifest_is_taken(bob: RegistryClient, api: str) -> None:
    """MAN-6: the suite pushes 3.9 MB of annotations."""
    annotations = {f"org.example.{n}": "x" * 10_000 for n in range(390)}
    image = images.image(annotations=annotations)
    assert len(image.payload) > 3_900_000
    bob.push(f"{api}:v1", image)
    assert bob.pull(f"{api}:v1") == image


@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_a_manifest_is_413(
    bob: RegistryClient, api: str, settings: Any, chunked: bool
) -> None:
    """MAN-6, E-2: SIZE_INVALID, with the limit in the message."""
    limit = settings.BERTH_MANIFEST_LIMIT_BYTES
    assert limit >= 4 * 1024 * 1024
    content = b" " * (limit + 1)
    response = bob.put(
        f"/v2/{api}/manifests/v1",
        content=[content] if chunked else content,
        headers={"Content-Type": OCI_MANIFEST},
    )
    assert response.status_code == 413
    [error] = response.json()["errors"]
    assert error["code"] == "SIZE_INVALID"
    assert str(limit) in error["message"]


# --- what is named has to be there, or need not be


def test_missing_blobs_are_named_one_by_one(bob: RegistryClient, api: str) -> None:
    """MAN-7, D-8, E-2: an entry with the digest for each."""
    image = images.image(some_bytes(), some_bytes())
    bob.push_blob(api, image.blobs[1])
    response = bob.put_manifest(api, "v1", image)
    assert response.status_code == 400
    missing = sorted(digest_of(image.blobs[n]) for n in (0, 2))
    errors = response.json()["errors"]
    assert [error["code"] for error in errors] == ["MANIFEST_BLOB_UNKNOWN"] * 2
    assert [error["detail"] for error in errors] == [{"digest": d} for d in missing]
    assert bob.tags(api) == []


def test_a_blob_of_another_repository_does_not_count(
    bob: RegistryClient, api: str, other: str
) -> None:
    """MAN-7, BLOB-2."""
    image = images.image()
    bob.push(f"{other}:v1", image)
    response = bob.put_manifest(api, "v1", image)
    assert error_codes(response) == ["MANIFEST_BLOB_UNKNOWN"] * 2


@pytest.mark.parametrize(
    "layer",
    [
        {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"},
        {"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"},
        {"mediaType": images.OCI_LAYER, "urls": ["https://elsewhere.example/layer"]},
    ],
)
def test_a_foreign_layer_may_be_absent(
    bob: RegistryClient, api: str, layer: dict[str, Any]
) -> None:
    """MAN-7, D-8."""
    image = images.image()
    layers = [{**images.descriptor(some_bytes(), ""), **layer}]
    image = Image(
        images.as_json({**image.body, "layers": layers}), OCI_MANIFEST, image.blobs[:1]
    )
    bob.push(f"{api}:v1", image)


def test_children_of_an_index_may_be_absent(bob: RegistryClient, api: str) -> None:
    """MAN-7, D-8."""
    sparse = images.index(images.image(), images.docker_image())
    assert bob.put_manifest(api, "v1", sparse).status_code == 201


def test_children_of_an_index_may_be_blobs(bob: RegistryClient, api: str) -> None:
    """MAN-7, R-29: BuildKit's cache keeps its layers there, and they have to stay."""
    layer = some_bytes()
    digest = bob.push_blob(api, layer)
    child = images.descriptor(layer, images.OCI_LAYER)
    config = images.descriptor(b"{}", "application/vnd.buildkit.cacheconfig.v0")
    bob.push_blob(api, b"{}")
    cache = images.index()
    cache = Image(
        images.as_json({**cache.body, "manifests": [child, config]}), OCI_INDEX
    )
    assert bob.put_manifest(api, "cache", cache).status_code == 201
    assert bob.get(f"/v2/{api}/manifests/cache").content == cache.payload
    assert bob.pull_blob(api, digest) == layer
    assert bob.delete(f"/v2/{api}/blobs/{digest}").status_code == 405


def test_a_subject_may_be_absent(bob: RegistryClient, api: str) -> None:
    """MAN-7, R-19, R-22, R-38: BuildKit pushes provenance before its image."""
    subject = images.image()
    sbom = images.artifact(subject)
    for blob in sbom.blobs:
        bob.push_blob(api, blob)
    response = bob.put_manifest(api, sbom.digest, sbom)
    assert response.status_code == 201
    assert response.headers["OCI-Subject"] == subject.digest
    bob.push(f"{api}:v1", subject)
    assert [r["digest"] for r in bob.referrers(api, subject.digest)] == [sbom.digest]
