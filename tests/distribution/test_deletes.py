"""Deleting tags, manifests and blobs (§9)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from distribution.garbage import collect_garbage
from distribution.models import BlobLink
from repositories.models import Repository
from tests import images, make
from tests.conftest import Cast
from tests.images import ABSENT_DIGEST, digest_of, some_bytes
from tests.registry_client import RegistryClient, error_codes


def test_a_deleted_tag_leaves_the_manifest(bob: RegistryClient, api: str) -> None:
    """DEL-1, DEL-4."""
    image = images.image()
    digest = bob.push(f"{api}:v1", image)
    bob.push(f"{api}:v2", image)
    response = bob.delete(f"/v2/{api}/manifests/v1")
    assert response.status_code == 202
    assert response.headers.get("Docker-Content-Digest", digest) == digest
    assert bob.head(f"/v2/{api}/manifests/v1").status_code == 404
    assert bob.tags(api) == ["v2"]
    assert bob.pull(f"{api}@{digest}") == image


def test_a_deleted_manifest_takes_all_its_tags(bob: RegistryClient, api: str) -> None:
    """DEL-1, R-49: at once, and no other tag."""
    image, kept = images.image(), images.image()
    for tag in ("v1", "v2", "latest"):
        bob.push(f"{api}:{tag}", image)
    bob.push(f"{api}:kept", kept)
    response = bob.delete(f"/v2/{api}/manifests/{image.digest}")
    assert response.status_code == 202
    for reference in ("v1", "v2", "latest", image.digest):
        response = bob.get(f"/v2/{api}/manifests/{reference}")
        assert response.status_code == 404
        assert error_codes(response) == ["MANIFEST_UNKNOWN"]
    assert bob.tags(api) == ["kept"]
    assert bob.pull(f"{api}:kept") == kept


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("manifests/absent", "MANIFEST_UNKNOWN"),
        (f"manifests/{ABSENT_DIGEST}", "MANIFEST_UNKNOWN"),
        (f"blobs/{ABSENT_DIGEST}", "BLOB_UNKNOWN"),
    ],
)
def test_what_is_not_there_cannot_be_deleted(
    bob: RegistryClient, api: str, path: str, code: str
) -> None:
    """DEL-1, DEL-3."""
    response = bob.delete(f"/v2/{api}/{path}")
    assert response.status_code == 404
    assert error_codes(response) == [code]


def test_nothing_is_deleted_twice(bob: RegistryClient, api: str) -> None:
    """DEL-1, DEL-3."""
    digest = bob.push(f"{api}:v1", images.image())
    blob = bob.push_blob(api, some_bytes())
    for path in ("manifests/v1", f"manifests/{digest}", f"blobs/{blob}"):
        statuses = [bob.delete(f"/v2/{api}/{path}").status_code for _ in range(2)]
        assert statuses == [202, 404]


def test_a_child_of_an_index_may_be_deleted(bob: RegistryClient, api: str) -> None:
    """DEL-2: the index stays as it is."""
    child = images.image()
    index = images.index(child, images.image())
    bob.push(f"{api}:v1", index)
    assert bob.delete(f"/v2/{api}/manifests/{child.digest}").status_code == 202
    assert bob.get(f"/v2/{api}/manifests/v1").content == index.payload
    assert bob.head(f"/v2/{api}/manifests/{child.digest}").status_code == 404


def test_an_unused_blob_is_deleted(bob: RegistryClient, api: str) -> None:
    """DEL-3, DEL-4: with the digest that was asked for, which oras compares."""
    for algorithm in ("sha256", "sha512"):
        digest = bob.push_blob(api, some_bytes(), algorithm=algorithm)
        response = bob.delete(f"/v2/{api}/blobs/{digest}")
        assert response.status_code == 202
        assert response.headers["Docker-Content-Digest"] == digest
        assert bob.get(f"/v2/{api}/blobs/{digest}").status_code == 404


def test_a_blob_in_use_is_not_deleted(bob: RegistryClient, api: str) -> None:
    """DEL-3, D-10, R-49: 405, the one refusal that the suite knows; then it may go."""
    image = images.image()
    bob.push(f"{api}:v1", image)
    for blob in image.blobs:
        response = bob.delete(f"/v2/{api}/blobs/{digest_of(blob)}")
        assert response.status_code == 405
        assert response.headers["Allow"] == "GET, HEAD"
        [error] = response.json()["errors"]
        assert error["code"] == "UNSUPPORTED"
        assert "in use" in error["message"]
    assert bob.pull(f"{api}:v1") == image
    assert bob.delete(f"/v2/{api}/manifests/v1").status_code == 202
    digest = digest_of(image.blobs[0])
    assert bob.delete(f"/v2/{api}/blobs/{digest}").status_code == 405  # still by digest
    assert bob.delete(f"/v2/{api}/manifests/{image.digest}").status_code == 202
    assert bob.delete(f"/v2/{api}/blobs/{digest}").status_code == 202


def test_use_elsewhere_does_not_matter(
    bob: RegistryClient, api: str, other: str
) -> None:
    """D-10, MNT-6."""
    image = images.image()
    bob.push(f"{other}:v1", image)
    digest = bob.push_blob(api, image.blobs[1])
    assert bob.delete(f"/v2/{api}/blobs/{digest}").status_code == 202
    assert bob.pull(f"{other}:v1") == image


@pytest.mark.parametrize("scope", ["delete", "*", "pull,push,delete"])
def test_every_spelling_of_the_scope_deletes(
    bob: RegistryClient, api: str, scope: str
) -> None:
    """DEL-5, AUTH-15: of clients there are three kinds."""
    digest = bob.push(f"{api}:v1", images.image())
    token = bob.token(f"repository:{api}:{scope}")
    path = f"/v2/{api}/manifests/{digest}"
    assert bob.delete(path, token=token).status_code == 202


def test_a_token_without_delete_deletes_nothing(bob: RegistryClient, api: str) -> None:
    """DEL-5, AUTH-4: although bob might."""
    digest = bob.push(f"{api}:v1", images.image())
    token = bob.token(f"repository:{api}:pull,push")
    path = f"/v2/{api}/manifests/{digest}"
    assert bob.delete(path, token=token).status_code == 401
    assert bob.head(path).status_code == 200


def test_the_dummy_manifest_trick_loses_nothing(bob: RegistryClient, api: str) -> None:
    """DEL-6: an old regclient overwrites the tag and deletes what it wrote."""
    image, dummy = images.image(), images.image()
    bob.push(f"{api}:v1", image)
    bob.push(f"{api}:kept", image)
    bob.push(f"{api}:v1", dummy)
    assert bob.delete(f"/v2/{api}/manifests/{dummy.digest}").status_code == 202
    assert bob.tags(api) == ["kept"]
    assert bob.pull(f"{api}:kept") == image


def test_what_was_deleted_can_be_pushed_again(bob: RegistryClient, api: str) -> None:
    """DEL-1."""
    image = images.image()
    for _ in range(2):
        digest = bob.push(f"{api}:v1", image)
        assert bob.pull(f"{api}:v1") == image
        assert bob.delete(f"/v2/{api}/manifests/{digest}").status_code == 202


def test_a_blob_that_a_client_saw_is_not_collected(
    bob: RegistryClient, api: str
) -> None:
    """DEL-7, R-41: HEAD 200 is a promise for hours, of which a push may make use."""
    image = images.image()
    digests = [bob.push_blob(api, blob) for blob in image.blobs]
    links = BlobLink.objects.filter(
        repository__name=api.partition("/")[2], blob__digest__in=digests
    )
    long_ago = timezone.now() - timedelta(days=3)
    links.update(linked_at=long_ago)
    collect_garbage()
    assert not links.filter(marked_at=None).exists()
    links.update(marked_at=long_ago)
    for digest in digests:
        assert bob.head(f"/v2/{api}/blobs/{digest}").status_code == 200
    collect_garbage()
    assert bob.put_manifest(api, "v1", image).status_code == 201
    links.update(linked_at=long_ago)
    collect_garbage()
    assert bob.pull(f"{api}:v1") == image


# --- a blob that somebody else's push is about to use


@pytest.mark.parametrize("tags", ["", "dev-*"])
def test_a_blob_of_another_push_is_not_deleted(
    alice: RegistryClient,
    bob: RegistryClient,
    dave: RegistryClient,
    robby: RegistryClient,
    cast: Cast,
    public_api: Repository,
    tags: str,
) -> None:
    """A writer takes no layer away from a push that is going on (B9)."""
    api = public_api.full_name
    make.grant(public_api, cast.dave, "write", tags=tags)
    image = images.image()
    for blob in image.blobs:
        alice.push_blob(api, blob)
    for blob in image.blobs:
        for other in (bob, dave, robby):
            response = other.delete(f"/v2/{api}/blobs/{digest_of(blob)}")
            assert response.status_code == 403
            assert error_codes(response) == ["DENIED"]
    assert alice.put_manifest(api, "v1", image).status_code == 201


def test_a_blob_that_others_rely_on_is_not_deleted(
    alice: RegistryClient,
    bob: RegistryClient,
    robby: RegistryClient,
    cast: Cast,
    api: str,
    other: str,
) -> None:
    """Those are who pushed it too, mounted it, or found it here while pushing (B9)."""
    for rely in (
        lambda content, _: robby.push_blob(api, content),
        lambda _, digest: robby.post(
            f"/v2/{api}/blobs/uploads/?mount={digest}&from={other}"
        ),
        lambda _, digest: robby.head(
            f"/v2/{api}/blobs/{digest}", token="", headers=robby.basic
        ),
        lambda _, digest: robby.head(
            f"/v2/{api}/blobs/{digest}",
            token=robby.token(f"repository:{api}:pull,push"),
        ),
    ):
        content = some_bytes()
        digest = bob.push_blob(api, content)
        robby.push_blob(other, content)
        rely(content, digest)
        assert bob.delete(f"/v2/{api}/blobs/{digest}").status_code == 403
        assert robby.delete(f"/v2/{api}/blobs/{digest}").status_code == 403
        # Whoever can delete the repository can delete what is in it.
        assert alice.delete(f"/v2/{api}/blobs/{digest}").status_code == 202


def test_reading_a_blob_is_not_relying_on_it(
    bob: RegistryClient, carol: RegistryClient, api: str
) -> None:
    """DEL-3: who pushed an unused blob can delete it again (B9)."""
    digest = bob.push_blob(api, some_bytes())
    assert carol.head(f"/v2/{api}/blobs/{digest}").status_code == 200
    assert carol.get(f"/v2/{api}/blobs/{digest}").status_code == 200
    assert bob.delete(f"/v2/{api}/blobs/{digest}").status_code == 202
