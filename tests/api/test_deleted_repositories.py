"""Deletion with a time to think again: list, restore, purge, and the tags' undo."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actions import Action
from repositories.lifecycle import delete_repository, purge_expired
from repositories.models import Event, Repository, Tag, TagMove
from repositories.rights.decisions import decide
from tests import make
from tests.api.conftest import ApiClient
from tests.conftest import Cast
from tests.images import image
from tests.registry_client import RegistryClient
from tests.repositories.test_permissions import actor_named

Api = Callable[[str], ApiClient]


def deleted_ids(client: ApiClient) -> list[int]:
    return [row["id"] for row in client.everything("/deleted-repositories")]


def delete(client: ApiClient, repository: Repository) -> str:
    """Delete a repository and return the path that brings it back."""
    name = repository.full_name
    assert client.delete(f"/repositories/{name}").status_code == 204
    assert client.get(f"/repositories/{name}").status_code == 404
    return f"/deleted-repositories/{repository.pk}"


def test_a_deleted_repository_comes_back_as_it_was(
    api_of: Api, alice: RegistryClient, private_api: Repository
) -> None:
    client, name = api_of("alice"), private_api.full_name
    kept = image()
    alice.push(f"{name}:v1", kept)
    path = delete(client, private_api)
    assert alice.get(f"/v2/{name}/manifests/v1").status_code == 404
    listed = client.get(f"/deleted-repositories?namespace={private_api.namespace}")
    row = next(r for r in listed.json()["results"] if r["id"] == private_api.pk)
    assert row["full_name"] == name
    assert row["size_bytes"] == sum(map(len, kept.blobs))
    assert row["deleted_by"].startswith("alice")
    assert row["restorable_until"] > row["deleted_at"]
    assert client.get(path).json() == row
    answer = client.post(f"{path}/restore")
    assert answer.status_code == 200, answer.text
    assert answer.json()["full_name"] == name
    assert alice.pull(f"{name}:v1") == kept
    assert api_of("carol").get(f"/repositories/{name}").status_code == 200
    assert client.get(path).status_code == 404
    kinds = Event.objects.filter(repository=private_api).values_list("kind", flat=True)
    assert {"repository.deleted", "repository.restored"} <= set(kinds)


def test_a_name_that_was_taken_meanwhile_is_restored_as_another(
    api_of: Api, cast: Cast, private_api: Repository
) -> None:
    client, name = api_of("alice"), private_api.full_name
    path = delete(client, private_api)
    taker = make.repository(cast.acme.namespace, private_api.name)
    refused = client.post(f"{path}/restore")
    assert refused.status_code == 409
    assert name in refused.json()["errors"][0]["message"]
    answer = client.post(f"{path}/restore", {"name": f"{private_api.name}-again"})
    assert answer.json()["full_name"] == f"{name}-again"
    assert Repository.objects.get(pk=taker.pk).full_name == name
    assert client.post(f"{path}/restore").status_code == 404


def test_several_of_one_name_are_told_apart(
    api_of: Api, cast: Cast, private_api: Repository
) -> None:
    client = api_of("alice")
    delete(client, private_api)
    second = make.repository(cast.acme.namespace, private_api.name)
    path = delete(client, second)
    assert {private_api.pk, second.pk} <= set(deleted_ids(client))
    assert client.post(f"{path}/restore").status_code == 200
    assert client.get(f"/repositories/{second.full_name}").status_code == 200


@pytest.mark.parametrize("who", ["bob", "carol", "dave", "robby", "anonymous"])
def test_those_who_could_not_delete_it_see_nothing_of_it(
    api_of: Api, private_api: Repository, who: str
) -> None:
    path = delete(api_of("alice"), private_api)
    client = api_of(who)
    refusal = 401 if who == "anonymous" else 404
    if who != "anonymous":
        assert private_api.pk not in deleted_ids(client)
    assert client.get(path).status_code == refusal
    assert client.delete(path).status_code == refusal
    assert client.post(f"{path}/restore").status_code == refusal


@pytest.mark.parametrize("who", ["alice", "bob", "carol", "dave", "robby", "eve"])
@pytest.mark.parametrize("role", ["read", "write", "admin"])
@pytest.mark.parametrize("tags", ["", "release-*"])
def test_who_may_restore_is_who_may_destroy_and_hook(
    cast: Cast, private_api: Repository, who: str, role: str, tags: str
) -> None:
    """restorable_by, hooked_by and decide are the same rule, said thrice."""
    subject: Any = cast.dave if who == "eve" else getattr(cast, who)
    if not private_api.grants.filter(tag_glob=tags, **subject_of(subject)).exists():
        make.grant(private_api, subject, role, tags=tags)
    actor = actor_named(cast, "dave" if who == "eve" else who)
    hooked = Repository.objects.hooked_by(actor).filter(pk=private_api.pk).exists()
    assert hooked == bool(decide(actor, Action.HOOK, private_api))
    delete_repository(repository=private_api, actor=actor)
    found = Repository.objects.restorable_by(actor).filter(pk=private_api.pk).exists()
    assert found == bool(decide(actor, Action.DESTROY, private_api))


def subject_of(subject: Any) -> dict[str, Any]:
    return {type(subject).__name__.lower(): subject}


def test_what_was_purged_is_gone(api_of: Api, private_api: Repository) -> None:
    client = api_of("alice")
    path = delete(client, private_api)
    assert client.delete(path).status_code == 204
    assert client.delete(path).status_code == 404
    assert client.post(f"{path}/restore").status_code == 404
    assert not Repository.objects.filter(pk=private_api.pk).exists()
    purged = Event.objects.get(
        kind="repository.purged", repository_name=private_api.full_name
    )
    assert purged.actor_name.startswith("alice")


def test_a_repository_is_purged_when_its_time_is_over(
    api_of: Api, private_api: Repository, public_api: Repository
) -> None:
    client = api_of("alice")
    expired, recent = delete(client, private_api), delete(client, public_api)
    over = timezone.now() - timedelta(days=settings.BERTH_RESTORE_DAYS, seconds=1)
    Repository.objects.filter(pk=private_api.pk).update(deleted_at=over)
    assert client.get(expired).status_code == 404
    assert client.post(f"{expired}/restore").status_code == 404
    assert private_api.pk not in deleted_ids(client)
    assert purge_expired() >= 1
    assert not Repository.objects.filter(pk=private_api.pk).exists()
    assert client.post(f"{recent}/restore").status_code == 200
    assert purge_expired() == 0


def test_a_longer_list_of_deleted_ones_asks_no_more(cast: Cast) -> None:
    owner = make.user("paula")
    headers = {"Authorization": f"Bearer {make.access_token(owner)}"}
    client, counts = Client(headers=headers), []
    client.get("/api/v1/user")  # notes that the token is used, once a minute
    for size in (10, 20):
        for _ in range(10):
            repository = make.repository(owner.namespace, make.unique("r"))
            delete_repository(repository=repository, actor=actor_named(cast, "alice"))
        with CaptureQueriesContext(connection) as queries:
            answer = client.get("/api/v1/deleted-repositories")
        assert len(answer.json()["results"]) == size
        counts.append(len(queries))
    assert counts[0] == counts[1]


# --- tags


def test_a_deleted_tag_is_put_back(
    api_of: Api, alice: RegistryClient, api: str
) -> None:
    old, new = image(), image()
    alice.push(f"{api}:v1", old)
    alice.push(f"{api}:v1", new)
    writer, path = api_of("bob"), f"/repositories/{api}/tags/v1"
    assert writer.post(f"{path}/restore").status_code == 409
    assert writer.delete(path).status_code == 204
    answer = writer.post(f"{path}/restore")
    assert answer.status_code == 201, answer.text
    assert answer.json()["digest"] == new.digest
    assert alice.pull(f"{api}:v1") == new
    [event] = Event.objects.filter(repository_name=api, kind="tag.restored")
    assert event.detail["tag"] == "v1"
    history = writer.everything(f"{path}/history")
    assert [move["digest"] for move in history][:3] == [new.digest, "", new.digest]


def test_a_restored_tag_says_what_it_said_before(
    api_of: Api, cast: Cast, alice: RegistryClient, api: str
) -> None:
    for tag in ("v1", "v2"):
        alice.push(f"{api}:{tag}", image())
    pulled_at = timezone.now() - timedelta(days=1)
    tags = Tag.objects.filter(repository__name=api.partition("/")[2])
    tags.filter(name="v1").update(last_pulled_at=pulled_at)
    writer, path = api_of("bob"), f"/repositories/{api}/tags/v1"
    before = writer.get(path).json()
    assert before["pushed_by"] == cast.alice.username
    for _again in range(2):
        assert writer.delete(path).status_code == 204
        answer = writer.post(f"{path}/restore")
        assert answer.json() == before == writer.get(path).json()
        [newest, *_older] = writer.everything(f"/repositories/{api}/tags")
        assert newest["name"] == "v2"
    assert tags.get(name="v1").last_pulled_at == pulled_at
    event = Event.objects.filter(repository_name=api, kind="tag.restored").last()
    assert event is not None
    assert event.actor_name == cast.bob.username
    assert writer.everything(f"{path}/history")[0]["moved_by"] == cast.bob.username


def test_a_tag_that_was_deleted_before_it_was_kept_comes_back_by_its_history(
    api_of: Api, cast: Cast, alice: RegistryClient, api: str
) -> None:
    alice.push(f"{api}:v1", image())
    writer, path = api_of("bob"), f"/repositories/{api}/tags/v1"
    before = writer.get(path).json()
    writer.delete(path)
    moves = TagMove.objects.filter(repository__name=api.partition("/")[2])
    moves.update(tag_moved_at=None, tag_moved_by=None)
    answer = writer.post(f"{path}/restore").json()
    assert answer["pushed_by"] == cast.alice.username
    assert answer["pushed_at"] == before["pushed_at"]


def test_a_tag_whose_manifest_was_deleted_stays_away(
    api_of: Api, alice: RegistryClient, api: str
) -> None:
    pushed = image()
    alice.push(f"{api}:v1", pushed)
    alice.delete(f"/v2/{api}/manifests/{pushed.digest}")
    path = f"/repositories/{api}/tags"
    refused = api_of("bob").post(f"{path}/v1/restore")
    assert refused.status_code == 409
    assert "was deleted too" in refused.json()["errors"][0]["message"]
    assert api_of("bob").post(f"{path}/never/restore").status_code == 404
    assert not Tag.objects.filter(repository__name=api.partition("/")[2]).exists()


def test_a_tag_is_put_back_by_who_might_push_it(
    api_of: Api, cast: Cast, alice: RegistryClient, private_api: Repository
) -> None:
    name = private_api.full_name
    make.grant(private_api, cast.dave, "write", tags="release-*")
    for tag in ("v1", "release-1"):
        alice.push(f"{name}:{tag}", image())
        alice.delete(f"/v2/{name}/manifests/{tag}")
    path = f"/repositories/{name}/tags"
    for who, tag, status in (
        ("carol", "v1", 403),
        ("dave", "v1", 403),
        ("dave", "release-1", 201),
        ("bob", "v1", 201),
    ):
        assert api_of(who).post(f"{path}/{tag}/restore").status_code == status
