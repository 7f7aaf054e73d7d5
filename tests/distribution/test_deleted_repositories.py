"""What a deleted repository still is, to clients and to the garbage collection."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.authentication import actor_of
from distribution.garbage import collect_garbage
from distribution.models import Blob, BlobLink
from repositories.lifecycle import (
    delete_repository,
    purge_expired,
    restore_repository,
)
from repositories.models import Event, Manifest, Repository, Tag
from tests import images, make
from tests.conftest import Cast
from tests.distribution.test_catalog_and_search import catalog
from tests.faults.oracle import assert_sound, objects_of
from tests.images import digest_of, some_bytes
from tests.registry_client import RegistryClient, with_digest
from tests.servers import BerthServer

pytestmark = pytest.mark.usefixtures("database", "registry")


def delete(repository: Repository, cast: Cast) -> None:
    delete_repository(repository=repository, actor=actor_of(cast.alice))


def age_everything(repository: Repository) -> None:
    """Make its blobs older than the grace of the garbage collection."""
    then = timezone.now() - timedelta(hours=settings.BERTH_GARBAGE_GRACE_HOURS + 1)
    links = BlobLink.objects.filter(repository=repository)
    Blob.objects.filter(links__in=links).update(created_at=then)
    links.update(linked_at=then)


@pytest.mark.parametrize("who", ["alice", "bob", "carol", "dave", "anonymous"])
def test_a_deleted_repository_is_gone_for_everybody(
    request: pytest.FixtureRequest,
    alice: RegistryClient,
    cast: Cast,
    public_api: Repository,
    who: str,
) -> None:
    image, name = images.image(), public_api.full_name
    alice.push(f"{name}:v1", image)
    client: RegistryClient = request.getfixturevalue(who)
    before = client.token(f"repository:{name}:pull")
    assert client.get(f"/v2/{name}/manifests/v1", token=before).status_code == 200
    delete(public_api, cast)
    gone = 404 if who == "alice" else 401
    for token in (before, client.token(f"repository:{name}:pull")):
        for path in ("manifests/v1", f"blobs/{digest_of(image.blobs[1])}", "tags/list"):
            assert client.get(f"/v2/{name}/{path}", token=token).status_code == gone
    assert name not in catalog(client)
    found = client.get(f"/v1/search?q={public_api.name}").json()["results"]
    assert name not in [result["name"] for result in found]


def test_a_blob_is_not_mounted_from_a_deleted_repository(
    bob: RegistryClient, cast: Cast, private_api: Repository, other: str
) -> None:
    digest = bob.push_blob(private_api.full_name, some_bytes())
    delete(private_api, cast)
    for query in (f"&from={private_api.full_name}", ""):
        answer = bob.post(f"/v2/{other}/blobs/uploads/?mount={digest}{query}")
        assert answer.status_code == 202


def test_old_tokens_open_neither_what_took_the_name_nor_more_than_what_came_back(
    alice: RegistryClient, cast: Cast, private_api: Repository
) -> None:
    """I15: created by hand or by a push; restored, it is the same one again."""
    name, image = private_api.full_name, images.image()
    alice.push(f"{name}:v1", image)
    token = alice.token(f"repository:{name}:pull,push")
    delete(private_api, cast)
    alice.push(f"{name}:v2", image)  # makes another one
    second = Repository.objects.get(
        namespace=private_api.namespace, name=private_api.name, deleted_at=None
    )
    assert second.pk != private_api.pk
    for method, path in (("GET", "tags/list"), ("POST", "blobs/uploads/")):
        refused = alice.request(method, f"/v2/{name}/{path}", token=token)
        assert refused.status_code == 401
        assert "invalid_token" in refused.headers["WWW-Authenticate"]
    delete(second, cast)
    restore_repository(repository=private_api, actor=actor_of(cast.alice))
    listed = alice.get(f"/v2/{name}/tags/list", token=token)
    assert listed.json()["tags"] == ["v1"]


def test_an_upload_goes_on_after_its_repository_was_restored(
    bob: RegistryClient, cast: Cast, private_api: Repository
) -> None:
    content = some_bytes(500)
    location = bob.start_upload(private_api.full_name)
    delete(private_api, cast)
    assert bob.patch(location, content=content).status_code == 401
    restore_repository(repository=private_api, actor=actor_of(cast.alice))
    location = bob.patch(location, content=content).headers["Location"]
    done = bob.put(with_digest(location, digest_of(content)))
    assert done.status_code == 201


def test_blobs_wait_for_a_repository_to_be_purged(
    alice: RegistryClient,
    cast: Cast,
    private_api: Repository,
    other: str,
    registry: BerthServer,
) -> None:
    """I7, I8: kept as long as it can be restored; then only what others need stays."""
    name, shared = private_api.full_name, some_bytes()
    image = images.image(some_bytes(), shared)
    alice.push(f"{name}:v1", image)
    alice.push(f"{other}:v1", images.image(shared))
    alone, both = digest_of(image.blobs[1]), digest_of(shared)
    delete(private_api, cast)
    age_everything(private_api)
    for _ in range(2):
        collect_garbage()
    assert_sound(registry)
    restore_repository(repository=private_api, actor=actor_of(cast.alice))
    assert alice.pull(f"{name}:v1") == image

    delete(private_api, cast)
    over = timezone.now() - timedelta(days=settings.BERTH_RESTORE_DAYS, seconds=1)
    Repository.objects.filter(pk=private_api.pk).update(deleted_at=over)
    assert purge_expired() >= 1
    for rows in (Manifest, Tag, BlobLink):
        assert not rows.objects.filter(repository_id=private_api.pk).exists()
    assert objects_of(registry, alone), "the garbage collection takes the bytes"
    freed = collect_garbage().freed_bytes
    assert freed >= len(image.blobs[1])
    assert objects_of(registry, alone) == []
    assert alice.pull_blob(other, both) == shared
    purged = Event.objects.get(kind="repository.purged", repository_name=name)
    assert (purged.repository, purged.actor_name) == (None, "system")
    assert_sound(registry)


def test_a_deleted_and_a_live_one_of_the_same_name_count_apart(
    alice: RegistryClient, cast: Cast, private_api: Repository
) -> None:
    name = private_api.full_name
    first, second = images.image(some_bytes(2000)), images.image(some_bytes(3000))
    alice.push(f"{name}:v1", first)
    delete(private_api, cast)
    alice.push(f"{name}:v1", second)
    private_api.refresh_from_db()
    live = Repository.objects.get(
        namespace=private_api.namespace, name=private_api.name, deleted_at=None
    )
    assert private_api.size_bytes == sum(map(len, first.blobs))
    assert live.size_bytes == sum(map(len, second.blobs))
    assert alice.pull(f"{name}:v1") == second
    make.grant(live, cast.carol, "read")
