"""Referrers: signatures, SBOMs and attestations, found by what they are about (§8)."""

from copy import copy
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from repositories.models import Manifest, Repository
from tests import images, make
from tests.images import ABSENT_DIGEST, OCI_INDEX, OCI_MANIFEST, Image
from tests.registry_client import RegistryClient, error_codes, follow_links, next_link

EMPTY_INDEX = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
SBOM, SIGNATURE = "application/vnd.example.sbom", "application/vnd.example.signature"


@pytest.fixture
def subject(bob: RegistryClient, api: str) -> Image:
    """An image that others can refer to."""
    image = images.image()
    bob.push(f"{api}:v1", image)
    return image


@pytest.mark.parametrize("digest", ["{subject}", ABSENT_DIGEST, "sha512:" + "0" * 128])
def test_nothing_refers_to_it(
    bob: RegistryClient, api: str, subject: Image, digest: str
) -> None:
    """REF-1, H-4: an index without entries, and never 404, which means: no such API."""
    digest = digest.format(subject=subject.digest)
    response = bob.get(f"/v2/{api}/referrers/{digest}")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == OCI_INDEX
    assert response.json() == EMPTY_INDEX
    assert "OCI-Filters-Applied" not in response.headers


@pytest.mark.parametrize("name", ["{own}/absent", "{own}/deep/absent"])
def test_nothing_refers_to_anything_in_an_unknown_repository(
    alice: RegistryClient, name: str
) -> None:
    """REF-1: the suite asks before it pushes."""
    name = name.format(own=alice.username)
    response = alice.get(f"/v2/{name}/referrers/{ABSENT_DIGEST}")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == OCI_INDEX
    assert response.json() == EMPTY_INDEX


def test_a_malformed_digest_is_refused(alice: RegistryClient, api: str) -> None:
    """REF-1: also where there is no repository."""
    for name in (api, f"{alice.username}/absent"):
        response = alice.get(f"/v2/{name}/referrers/sha256:short")
        assert response.status_code == 400
        assert error_codes(response) == ["DIGEST_INVALID"]


NOTES = {"org.example.key": "value", "org.example.ä": "\u2028"}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"artifact_type": SBOM}, {"artifactType": SBOM}),
        (
            {"artifact_type": SBOM, "annotations": NOTES},
            {"artifactType": SBOM, "annotations": NOTES},
        ),
        # Without a type of its own, it is what its config is.
        ({"artifact_type": None}, {"artifactType": images.OCI_EMPTY}),
    ],
)
def test_a_descriptor_says_what_the_referrer_is(
    bob: RegistryClient,
    api: str,
    subject: Image,
    members: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    """REF-2."""
    referrer = images.artifact(subject, **members)
    bob.push(api, referrer)
    [found] = bob.referrers(api, subject.digest)
    assert found == {
        "mediaType": OCI_MANIFEST,
        "digest": referrer.digest,
        "size": len(referrer.payload),
        **expected,
    }


def test_an_index_and_a_docker_image_may_refer_too(
    bob: RegistryClient, api: str, subject: Image
) -> None:
    """REF-2: an index without artifactType has none in the list."""
    plain = images.index(subject=subject.descriptor())
    typed = images.index(subject=subject.descriptor(), artifactType=SBOM)
    docker = images.image(
        media_type=images.DOCKER_MANIFEST, subject=subject.descriptor()
    )
    for image in (plain, typed, docker):
        bob.push(api, image)
    found = {r["digest"]: r for r in bob.referrers(api, subject.digest)}
    assert "artifactType" not in found[plain.digest]
    assert found[typed.digest]["artifactType"] == SBOM
    assert found[docker.digest]["mediaType"] == images.DOCKER_MANIFEST


@pytest.mark.parametrize(
    ("query", "types", "applied"),
    [
        ("", [SBOM, SBOM, SIGNATURE], False),
        ("?artifactType=", [SBOM, SBOM, SIGNATURE], False),
        (f"?artifactType={SBOM}", [SBOM, SBOM], True),
        (f"?artifactType={SIGNATURE}", [SIGNATURE], True),
        ("?artifactType=x/y", [], True),
        (f"?artifactType={SBOM}&artifactType=x/y", [SBOM, SBOM], True),
        (
            f"?artifactType={SIGNATURE}&artifactType={SBOM}",
            [SBOM, SBOM, SIGNATURE],
            True,
        ),
        ("?other=filter", [SBOM, SBOM, SIGNATURE], False),
    ],
)
def test_the_list_is_filtered_by_type(
    bob: RegistryClient,
    api: str,
    subject: Image,
    query: str,
    types: list[str],
    applied: bool,
) -> None:
    """REF-3: containerd sends several types and means any of them."""
    for kind in (SBOM, SIGNATURE, SBOM):
        bob.push(api, images.artifact(subject, artifact_type=kind))
    response = bob.get(f"/v2/{api}/referrers/{subject.digest}{query}")
    found = [entry["artifactType"] for entry in response.json()["manifests"]]
    assert sorted(found) == types
    filters = response.headers.get("OCI-Filters-Applied")
    assert filters == ("artifactType" if applied else None)


@pytest.mark.parametrize("query", ["?n=2", f"?n=2&artifactType={SBOM}", "?n=1"])
def test_the_list_has_pages(
    bob: RegistryClient, api: str, subject: Image, query: str
) -> None:
    """REF-4: the filter stays the same on every page."""
    pushed = [
        bob.push(api, images.artifact(subject, artifact_type=SBOM)) for _ in range(5)
    ]
    bob.push(api, images.artifact(subject, artifact_type=SIGNATURE))
    path = f"/v2/{api}/referrers/{subject.digest}{query}"
    found = [entry["digest"] for entry in follow_links(bob.get, path, "manifests")]
    assert found[-5:] == pushed[::-1]  # the newest come first (REF-9)
    assert len(found) == (5 if "artifactType" in query else 6)
    assert bob.get(f"{path}&last=x").status_code == 400


def test_a_page_is_no_larger_than_a_manifest(
    bob: RegistryClient, api: str, subject: Image
) -> None:
    """REF-4: many clients read one page only, but none reads more than 4 MiB."""
    notes = {"org.example.large": "x" * 900_000}
    for _ in range(6):
        bob.push(api, images.artifact(subject, annotations=notes))
    path = f"/v2/{api}/referrers/{subject.digest}"
    response = bob.get(path)
    assert 3_000_000 < len(response.content) <= 4 * 1024 * 1024
    assert next_link(response) is not None
    assert len(follow_links(bob.get, path, "manifests")) == 6


def test_a_page_holds_every_small_referrer(
    bob: RegistryClient, api: str, subject: Image, private_api: Repository
) -> None:
    """Clients that read one page only find the newest signature there (REF-9)."""
    old = bob.push(api, images.artifact(subject))
    template = Manifest.objects.get(repository=private_api, digest=old)
    rows = []
    for number in range(1100):
        template.pk, template.digest = None, f"sha256:{number:064}"
        rows.append(copy(template))
    Manifest.objects.bulk_create(rows)
    try:
        newest = bob.push(api, images.artifact(subject))
        response = bob.get(f"/v2/{api}/referrers/{subject.digest}")
    finally:  # their bytes are not what their digests say
        Manifest.objects.filter(
            repository=private_api, digest__in=[row.digest for row in rows]
        ).delete()
    found = [entry["digest"] for entry in response.json()["manifests"]]
    assert (found[0], found[-1], len(found)) == (newest, old, 1102)
    assert next_link(response) is None


def test_an_entry_that_fills_no_page_is_listed_without_its_annotations(
    bob: RegistryClient, api: str, subject: Image
) -> None:
    """REF-4: no page is larger than a client reads."""
    notes = {"org.example.large": "x" * (4 * 1024 * 1024 - 1500)}
    small = bob.push(api, images.artifact(subject))
    large = bob.push(api, images.artifact(subject, annotations=notes))
    response = bob.get(f"/v2/{api}/referrers/{subject.digest}")
    assert len(response.content) <= 4 * 1024 * 1024
    found = response.json()["manifests"]
    assert [entry["digest"] for entry in found][:1] == [large]
    path = f"/v2/{api}/referrers/{subject.digest}"
    listed = follow_links(bob.get, path, "manifests")
    assert [entry["digest"] for entry in listed] == [large, small]


@pytest.mark.parametrize(
    "spelling", ["application/spdx+json", "application/spdx%2Bjson"]
)
def test_a_plus_sign_need_not_be_escaped(
    bob: RegistryClient, api: str, subject: Image, spelling: str
) -> None:
    """Both spellings of an artifact type find it (REF-10, C5)."""
    digest = bob.push(
        api, images.artifact(subject, artifact_type="application/spdx+json")
    )
    bob.push(api, images.artifact(subject, artifact_type=SBOM))
    path = f"/v2/{api}/referrers/{subject.digest}"
    for query in (f"?artifactType={spelling}", f"?n=1&artifactType={spelling}"):
        found = follow_links(bob.get, path + query, "manifests")
        assert [entry["digest"] for entry in found] == [digest]


@pytest.mark.parametrize("asked", ["%00", "a/b%0d%0ax", "%ff", "x" * 3000, "a/b;c=d"])
def test_what_is_no_artifact_type_finds_nothing(
    bob: RegistryClient, api: str, subject: Image, asked: str
) -> None:
    """REF-3: and never fails (B2)."""
    bob.push(api, images.artifact(subject))
    response = bob.get(f"/v2/{api}/referrers/{subject.digest}?artifactType={asked}")
    assert response.json() == EMPTY_INDEX
    assert response.headers["OCI-Filters-Applied"] == "artifactType"


def test_a_row_of_older_rules_breaks_no_list(
    bob: RegistryClient, api: str, subject: Image, unsound_api: Repository
) -> None:
    """A stored manifest with a type that is not one is listed and served (B2, B3)."""
    good = bob.push(api, images.artifact(subject))
    bad = bob.push(f"{api}:bad", images.artifact(subject))
    for media_type in ("text/html;x=+json", "application/x\r\nx-evil: 1+json", "ä"):
        Manifest.objects.filter(repository=unsound_api, digest=bad).update(
            media_type=media_type, payload=b"\xff not JSON", artifact_type=media_type
        )
        found = [entry["digest"] for entry in bob.referrers(api, subject.digest)]
        assert found == [bad, good]
        for response in (
            bob.get(f"/v2/{api}/manifests/bad"),
            bob.head(f"/v2/{api}/manifests/bad"),
        ):
            assert response.status_code == 200
            assert response.headers["Content-Type"] == "application/octet-stream"
            assert "x-evil" not in response.headers


def test_annotations_of_stored_referrers_are_filled_in(
    bob: RegistryClient, api: str, subject: Image, unsound_api: Repository
) -> None:
    """REF-2: an upgrade reads the manifests that are stored already (B2)."""
    digest = bob.push(api, images.artifact(subject, annotations=NOTES))
    unreadable = bob.push(api, images.artifact(subject))
    stored = Manifest.objects.filter(repository=unsound_api)
    stored.update(referrer_annotations="", referrer_annotations_bytes=0)
    stored.filter(digest=unreadable).update(payload=b"[")
    migration = import_module("repositories.migrations.0011_read_manifests_again")
    migration.read_manifests_again(apps, None)
    found = {r["digest"]: r for r in bob.referrers(api, subject.digest)}
    assert found[digest]["annotations"] == NOTES
    assert "annotations" not in found[unreadable]


def test_a_push_tells_that_the_subject_was_understood(
    bob: RegistryClient, api: str, subject: Image
) -> None:
    """REF-5, R-19, R-39: the subject's digest; cosign then writes no fallback tag."""
    referrer = images.artifact(subject)
    for blob in referrer.blobs:
        bob.push_blob(api, blob)
    for reference in ("signature", referrer.digest):
        response = bob.put_manifest(api, reference, referrer)
        assert response.headers["OCI-Subject"] == subject.digest
        assert response.headers["Docker-Content-Digest"] == referrer.digest
    assert len(bob.referrers(api, subject.digest)) == 1


def test_referrers_may_come_before_their_subject(bob: RegistryClient, api: str) -> None:
    """REF-6, R-38: as BuildKit pushes provenance; all are listed afterwards."""
    subject = images.image()
    early = bob.push(api, images.artifact(subject))
    assert [r["digest"] for r in bob.referrers(api, subject.digest)] == [early]
    bob.push(f"{api}:v1", subject)
    late = bob.push(api, images.artifact(subject))
    assert [r["digest"] for r in bob.referrers(api, subject.digest)] == [late, early]


def test_a_deleted_referrer_is_not_listed(
    bob: RegistryClient, api: str, subject: Image
) -> None:
    """REF-6."""
    digest = bob.push(api, images.artifact(subject))
    assert bob.delete(f"/v2/{api}/manifests/{digest}").status_code == 202
    assert bob.referrers(api, subject.digest) == []


def test_a_deleted_subject_keeps_its_referrers(
    bob: RegistryClient, api: str, subject: Image
) -> None:
    """REF-6: pushed again, it has them again."""
    digest = bob.push(api, images.artifact(subject))
    assert bob.delete(f"/v2/{api}/manifests/{subject.digest}").status_code == 202
    assert [r["digest"] for r in bob.referrers(api, subject.digest)] == [digest]
    bob.push(f"{api}:v1", subject)
    assert [r["digest"] for r in bob.referrers(api, subject.digest)] == [digest]


def test_a_fallback_tag_is_an_ordinary_tag(
    bob: RegistryClient, api: str, subject: Image
) -> None:
    """REF-7: older clients keep an index under the digest's name."""
    referrer = images.artifact(subject)
    bob.push(api, referrer)
    tag = subject.digest.replace(":", "-")
    fallback = images.index(referrer)
    bob.push(f"{api}:{tag}", fallback)
    assert bob.pull(f"{api}:{tag}") == fallback
    assert tag in bob.tags(api)
    assert [r["digest"] for r in bob.referrers(api, subject.digest)] == [
        referrer.digest
    ]
    assert bob.delete(f"/v2/{api}/manifests/{tag}").status_code == 202


def test_the_list_is_of_one_repository(
    bob: RegistryClient, carol: RegistryClient, api: str, other: str, subject: Image
) -> None:
    """REF-8: and reading it wants pull and nothing more."""
    digest = bob.push(api, images.artifact(subject))
    assert bob.referrers(other, subject.digest) == []
    assert [r["digest"] for r in carol.referrers(api, subject.digest)] == [digest]


def test_a_stranger_is_not_told_who_refers_to_what(
    dave: RegistryClient, alice: RegistryClient, api: str
) -> None:
    """REF-8, D-2: not even whether the repository is there."""
    absent = f"{alice.username}/{make.unique('absent')}"
    for name in (api, absent):
        response = dave.get(f"/v2/{name}/referrers/{ABSENT_DIGEST}")
        assert response.status_code == 401
