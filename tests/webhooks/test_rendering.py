"""Payloads have a bounded cost, and what cannot be rendered holds up nothing else."""

import json
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import DataError, OperationalError
from django.utils import timezone

from accounts.actors import ANONYMOUS
from repositories.events import outbox
from repositories.events.outbox import relay_event, relay_events
from repositories.models import Event, Repository
from repositories.pulls.counting import Fetch, count_fetches
from tests import images, make
from tests.conftest import Cast
from tests.registry_client import RegistryClient
from tests.webhooks.receivers import Receiver
from webhooks.delivery import attempts, planning
from webhooks.delivery.attempts import deliver
from webhooks.delivery.redelivery import redeliver
from webhooks.delivery.scheduler import (
    ACCOUNT_PREPARING_MAX,
    SLOTS_MAX,
    Scheduler,
)
from webhooks.failures import FailureReason
from webhooks.formats import FORMATS
from webhooks.formats.writing import PAYLOAD_MAX_BYTES, PayloadTooLarge, write_json
from webhooks.message import EventName, Message
from webhooks.models import Delivery, Webhook
from webhooks.registration import change_webhook
from webhooks.rendering import render_delivery

pytestmark = pytest.mark.usefixtures("loopback_allowed")

REPEATED = json.dumps({"x": "{{platforms}}" * 146})
REPEATED_WHOLE = json.dumps(["{{platforms}}"] * 900)
EMOJI = "\N{GRINNING FACE}" * 251


def attempted(webhook: Webhook) -> list[Delivery]:
    while relay_events():
        pass
    for delivery in Delivery.objects.filter(webhook=webhook):
        deliver(delivery_ids=[delivery.pk])
    return list(Delivery.objects.filter(webhook=webhook).order_by("pk"))


def huge_index() -> images.Image:
    """Build an index of 2,000 platforms whose names are as long as they can be."""
    child = images.image()
    entries = [
        child.descriptor(platform={"os": f"{number}{EMOJI[:247]}"})
        for number in range(2000)
    ]
    body = {"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": entries}
    payload = json.dumps(body, ensure_ascii=False).encode()
    return images.Image(payload, images.OCI_INDEX, (), (child,))


@pytest.mark.parametrize("template", [REPEATED, REPEATED_WHOLE])
def test_a_template_costs_no_more_than_the_largest_payload(template: str) -> None:
    """Memory is bounded while the text grows, and not after it is there (A2, A3)."""
    message = Message(
        id="1",
        event="push",
        kind="tag.pushed",
        at="",
        actor="",
        registry_url="",
        namespace="acme",
        name="api",
        platforms=[EMOJI] * 2000,
    )
    tracemalloc.start()
    with pytest.raises(PayloadTooLarge):
        write_json(FORMATS["custom"].render(message, {"template": template}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60 * PAYLOAD_MAX_BYTES


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "custom"])
def test_every_format_has_room_for_the_largest_image(name: str) -> None:
    message = Message(
        id="1" * 36,
        kind="tag.pushed",
        at=timezone.now().isoformat(),
        event=EventName.PUSH,
        actor="a" * 100,
        tag="t" * 128,
        namespace="n" * 100,
        name="r" * 150,
        registry_url="http://r" * 9,
        description="\N{GRINNING FACE}" * 1000,
        platforms=["linux/" + "p" * 200] * 100,
        references=[
            {"mediaType": "m" * 80, "size": 10**15, "digest": "sha512:" + "0" * 128}
        ]
        * 500,
    )
    body = write_json(FORMATS[name].render(message, {}))
    assert len(body) <= PAYLOAD_MAX_BYTES


def test_a_delivery_that_cannot_be_rendered_fails_alone_and_in_words(
    alice: RegistryClient, private_api: Repository, receiver: Receiver
) -> None:
    """Its log says why; the others arrive, and a better template is sent (A2)."""
    url = f"{receiver.url}/ok"
    options = {"template": REPEATED}
    bad, _ = make.webhook(url, repository=private_api, format="custom", options=options)
    good, _ = make.webhook(url, repository=private_api)
    alice.push(f"{private_api.full_name}:v1", huge_index())
    [failed], [sent] = attempted(bad), attempted(good)
    assert (failed.status, failed.problem) == ("failed", FailureReason.PAYLOAD)
    assert f"{PAYLOAD_MAX_BYTES:,} bytes" in failed.reason
    assert failed.attempts.get().reason == failed.reason
    data = json.loads(sent.body)["data"]
    assert sent.status == Delivery.Status.DELIVERED
    assert 0 < len(data["platforms"]) <= 100
    assert len(data["platforms"]) + data["more_platform_count"] == 2000
    assert len(sent.body) <= PAYLOAD_MAX_BYTES

    template = {"template": '{"tag": "{{tag}}"}'}
    change_webhook(webhook=bad, actor=ANONYMOUS, options=template)
    redeliver(delivery=failed)
    [delivered] = attempted(bad)
    assert delivered.status == Delivery.Status.DELIVERED
    assert (delivered.uuid, delivered.body) == (failed.uuid, '{"tag": "v1"}')


def test_pulls_are_rendered_by_the_worker_too(
    alice: RegistryClient, private_api: Repository, receiver: Receiver
) -> None:
    """Counting waits for no template, and a bad one fails by itself (A2)."""
    url, pulls = f"{receiver.url}/ok", ["pull"]
    bad, _ = make.webhook(
        url,
        repository=private_api,
        format="custom",
        options={"template": REPEATED},
        events=pulls,
    )
    good, _ = make.webhook(url, repository=private_api, events=pulls)
    index = huge_index()
    alice.push(f"{private_api.full_name}:v1", index)
    now = timezone.now()
    fetches = {Fetch(private_api.pk, index.digest, "v1", "docker", now.date()): 3}
    assert count_fetches(batch=make.unique("b"), fetches=fetches, fetched_at=now)
    [failed], [sent] = attempted(bad), attempted(good)
    assert (failed.status, failed.problem) == ("failed", FailureReason.PAYLOAD)
    data = json.loads(sent.body)["data"]
    assert (data["count"], data["tag"]) == (3, "v1")


def test_few_of_an_account_render_at_once_and_leave_room_for_others(
    alice: RegistryClient,
    private_api: Repository,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever their templates cost, another account's webhook waits for none (A2)."""
    monkeypatch.setattr(attempts, "scheduler", Scheduler())
    url = f"{receiver.url}/ok"
    crowd = [
        make.webhook(
            url,
            repository=private_api,
            format="custom",
            options={"template": '{"tag": "{{ tag }}"}'},
        )[0]
        for _ in range(ACCOUNT_PREPARING_MAX + 4)
    ]
    usual, _ = make.webhook(url, repository=private_api)
    Webhook.objects.filter(pk=usual.pk).update(owner=make.user("other"))
    alice.push(f"{private_api.full_name}:v1", images.image())
    while relay_events():
        pass
    real, rendering = render_delivery, threading.Semaphore(0)
    counting, counts, may_end = threading.Lock(), [0, 0], threading.Event()

    def render(delivery: Delivery) -> str:
        if delivery.webhook == usual:
            return real(delivery)
        with counting:
            counts[0] += 1
            counts[1] = max(counts)
        rendering.release()
        assert may_end.wait(60)
        with counting:
            counts[0] -= 1
        return real(delivery)

    monkeypatch.setattr(attempts, "render_delivery", render)
    rows = Delivery.objects.filter(webhook__in=crowd)
    with ThreadPoolExecutor(SLOTS_MAX) as couriers:
        monkeypatch.setattr(attempts, "couriers", couriers)
        deliver(delivery_ids=[row.pk for row in rows])
        for _ in range(ACCOUNT_PREPARING_MAX):
            assert rendering.acquire(timeout=60)
        deliver(delivery_ids=[Delivery.objects.get(webhook=usual).pk])
        receiver.wait_for(1)
        may_end.set()
        receiver.wait_for(1 + len(crowd))
    assert {row.status for row in rows.all()} == {Delivery.Status.DELIVERED}
    assert counts == [0, ACCOUNT_PREPARING_MAX]
    assert "v1" in receiver.received[0].body.decode()
    assert receiver.received[0].headers["content-type"] == usual.content_type


@pytest.mark.parametrize(
    ("error", "batches"),
    [(DataError("too big"), 1), (MemoryError(), 1), (OperationalError("full"), 3)],
)
def test_an_event_that_cannot_be_relayed_holds_up_no_other(
    alice: RegistryClient,
    private_api: Repository,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    batches: int,
) -> None:
    """It is set aside, and not first in line again at once (A2)."""
    monkeypatch.setattr(outbox, "_aside", outbox._Aside())
    while relay_events():
        pass
    hook, _ = make.webhook("https://example.com", repository=private_api)
    image = images.image()
    for tag in ("poison", "v1", "v2"):
        alice.push(f"{private_api.full_name}:{tag}", image)
    real = planning.new_delivery

    def new_delivery(hook: Webhook, event: Event, **at: Any) -> Delivery:
        if event.detail["tag"] == "poison":
            raise error
        return real(hook, event, **at)

    monkeypatch.setattr(planning, "new_delivery", new_delivery)
    for number in range(batches - 1):
        with pytest.raises(OperationalError):
            relay_events()
        # One that comes by itself in between is relayed, and makes no difference.
        alice.push(f"{private_api.full_name}:between{number}", image)
        assert relay_event(Event.objects.latest("pk").pk) == 1
    while relay_events():
        pass
    tags = Delivery.objects.filter(webhook=hook).values_list("tag", flat=True)
    between = {f"between{number}" for number in range(batches - 1)}
    assert set(tags) == {"v1", "v2", *between}
    assert Event.objects.filter(is_relayed=False).count() == 1
    assert relay_events() == 0

    monkeypatch.setattr(planning, "new_delivery", real)
    monkeypatch.setattr(outbox, "_aside", outbox._Aside())  # as after a restart
    assert relay_events() == 1
    assert Delivery.objects.filter(webhook=hook).count() == 3 + len(between)


def test_accounts_take_turns_in_a_batch(
    alice: RegistryClient,
    robby: RegistryClient,
    dave: RegistryClient,
    cast: Cast,
    private_api: Repository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first event of an account is behind no backlog, be it of a user or robots."""
    monkeypatch.setattr(outbox, "BATCH", 3)
    while relay_events():
        pass
    image, name = images.image(), private_api.full_name
    for tag in ("a1", "a2", "a3", "a4"):
        alice.push(f"{name}:{tag}", image)
    make.grant(private_api, cast.dave, "write")
    robby.push(f"{name}:r1", image)
    robby.push(f"{name}:r2", image)
    dave.push(f"{name}:d1", image)

    def tags_left() -> list[str]:
        rows = Event.objects.filter(repository=private_api, is_relayed=False)
        return [event.detail["tag"] for event in rows.order_by("pk")]

    last = Event.objects.filter(repository=private_api, detail__tag="a4").get()
    assert tags_left() == ["a1", "a2", "a3", "a4", "r1", "r2", "d1"]
    assert relay_event(last.pk) == 3
    assert tags_left() == ["a2", "a3", "r2", "d1"]
    assert relay_event(last.pk) == 3, "its turn is over, and others wait"
    assert tags_left() == ["a3"]
    assert relay_events() == 1
    assert relay_event(last.pk) == 0
