"""Pulls are told to those who asked, once for each batch that is counted."""

import json
import time
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from accounts.actors import ANONYMOUS
from repositories.models import Repository
from repositories.pulls.counting import Fetch, count_fetches
from tests import images, make
from tests.conftest import Cast
from tests.registry_client import RegistryClient
from webhooks.models import Delivery
from webhooks.registration import delete_webhook
from webhooks.rendering import render_delivery

URL = "https://deploy.example.com/"


@pytest.fixture
def pushed(alice: RegistryClient, private_api: Repository) -> images.Image:
    image = images.image()
    alice.push(f"{private_api.full_name}:v1", image)
    return image


def count(repository: Repository, digest: str, *tags: str) -> bool:
    now = timezone.now()
    fetches = {
        Fetch(repository.pk, digest, tag, "docker", now.date()): 2 for tag in tags
    }
    return count_fetches(batch=make.unique("batch"), fetches=fetches, fetched_at=now)


def test_a_pull_is_told_to_those_who_asked_for_it(
    private_api: Repository, pushed: images.Image, cast: Cast
) -> None:
    mine, _ = make.webhook(URL, repository=private_api, events=["pull"])
    releases, _ = make.webhook(
        URL, repository=private_api, events=["pull"], tag_glob="release-*"
    )
    pushes, _ = make.webhook(URL, repository=private_api, events=["push"])
    owners, _ = make.webhook(URL, namespace=cast.acme.namespace, events=["pull"])
    try:
        assert count(private_api, pushed.digest, "v1")
        told = {
            hook.pk: list(Delivery.objects.filter(webhook=hook, repository=private_api))
            for hook in (mine, releases, pushes, owners)
        }
    finally:
        delete_webhook(webhook=owners, actor=ANONYMOUS)
    assert {pk: len(rows) for pk, rows in told.items()} == {
        mine.pk: 1,
        releases.pk: 0,
        pushes.pk: 0,
        owners.pk: 1,
    }
    body = json.loads(render_delivery(told[mine.pk][0]))
    assert body["type"] == "dev.berth.image.pulled"
    assert (body["data"]["tag"], body["data"]["count"]) == ("v1", 2)
    assert body["data"]["digest"] == pushed.digest


def test_a_pull_of_those_who_ask_for_the_digest_first_is_told_with_its_tag(
    carol: RegistryClient, private_api: Repository, pushed: images.Image
) -> None:
    """containerd asks for the tag by HEAD, and then gets the digest."""
    hook, _ = make.webhook(URL, repository=private_api, events=["pull"])
    name = private_api.full_name
    for _ in range(3):
        asked = carol.head(f"/v2/{name}/manifests/v1")
        digest = asked.headers["Docker-Content-Digest"]
        assert carol.get(f"/v2/{name}/manifests/{digest}").status_code == 200
    deadline = time.monotonic() + 20
    told: list[dict[str, Any]] = []
    while sum(data["count"] for data in told) < 3 and time.monotonic() < deadline:
        time.sleep(0.2)
        rows = Delivery.objects.filter(webhook=hook)
        told = [json.loads(render_delivery(row))["data"] for row in rows]
    assert {(data["tag"], data["digest"]) for data in told} == {("v1", pushed.digest)}
    assert sum(data["count"] for data in told) == 3


def test_a_digest_that_several_tags_name_is_told_with_none(
    alice: RegistryClient, private_api: Repository, pushed: images.Image
) -> None:
    hook, _ = make.webhook(URL, repository=private_api, events=["pull"])
    alice.push(f"{private_api.full_name}:v2", pushed)
    assert count(private_api, pushed.digest, "")
    assert not Delivery.objects.filter(webhook=hook).exists()


def test_what_the_database_refuses_is_counted_and_told_the_next_time(
    private_api: Repository, pushed: images.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook, _ = make.webhook(URL, repository=private_api, events=["pull"])
    now = timezone.now()
    fetches = {Fetch(private_api.pk, pushed.digest, "v1", "docker", now.date()): 5}
    batch = make.unique("batch")
    with monkeypatch.context() as patched:

        def refuse(rows: list[Delivery]) -> None:
            raise OperationalError("the connection is lost")

        patched.setattr(Delivery.objects, "bulk_create", refuse)
        with pytest.raises(OperationalError):
            count_fetches(batch=batch, fetches=fetches, fetched_at=now)
    private_api.refresh_from_db()
    assert private_api.pull_count == 0
    assert count_fetches(batch=batch, fetches=fetches, fetched_at=now)
    private_api.refresh_from_db()
    assert private_api.pull_count == 5
    assert Delivery.objects.filter(webhook=hook).count() == 1


def test_a_batch_that_comes_again_is_not_told_again(
    private_api: Repository, pushed: images.Image
) -> None:
    hook, _ = make.webhook(URL, repository=private_api, events=["pull"])
    now = timezone.now()
    fetches = {Fetch(private_api.pk, pushed.digest, "v1", "docker", now.date()): 1}
    batch = make.unique("batch")
    assert count_fetches(batch=batch, fetches=fetches, fetched_at=now)
    assert not count_fetches(batch=batch, fetches=fetches, fetched_at=now)
    assert Delivery.objects.filter(webhook=hook).count() == 1
