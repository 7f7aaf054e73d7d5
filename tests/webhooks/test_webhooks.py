"""Webhooks are changed, given new secrets and deleted, whatever goes on meanwhile."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from accounts.actors import ANONYMOUS
from accounts.authentication import actor_of
from accounts.organizations import delete_organization, rename_organization
from repositories.events.outbox import relay_events
from repositories.lifecycle import describe_repository, transfer_repository
from repositories.models import Event, Repository
from tests import make
from tests.conftest import Cast
from webhooks.delivery.planning import new_delivery
from webhooks.models import Delivery, Webhook
from webhooks.registration import change_webhook, delete_webhook, rotate_secret
from webhooks.rendering import sample_message

URL = "https://deploy.example.com/"


@pytest.fixture
def hook(private_api: Repository) -> Webhook:
    return make.webhook(URL, repository=private_api)[0]


# --- secrets and settings


def test_each_secret_signs_for_a_day_after_it_was_replaced(
    private_api: Repository,
) -> None:
    """H7: two rotations in a row do not cut off a receiver that has the first one."""
    hook, first = make.webhook(URL, repository=private_api)
    second = rotate_secret(webhook=hook, actor=ANONYMOUS)
    third = rotate_secret(webhook=hook, actor=ANONYMOUS)
    hook.refresh_from_db()
    now = timezone.now()
    assert hook.secrets_at(now) == [third, second, first]
    assert hook.secrets_at(now + timedelta(hours=25)) == [third]
    ends = hook.former_secret_until(now)
    assert ends is not None
    assert timedelta(hours=23) < ends - now <= timedelta(hours=24)
    assert hook.former_secret_until(now + timedelta(hours=25)) is None
    for _ in range(10):
        rotate_secret(webhook=hook, actor=ANONYMOUS)
    hook.refresh_from_db()
    assert len(hook.secrets_at(now)) == 6, "not without end"


def test_options_stay_as_long_as_the_format_does(private_api: Repository) -> None:
    hook, _ = make.webhook(
        URL,
        repository=private_api,
        format="dockerhub",
        events=["push"],
        options={"with_host": True},
    )
    same = change_webhook(webhook=hook, actor=ANONYMOUS, format="dockerhub", name="x")
    assert same.options == {"with_host": True}
    other = change_webhook(webhook=hook, actor=ANONYMOUS, format="quay")
    assert other.options == {}


# --- deletion


@pytest.fixture
def busy() -> Iterator["Busy"]:
    busy = Busy()
    yield busy
    busy.stop()


class Busy:
    """Somebody who makes deliveries for a webhook as long as it is there."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(2)
        self._makers: list[Future[int]] = []

    def start(self, hook: Webhook) -> None:
        for _ in range(40):
            self._make(hook)
        self._makers = [self._pool.submit(self._work, hook) for _ in range(2)]

    def stop(self) -> None:
        self._stopping.set()
        self._pool.shutdown()

    def made(self) -> list[int]:
        self.stop()
        return [maker.result(timeout=30) for maker in self._makers]

    def _work(self, hook: Webhook) -> int:
        made = 0
        try:
            while not self._stopping.is_set():
                self._make(hook)
                made += 1
        except IntegrityError:  # it is gone
            pass
        finally:
            connection.close()
        return made

    def _make(self, hook: Webhook) -> None:
        event = Event(kind="tag.pushed", detail={"tag": "v1"})
        new_delivery(hook, event, now=timezone.now()).save()


def test_a_webhook_is_deleted_while_it_is_told_more(busy: Busy, hook: Webhook) -> None:
    busy.start(hook)
    delete_webhook(webhook=hook, actor=ANONYMOUS)
    busy.made()
    assert not Webhook.objects.filter(pk=hook.pk).exists()
    assert not Delivery.objects.filter(webhook=hook.pk).exists()


def test_an_organization_is_deleted_while_its_webhook_is_told_more(
    busy: Busy, cast: Cast
) -> None:
    organization = make.organization(owner=cast.alice)
    hook, _ = make.webhook(URL, namespace=organization.namespace)
    busy.start(hook)
    delete_organization(organization=organization, actor=actor_of(cast.alice))
    busy.made()
    assert not Delivery.objects.filter(webhook=hook.pk).exists()


# --- what is told of places


def test_a_renamed_organization_is_told_for_each_of_its_repositories(
    cast: Cast,
) -> None:
    organization = make.organization(owner=cast.alice)
    old = organization.namespace.name
    first = make.repository(organization.namespace, "api")
    make.repository(organization.namespace, "web")
    mine, _ = make.webhook(URL, repository=first, events=["repository"])
    owners, _ = make.webhook(
        URL, namespace=organization.namespace, events=["repository"]
    )
    name = make.unique("renamed")
    rename_organization(
        organization=organization, name=name, actor=actor_of(cast.alice)
    )
    while relay_events():
        pass
    told = {
        hook.pk: sorted(
            Delivery.objects.filter(webhook=hook).values_list("kind", "repository_name")
        )
        for hook in (mine, owners)
    }
    kind = "repository.renamed"
    assert told == {
        mine.pk: [(kind, f"{name}/api")],
        owners.pk: [(kind, f"{name}/api"), (kind, f"{name}/web")],
    }
    events = Event.objects.filter(repository=first, kind=kind)
    assert [event.detail for event in events] == [
        {"from": f"{old}/api", "to": f"{name}/api"}
    ]
    assert events[0].actor_name == cast.alice.username


def test_a_namespace_is_not_told_what_became_of_a_repository_that_left_it(
    cast: Cast,
) -> None:
    alice = actor_of(cast.alice)
    source = make.organization(owner=cast.alice).namespace
    target = make.organization(owner=cast.alice).namespace
    moving = make.repository(source, "api")
    hook, _ = make.webhook(URL, namespace=source, events=["repository"])
    transfer_repository(repository=moving, namespace=target, actor=alice)
    moving = Repository.objects.with_full_name().get(pk=moving.pk)
    describe_repository(repository=moving, actor=alice, description="a secret plan")
    message = sample_message(hook)
    assert message.full_name == f"{source.name}/api"
    assert "secret plan" not in repr(message)
    assert "secret plan" not in hook.render(message)
