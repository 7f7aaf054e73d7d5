"""From what happened to what arrives, and back: relay, claims, ladder, tests, replay.

The worker's verbs are called here; the worker itself is in tests/faults.

It holds N4 of reliability.md, too.
"""

import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from standardwebhooks import Webhook as Verifier

from accounts.actors import ANONYMOUS
from accounts.authentication import actor_of
from repositories.events.outbox import events_relayed, relay_events
from repositories.lifecycle import (
    change_visibility,
    create_repository,
    delete_repository,
    rename_repository,
    restore_repository,
    transfer_repository,
)
from repositories.models import Event, Repository
from repositories.tags import delete_tag, restore_tag
from tests import images, make
from tests.conftest import Cast
from tests.pages import PageClient
from tests.registry_client import RegistryClient
from tests.servers import BerthServer, free_port
from tests.webhooks.receivers import LOST, Receiver
from webhooks.delivery import attempts, sweep
from webhooks.delivery.attempts import deliver
from webhooks.delivery.redelivery import (
    WebhookIsOff,
    redeliver,
    redeliver_failed_since,
    send_test,
)
from webhooks.delivery.retry import RETRY_SCHEDULE_SECONDS, TRIES_MAX
from webhooks.delivery.scheduler import Scheduler
from webhooks.delivery.sweep import expire_deliveries, sweep_deliveries
from webhooks.failures import FailureReason
from webhooks.http import client
from webhooks.http.client import Outcome
from webhooks.message import EventName
from webhooks.models import Attempt, Delivery, Webhook
from webhooks.registration import (
    WebhookInvalid,
    change_webhook,
    delete_webhook,
    rotate_secret,
)

pytestmark = pytest.mark.usefixtures("loopback_allowed")


def relay_all() -> None:
    while relay_events():
        pass


def of(webhook: Webhook) -> list[Delivery]:
    """Relay what happened and return the webhook's deliveries, oldest first."""
    relay_all()
    return list(Delivery.objects.filter(webhook=webhook).order_by("pk"))


def attempted(delivery: Delivery) -> Delivery:
    deliver(delivery_ids=[delivery.pk])
    delivery.refresh_from_db()
    return delivery


def make_due(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(due_at=timezone.now())


def push(who: RegistryClient, api: str, tag: str = "v1") -> images.Image:
    pushed = images.image()
    who.push(f"{api}:{tag}", pushed)
    return pushed


# --- what is told


def test_a_push_arrives_signed(
    alice: RegistryClient, private_api: Repository, receiver: Receiver
) -> None:
    """H8."""
    hook, secret = make.webhook(f"{receiver.url}/ok", repository=private_api)
    pushed = push(alice, private_api.full_name)
    [delivery] = of(hook)
    assert attempted(delivery).status == Delivery.Status.DELIVERED
    [request] = receiver.received
    told = Verifier(secret).verify(request.body, request.headers)
    assert told["type"] == "dev.berth.image.pushed"
    assert told["data"]["tag"] == "v1"
    assert told["data"]["digest"] == pushed.digest
    assert told["data"]["repository"] == private_api.full_name
    assert told["data"]["actor"] == {"name": alice.username}
    assert told["id"] == request.headers["webhook-id"] == str(delivery.uuid)
    assert request.headers["berth-event"] == "push"
    assert request.headers["content-type"].startswith("application/cloudevents+json")


def test_an_image_for_several_platforms_is_told_once(
    alice: RegistryClient, private_api: Repository, receiver: Receiver
) -> None:
    hook, _ = make.webhook(f"{receiver.url}/ok", repository=private_api)
    index = images.index(images.image(), images.image())
    alice.push(f"{private_api.full_name}:v1", index)
    [delivery] = of(hook)
    told = json.loads(attempted(delivery).body)["data"]
    assert told["digest"] == index.digest
    assert told["platforms"] == ["linux/amd64", "linux/arm64"]


def test_platforms_are_those_of_the_api(
    alice: RegistryClient,
    cast: Cast,
    private_api: Repository,
    receiver: Receiver,
    registry: BerthServer,
) -> None:
    """Of one image, of an index, and of what is no image (D17)."""
    hook, _ = make.webhook(f"{receiver.url}/ok", repository=private_api)
    arm = json.dumps({"os": "linux", "architecture": "arm64"}).encode()
    contents = {
        "one": images.image(config=arm),
        "both": images.index(images.image(), images.image(config=arm)),
        "none": images.artifact(),
    }
    for tag, content in contents.items():
        alice.push(f"{private_api.full_name}:{tag}", content)
    told = {
        delivery.tag: json.loads(attempted(delivery).body)["data"]["platforms"]
        for delivery in of(hook)
    }
    with PageClient(registry.url, cast.alice) as client:
        path = f"/api/v1/repositories/{private_api.full_name}/tags"
        tags = client.get(path).json()["results"]
    assert told == {tag["name"]: tag["platforms"] for tag in tags}
    assert told["one"] == ["linux/arm64"]


def test_each_tag_is_told(
    alice: RegistryClient, private_api: Repository, receiver: Receiver
) -> None:
    hook, _ = make.webhook(f"{receiver.url}/ok", repository=private_api)
    pushed = push(alice, private_api.full_name, "v1")
    alice.push(f"{private_api.full_name}:latest", pushed)
    assert [delivery.tag for delivery in of(hook)] == ["v1", "latest"]


def test_only_what_was_chosen_is_told(
    alice: RegistryClient, private_api: Repository, receiver: Receiver
) -> None:
    url = f"{receiver.url}/ok"
    deletions, _ = make.webhook(url, repository=private_api, events=["delete"])
    releases, _ = make.webhook(url, repository=private_api, tag_glob="release-*")
    changes, _ = make.webhook(
        url, repository=private_api, events=["repository"], tag_glob="release-*"
    )
    off, _ = make.webhook(url, repository=private_api, is_active=False)
    for tag in ("v1", "release-1"):
        push(alice, private_api.full_name, tag)
    delete_tag(repository=private_api.facts, name="v1", actor=ANONYMOUS)
    change_visibility(repository=private_api, visibility="public", actor=ANONYMOUS)
    seen = {
        hook.pk: [(d.kind, d.tag) for d in of(hook)]
        for hook in (deletions, releases, changes, off)
    }
    assert seen == {
        deletions.pk: [("tag.deleted", "v1")],
        releases.pk: [("tag.pushed", "release-1")],
        changes.pk: [("repository.visibility", "")],
        off.pk: [],
    }


def test_everything_that_there_are_words_for_is_told_once_and_in_order(
    alice: RegistryClient, cast: Cast, receiver: Receiver
) -> None:
    namespace = make.organization(owner=cast.alice).namespace
    hook, _ = make.webhook(
        f"{receiver.url}/ok", namespace=namespace, events=list(EventName)
    )
    actor = actor_of(cast.alice)
    repository = create_repository(namespace=namespace, name="api", actor=actor)
    rename_repository(repository=repository, name="app", actor=actor)
    repository.refresh_from_db()
    change_visibility(repository=repository, visibility="public", actor=actor)
    change_visibility(repository=repository, visibility="private", actor=actor)
    index = images.index(images.image(), images.image())
    alice.push(f"{repository.full_name}:v1", index)
    delete_tag(repository=repository.facts, name="v1", actor=actor)
    restore_tag(repository=repository.facts, name="v1", actor=actor)
    alice.push(f"{repository.full_name}:v2", images.image())
    answer = alice.delete(f"/v2/{repository.full_name}/manifests/{index.digest}")
    assert answer.status_code == 202
    delete_repository(repository=repository, actor=actor)
    restore_repository(repository=repository, actor=actor)
    told = [(d.kind, d.repository_name, d.tag) for d in of(hook)]
    former, name = f"{namespace.name}/api", f"{namespace.name}/app"
    assert told == [
        ("repository.created", former, ""),
        ("repository.renamed", name, ""),
        ("repository.visibility", name, ""),
        ("repository.visibility", name, ""),
        ("tag.pushed", name, "v1"),
        ("tag.deleted", name, "v1"),
        ("tag.restored", name, "v1"),
        ("tag.pushed", name, "v2"),
        ("tag.deleted", name, "v1"),
        ("repository.deleted", name, ""),
        ("repository.restored", name, ""),
    ]
    assert "pull" not in {d.event for d in of(hook)}, "those are told by batches"


def test_hooks_of_the_namespace_and_of_the_site_are_told_and_no_others(
    alice: RegistryClient, private_api: Repository, cast: Cast, receiver: Receiver
) -> None:
    url = f"{receiver.url}/ok"
    mine, _ = make.webhook(url, repository=private_api)
    namespaces, _ = make.webhook(url, namespace=cast.acme.namespace)
    sites, _ = make.webhook(url)
    elsewhere = make.organization(owner=cast.dave)
    others, _ = make.webhook(url, namespace=elsewhere.namespace)
    beside, _ = make.webhook(url, repository=make.repository(cast.acme.namespace, "b"))
    try:
        push(alice, private_api.full_name)
        assert [len(of(hook)) for hook in (mine, namespaces, sites)] == [1, 1, 1]
        assert [len(of(hook)) for hook in (others, beside)] == [0, 0]
    finally:
        for hook in (namespaces, sites, beside):
            delete_webhook(webhook=hook, actor=ANONYMOUS)
        relay_all()


def test_what_happened_before_a_webhook_was_made_is_not_told(
    alice: RegistryClient, private_api: Repository, receiver: Receiver
) -> None:
    push(alice, private_api.full_name)
    Event.objects.filter(repository=private_api).update(is_relayed=False)
    hook, _ = make.webhook(f"{receiver.url}/ok", repository=private_api)
    assert of(hook) == []


def test_what_was_undone_is_not_told(
    private_api: Repository, receiver: Receiver
) -> None:
    """I11: none for rolled-back work."""
    from django.db import transaction

    hook, _ = make.webhook(
        f"{receiver.url}/ok", repository=private_api, events=["repository"]
    )
    with pytest.raises(RuntimeError), transaction.atomic():
        change_visibility(repository=private_api, visibility="public", actor=ANONYMOUS)
        raise RuntimeError
    assert of(hook) == []


def test_relays_at_the_same_time_make_one_delivery_for_each_webhook(
    private_api: Repository, receiver: Receiver
) -> None:
    hook, _ = make.webhook(
        f"{receiver.url}/ok", repository=private_api, events=["repository"]
    )
    for visibility in ["public", "private"] * 20:
        change_visibility(
            repository=private_api, visibility=visibility, actor=ANONYMOUS
        )

    def work() -> None:
        try:
            relay_all()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = of(hook)
    assert len(made) == 40
    assert len({delivery.recorded_id for delivery in made}) == 40


def test_a_transfer_is_told_once_by_every_webhook_that_hears_of_it(
    cast: Cast, receiver: Receiver
) -> None:
    """The namespace that is left says under which name it was there."""
    url = f"{receiver.url}/ok"
    source = make.organization(owner=cast.alice).namespace
    target = make.organization(owner=cast.alice).namespace
    moving = make.repository(source, "api")
    hooks = [
        make.webhook(url, events=["repository"], **place)[0]
        for place in ({"repository": moving}, {"namespace": source},
                      {"namespace": target}, {})
    ]  # fmt: skip
    alice = actor_of(cast.alice)
    try:
        transfer_repository(repository=moving, namespace=target, actor=alice)
        told = [[(d.kind, d.repository_name) for d in of(hook)] for hook in hooks]
    finally:
        delete_webhook(webhook=hooks[-1], actor=ANONYMOUS)
    kind = "repository.transferred"
    assert told == [
        [(kind, f"{target.name}/api")],
        [(kind, f"{source.name}/api")],
        [(kind, f"{target.name}/api")],
        [(kind, f"{target.name}/api")],
    ]


def test_who_reads_does_not_see_webhooks_in_the_activity(
    private_api: Repository, receiver: Receiver
) -> None:
    make.webhook(f"{receiver.url}/ok", repository=private_api)
    events = Event.objects.filter(repository=private_api)
    assert events.filter(kind="webhook.created").exists()
    assert not events.for_everybody().filter(kind__startswith="webhook.").exists()


# --- failures, the ladder, Retry-After


def failing(receiver: Receiver, repository: Repository, path: str) -> Delivery:
    hook, _ = make.webhook(
        f"{receiver.url}/{path}", repository=repository, events=["repository"]
    )
    change_visibility(repository=repository, visibility="public", actor=ANONYMOUS)
    [delivery] = of(hook)
    return delivery


def test_a_failure_is_tried_again_up_the_ladder_and_then_given_up(
    private_api: Repository, receiver: Receiver
) -> None:
    """H2: ten tries within a day, the same id and the same bytes each time."""
    delivery = failing(receiver, private_api, "status/503")
    for longest in RETRY_SCHEDULE_SECONDS:
        before = timezone.now()
        assert attempted(delivery).status == Delivery.Status.WAITING
        wait = (delivery.due_at - before).total_seconds()
        assert longest * 0.8 <= wait <= longest + 5
        deliver(delivery_ids=[delivery.pk])  # not due: nothing happens
        make_due(delivery)
    assert attempted(delivery).status == Delivery.Status.FAILED
    assert delivery.attempt_count == TRIES_MAX == len(receiver.received)
    assert delivery.problem == FailureReason.STATUS
    assert "503" in delivery.reason
    assert len({request.body for request in receiver.received}) == 1
    assert len({r.headers["webhook-id"] for r in receiver.received}) == 1
    attempts = list(Attempt.objects.filter(delivery=delivery).order_by("number"))
    assert [attempt.number for attempt in attempts] == list(range(1, TRIES_MAX + 1))
    assert {attempt.status_code for attempt in attempts} == {503}


def test_retry_after_is_honoured(private_api: Repository, receiver: Receiver) -> None:
    """H2."""
    delivery = failing(receiver, private_api, "status/429?Retry-After=1800")
    before = timezone.now()
    attempted(delivery)
    assert 1795 <= (delivery.due_at - before).total_seconds() <= 1810


def test_a_success_ends_it(private_api: Repository, receiver: Receiver) -> None:
    delivery = failing(receiver, private_api, "status/500")
    attempted(delivery)
    hook = delivery.webhook
    change_webhook(webhook=hook, actor=ANONYMOUS, url=f"{receiver.url}/ok")
    make_due(delivery)
    assert attempted(delivery).status == Delivery.Status.DELIVERED
    assert (delivery.problem, delivery.reason) == ("", "")
    hook.refresh_from_db()
    assert (hook.failing_since, hook.failure_count) == (None, 0)
    assert hook.succeeded_at is not None


def test_gone_ends_the_webhook(private_api: Repository, receiver: Receiver) -> None:
    delivery = failing(receiver, private_api, "status/410")
    hook = delivery.webhook
    change_visibility(repository=private_api, visibility="private", actor=ANONYMOUS)
    [_, second] = of(hook)
    assert attempted(delivery).status == Delivery.Status.FAILED
    hook.refresh_from_db()
    assert not hook.is_active
    assert "410" in hook.disabled_reason
    assert attempted(second).problem == FailureReason.DISABLED
    assert len(receiver.received) == 1
    event = Event.objects.get(repository=private_api, kind="webhook.disabled")
    assert event.detail["webhook"] == hook.pk


def test_days_of_nothing_but_failures_switch_a_webhook_off_and_no_other(
    private_api: Repository, receiver: Receiver
) -> None:
    """H6."""
    delivery = failing(receiver, private_api, "status/500")
    hook = delivery.webhook
    healthy, _ = make.webhook(f"{receiver.url}/ok", repository=private_api)
    for _ in range(TRIES_MAX - 1):
        attempted(delivery)
        make_due(delivery)
    hook.refresh_from_db()
    assert hook.is_active
    with time_machine.travel(timezone.now() + timedelta(days=3, hours=1)):
        assert attempted(delivery).status == Delivery.Status.FAILED
        hook.refresh_from_db()
    assert not hook.is_active
    assert "3 days" in hook.disabled_reason
    healthy.refresh_from_db()
    assert healthy.is_active
    assert Event.objects.filter(
        repository=private_api, kind="webhook.disabled"
    ).exists()
    with pytest.raises(WebhookIsOff):
        redeliver(delivery=Delivery.objects.get(pk=delivery.pk))
    resumed = change_webhook(webhook=hook, actor=ANONYMOUS, is_active=True)
    assert (resumed.failure_count, resumed.disabled_reason) == (0, "")


def test_one_failure_after_quiet_days_does_not_switch_it_off(
    private_api: Repository, receiver: Receiver
) -> None:
    delivery = failing(receiver, private_api, "status/500")
    attempted(delivery)
    Webhook.objects.filter(pk=delivery.webhook_id).update(
        failing_since=timezone.now() - timedelta(days=30)
    )
    make_due(delivery)
    attempted(delivery)
    assert Webhook.objects.get(pk=delivery.webhook_id).is_active


# --- claims


def claim(delivery: Delivery) -> Any:
    return attempts._claim(delivery.pk, {}, due_by=timezone.now())


def test_a_delivery_that_is_on_loan_is_left_alone_until_the_loan_is_over(
    private_api: Repository, receiver: Receiver
) -> None:
    """C24, H5: afterwards it is sent again with the same id and bytes."""
    delivery = failing(receiver, private_api, "ok")
    assert claim(delivery)  # and then the worker was killed
    deliver(delivery_ids=[delivery.pk])
    assert receiver.received == []
    with time_machine.travel(timezone.now() + attempts.LEASE, tick=True):
        assert attempted(delivery).status == Delivery.Status.DELIVERED
    assert delivery.attempt_count == 2
    first = Attempt.objects.get(delivery=delivery, number=1)
    assert first.problem == FailureReason.INTERRUPTED


def test_a_late_success_counts_and_a_late_failure_does_not(
    private_api: Repository, receiver: Receiver
) -> None:
    """C25: done is done, once."""
    delivery = failing(receiver, private_api, "ok")
    slow = claim(delivery)
    with time_machine.travel(timezone.now() + attempts.LEASE, tick=True):
        quick = claim(delivery)
    assert slow is not None
    assert quick is not None
    bad = Outcome(problem=FailureReason.TIMEOUT, reason="late")
    attempts._finish(slow, bad)
    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.SENDING
    attempts._finish(slow, Outcome(status_code=204))
    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.DELIVERED
    attempts._finish(quick, bad)
    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.DELIVERED


def test_a_worker_that_was_late_and_the_next_one_do_not_undo_each_other(
    private_api: Repository, receiver: Receiver, caplog: Any
) -> None:
    """They met in a circle, and what had arrived could be sent once more."""
    delivery = failing(receiver, private_api, "ok")
    late = claim(delivery)
    assert late is not None
    make_due(delivery)  # its loan is over
    has_begun = threading.Event()

    def pause(execute: Any, sql: str, *rest: Any) -> Any:
        done = execute(sql, *rest)
        is_row = "webhooks_delivery" in sql or "webhooks_attempt" in sql
        if is_row and not has_begun.is_set():
            has_begun.set()
            time.sleep(0.5)
        return done

    def finish() -> None:
        with connection.execute_wrapper(pause):
            attempts._finish(late, Outcome(status_code=204))
        connection.close()

    thread = threading.Thread(target=finish)
    thread.start()
    assert has_begun.wait(10)
    assert claim(delivery) is None
    thread.join()
    assert "was undone" not in caplog.text
    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.DELIVERED
    [attempt] = delivery.attempts.all()
    assert (attempt.status_code, attempt.problem) == (204, "")


def test_two_workers_send_once(private_api: Repository, receiver: Receiver) -> None:
    delivery = failing(receiver, private_api, "ok")
    threads = [
        threading.Thread(target=deliver, kwargs={"delivery_ids": [delivery.pk]})
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.received) == 1


def between_payload_and_claim(monkeypatch: Any, happens: Callable[[], Any]) -> None:
    """Let something happen once, after a worker has looked for the payload."""
    payload_of = attempts._payload_of

    def look(*call: Any) -> dict[str, str]:
        payload = payload_of(*call)
        monkeypatch.setattr(attempts, "_payload_of", payload_of)
        happens()
        return payload

    monkeypatch.setattr(attempts, "_payload_of", look)


def test_what_becomes_due_after_its_payload_was_looked_for_waits(
    private_api: Repository, receiver: Receiver, monkeypatch: Any
) -> None:
    """A clock that is ahead made an empty POST, and it counted as delivered."""
    delivery = failing(receiver, private_api, "ok")
    due_at = timezone.now() + timedelta(seconds=10)
    Delivery.objects.filter(pk=delivery.pk).update(due_at=due_at)
    with time_machine.travel(due_at - timedelta(seconds=1), tick=False) as clock:
        between_payload_and_claim(monkeypatch, lambda: clock.shift(2))
        assert attempted(delivery).status == Delivery.Status.WAITING
        assert not delivery.attempts.exists()
        assert attempted(delivery).status == Delivery.Status.DELIVERED
    [request] = receiver.received
    assert request.body == delivery.body.encode() != b""


def test_a_delivery_without_a_payload_is_tried_again_and_not_sent(
    private_api: Repository, receiver: Receiver, monkeypatch: Any
) -> None:
    """None is rendered for a webhook that is paused, which may end at once."""
    delivery = failing(receiver, private_api, "ok")
    webhook = Webhook.objects.filter(pk=delivery.webhook_id)
    webhook.update(is_active=False)
    between_payload_and_claim(monkeypatch, lambda: webhook.update(is_active=True))
    assert attempted(delivery).status == Delivery.Status.WAITING
    assert delivery.problem == FailureReason.FAULT
    assert receiver.received == []
    make_due(delivery)
    assert attempted(delivery).status == Delivery.Status.DELIVERED
    [request] = receiver.received
    assert request.body == delivery.body.encode() != b""


def test_a_row_that_is_locked_is_left_to_the_sweep(
    private_api: Repository, receiver: Receiver
) -> None:
    """Four such rows, of a namespace being deleted, stopped the whole worker."""
    delivery = failing(receiver, private_api, "ok")
    is_locked, may_end = threading.Event(), threading.Event()

    def lock() -> None:
        with transaction.atomic():
            Delivery.objects.select_for_update().get(pk=delivery.pk)
            is_locked.set()
            may_end.wait(60)
        connection.close()

    holder = threading.Thread(target=lock)
    if connection.features.has_select_for_update_skip_locked:  # SQLite locks no rows
        holder.start()
        assert is_locked.wait(10)
        try:
            with connection.cursor() as cursor:  # of the connection that this ends
                cursor.execute("SET lock_timeout = '2s'")
            assert claim(delivery) is None
            assert attempted(delivery).status == Delivery.Status.WAITING
        finally:
            may_end.set()
            holder.join()
    assert attempted(delivery).status == Delivery.Status.DELIVERED
    assert len(receiver.received) == 1


def test_no_one_waits_for_the_preparing_of_what_is_not_sent(
    private_api: Repository, receiver: Receiver, monkeypatch: Any
) -> None:
    """To record it, the webhook's row is locked, which may take its time."""
    preparing: list[int] = []
    scheduler = Scheduler()
    finish = attempts._finish

    def look(*call: Any) -> None:
        preparing.append(scheduler._preparing)
        finish(*call)

    monkeypatch.setattr(attempts, "scheduler", scheduler)
    monkeypatch.setattr(attempts, "_finish", look)
    delivery = failing(receiver, private_api, "ok")
    Webhook.objects.filter(pk=delivery.webhook_id).update(is_active=False)
    assert attempted(delivery).problem == FailureReason.DISABLED
    assert preparing == [0]


def test_no_connection_to_the_database_is_held_while_a_receiver_thinks(
    private_api: Repository, receiver: Receiver, monkeypatch: Any
) -> None:
    held: list[bool] = []

    def look(**request: Any) -> Outcome:
        held.append(connection.connection is not None)
        return Outcome(status_code=204)

    monkeypatch.setattr(client, "send", look)
    attempted(failing(receiver, private_api, "ok"))
    assert held == [False]


def test_the_sweep_asks_for_what_is_due_and_not_for_what_was_asked_for(
    private_api: Repository, receiver: Receiver, monkeypatch: Any
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(sweep, "publish_deliveries", asked.extend)
    delivery = failing(receiver, private_api, "ok")
    sweep_deliveries()
    assert delivery.pk not in asked  # its message is on the way
    with time_machine.travel(timezone.now() + sweep.DISPATCH_AGAIN, tick=True):
        sweep_deliveries()
        sweep_deliveries()
    assert asked.count(delivery.pk) == 1


def test_the_sweep_leaves_alone_what_waits_for_its_turn_here(
    private_api: Repository, receiver: Receiver, monkeypatch: Any
) -> None:
    """Ten thousand for one webhook were asked for again every quarter of a minute."""
    asked: list[int] = []
    scheduler = Scheduler()
    monkeypatch.setattr(sweep, "publish_deliveries", asked.extend)
    monkeypatch.setattr(attempts, "scheduler", scheduler)
    delivery = failing(receiver, private_api, "ok")
    target = attempts._targets_of([delivery.pk])[delivery.pk]
    slot = scheduler.acquire(-1, target)
    assert slot is not None
    deliver(delivery_ids=[delivery.pk])
    with time_machine.travel(timezone.now() + sweep.DISPATCH_AGAIN, tick=True):
        sweep_deliveries()
        assert delivery.pk not in asked
        scheduler.release(slot)
        sweep_deliveries()
    assert asked.count(delivery.pk) == 1


def test_the_sweep_sees_a_webhook_behind_all_that_waits_for_another(
    private_api: Repository, receiver: Receiver, monkeypatch: Any
) -> None:
    """What is tried again is found by the sweep alone, and others hang for hours."""
    asked: list[int] = []
    monkeypatch.setattr(sweep, "publish_deliveries", asked.extend)
    monkeypatch.setattr(attempts, "scheduler", Scheduler())
    monkeypatch.setattr(sweep, "REMEMBERED_MAX", 2)
    monkeypatch.setattr(sweep, "SWEEP_MAX", 1)
    url = f"{receiver.url}/hang"
    hung, _ = make.webhook(url, repository=private_api, events=["repository"])
    for visibility in ("public", "private") * 3:
        change_visibility(
            repository=private_api, visibility=visibility, actor=ANONYMOUS
        )
    waiting = of(hung)
    failed = failing(receiver, private_api, "status/503")
    attempted(failed)
    Delivery.objects.exclude(pk__in=[failed.pk, *(d.pk for d in waiting)]).update(
        status=Delivery.Status.FAILED
    )
    target = attempts._targets_of([waiting[0].pk])[waiting[0].pk]
    assert attempts.scheduler.acquire(-1, target)
    for delivery in waiting[:4]:
        deliver(delivery_ids=[delivery.pk])
    make_due(failed)
    with time_machine.travel(timezone.now() + sweep.DISPATCH_AGAIN, tick=True):
        sweep_deliveries()
        assert asked == [failed.pk]
        monkeypatch.setattr(sweep, "REMEMBERED_MAX", 4)
        sweep_deliveries()
    rest = {delivery.pk for delivery in waiting[4:]}
    assert asked[1] in rest, "and then what nobody remembers"


def test_the_sweep_takes_accounts_in_turns(
    private_api: Repository, receiver: Receiver, monkeypatch: Any
) -> None:
    """The retry of one webhook is not behind a thousand of another account."""
    asked: list[int] = []
    monkeypatch.setattr(sweep, "publish_deliveries", asked.extend)
    monkeypatch.setattr(attempts, "scheduler", Scheduler())
    monkeypatch.setattr(sweep, "SWEEP_MAX", 2)
    url = f"{receiver.url}/ok"
    for _ in range(4):
        make.webhook(url, repository=private_api, events=["repository"])
    alone = failing(receiver, private_api, "ok")
    Webhook.objects.filter(pk=alone.webhook_id).update(owner=make.user("other"))
    rows = Delivery.objects.filter(webhook__repository=private_api)
    older = timezone.now() - timedelta(minutes=1)
    rows.exclude(pk=alone.pk).update(due_at=older)
    Delivery.objects.exclude(pk__in=rows).update(status=Delivery.Status.FAILED)
    with time_machine.travel(timezone.now() + sweep.DISPATCH_AGAIN, tick=True):
        sweep_deliveries()
    assert len(asked) == 2
    assert alone.pk in asked


# --- whatever happens


def test_a_fault_of_our_own_is_recorded_and_tried_again_by_the_ladder(
    private_api: Repository, receiver: Receiver, monkeypatch: Any, caplog: Any
) -> None:
    """And a test is sent once, as it is promised."""

    def fail(url: str, **request: Any) -> Outcome:
        raise KeyError(url)

    monkeypatch.setattr(client, "send", fail)
    delivery = attempted(failing(receiver, private_api, "ok/hidden-path"))
    assert (delivery.status, delivery.problem) == ("waiting", FailureReason.FAULT)
    wait = (delivery.due_at - timezone.now()).total_seconds()
    assert RETRY_SCHEDULE_SECONDS[0] * 0.8 - 5 <= wait <= RETRY_SCHEDULE_SECONDS[0]
    [attempt] = delivery.attempts.all()
    assert attempt.problem == FailureReason.FAULT
    assert "the worker's log" in attempt.reason
    assert f"{delivery.uuid}: KeyError" in caplog.text
    assert "in fail" in caplog.text, "where it happened"
    assert "hidden-path" not in caplog.text
    assert attempted(send_test(webhook=delivery.webhook)).status == "failed"


@pytest.mark.parametrize("status_code", [204, 500])
def test_an_answer_that_cannot_be_written_down_is_recorded_without_its_words(
    private_api: Repository, receiver: Receiver, monkeypatch: Any, status_code: int
) -> None:
    """What arrived has arrived, and what did not goes up the ladder."""
    is_delivered = status_code == 204
    odd = Outcome(
        status_code=status_code,
        body="\ud800",
        problem="" if is_delivered else FailureReason.STATUS,
        reason="" if is_delivered else "\ud800",
        retry_after_seconds=1800,
    )
    monkeypatch.setattr(client, "send", lambda **request: odd)
    delivery = attempted(failing(receiver, private_api, "ok"))
    [attempt] = delivery.attempts.all()
    assert (attempt.status_code, attempt.problem) == (status_code, odd.problem)
    assert attempt.ended_at is not None
    if is_delivered:
        assert (delivery.status, delivery.reason) == ("delivered", "")
    else:
        assert delivery.status == "waiting"
        assert "the worker's log" in delivery.reason
        assert (delivery.due_at - timezone.now()).total_seconds() > 1700


@pytest.mark.parametrize("how", LOST)
def test_a_redirect_to_what_is_no_url_goes_up_the_ladder(
    private_api: Repository, receiver: Receiver, how: str
) -> None:
    delivery = attempted(failing(receiver, private_api, f"lost/{how}"))
    assert (delivery.status, delivery.problem) == ("waiting", FailureReason.REDIRECT)


# --- tests, replay, secrets


def test_a_test_sends_the_last_event_once_and_says_what_is_wrong(
    alice: RegistryClient, private_api: Repository, receiver: Receiver
) -> None:
    push(alice, private_api.full_name, "v7")
    hook, _ = make.webhook(f"{receiver.url}/status/401", repository=private_api)
    delivery = attempted(send_test(webhook=hook))
    [request] = receiver.received
    told = json.loads(request.body)
    assert (told["data"]["tag"], told["data"]["test"]) == ("v7", True)
    assert request.headers["berth-test"] == "true"
    assert delivery.status == Delivery.Status.FAILED
    assert "401" in delivery.reason
    hook.refresh_from_db()
    assert hook.failure_count == 0  # only the real ones count


def test_a_test_where_nothing_has_happened_is_made_up(
    private_api: Repository, receiver: Receiver
) -> None:
    hook, _ = make.webhook(
        f"{receiver.url}/ok", repository=private_api, is_active=False, format="quay"
    )
    assert attempted(send_test(webhook=hook)).status == Delivery.Status.DELIVERED
    body = json.loads(receiver.received[0].body)
    assert body["updated_tags"] == ["latest"]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1:{free}/", FailureReason.REFUSED),
        ("https://127.0.0.1:{receiver}/", FailureReason.TLS),
        ("http://10.255.255.1/", FailureReason.FORBIDDEN),
        ("http://127.0.0.1:{receiver}/redirect/x", FailureReason.REDIRECT),
    ],
)
def test_the_self_check_names_the_problem(
    private_api: Repository, receiver: Receiver, url: str, problem: str
) -> None:
    target = url.format(free=free_port(), receiver=receiver.port)
    hook, _ = make.webhook(target, repository=private_api)
    delivery = attempted(send_test(webhook=hook))
    assert delivery.problem == problem
    assert delivery.reason


def test_one_or_all_that_failed_can_be_sent_again(
    private_api: Repository, receiver: Receiver
) -> None:
    first = failing(receiver, private_api, "status/500")
    hook = first.webhook
    change_visibility(repository=private_api, visibility="private", actor=ANONYMOUS)
    second = of(hook)[1]
    given_up(second)
    between = timezone.now()
    given_up(first)
    change_webhook(webhook=hook, actor=ANONYMOUS, url=f"{receiver.url}/ok")
    receiver.received.clear()
    redeliver(delivery=second)
    assert attempted(second).status == Delivery.Status.DELIVERED
    assert redeliver_failed_since(webhook=hook, since=between) == 1
    assert attempted(first).status == Delivery.Status.DELIVERED
    assert redeliver_failed_since(webhook=hook, since=first.created_at) == 0
    ids = [request.headers["webhook-id"] for request in receiver.received]
    assert ids == [str(second.uuid), str(first.uuid)]


def given_up(delivery: Delivery) -> Delivery:
    """Fail a delivery as if it were at the end of the ladder."""
    Delivery.objects.filter(pk=delivery.pk).update(try_count=TRIES_MAX - 1)
    assert attempted(delivery).status == Delivery.Status.FAILED
    return delivery


def test_what_failed_since_goes_by_when_it_failed(
    private_api: Repository, receiver: Receiver
) -> None:
    """The ladder takes a day: what fails within an hour happened before it."""
    lately = failing(receiver, private_api, "status/500")
    hook = lately.webhook
    change_visibility(repository=private_api, visibility="private", actor=ANONYMOUS)
    earlier = of(hook)[1]
    with time_machine.travel(timezone.now() - timedelta(hours=2), tick=True):
        make_due(earlier)
        given_up(earlier)
    given_up(lately)
    Delivery.objects.filter(pk=lately.pk).update(
        created_at=timezone.now() - timedelta(days=1)
    )
    an_hour_ago = timezone.now() - timedelta(hours=1)
    assert redeliver_failed_since(webhook=hook, since=an_hour_ago) == 1
    lately.refresh_from_db()
    earlier.refresh_from_db()
    assert (lately.status, earlier.status) == ("waiting", "failed")


def test_a_secret_is_replaced_with_an_overlap(
    private_api: Repository, receiver: Receiver
) -> None:
    """H7."""
    hook, old = make.webhook(f"{receiver.url}/ok", repository=private_api)
    new = rotate_secret(webhook=hook, actor=ANONYMOUS)
    assert new != old
    attempted(send_test(webhook=hook))
    request = receiver.received[0]
    Verifier(old).verify(request.body, request.headers)
    Verifier(new).verify(request.body, request.headers)
    tomorrow = timezone.now() + timedelta(hours=25)
    assert Webhook.objects.get(pk=hook.pk).secrets_at(tomorrow) == [new]


def test_headers_are_sent_and_not_shown(
    private_api: Repository, receiver: Receiver
) -> None:
    hook, secret = make.webhook(
        f"{receiver.url}/ok/hidden-path",
        repository=private_api,
        headers={"Authorization": "Bearer hidden-value"},
    )
    delivery = attempted(send_test(webhook=hook))
    assert receiver.received[0].headers["authorization"] == "Bearer hidden-value"
    [attempt] = delivery.attempts.all()
    assert attempt.request_headers["Authorization"] == "(hidden)"
    rows = [
        *Webhook.objects.filter(pk=hook.pk).values(),
        *Delivery.objects.filter(webhook=hook).values(),
        *Attempt.objects.filter(delivery__webhook=hook).values(),
        *Event.objects.filter(repository=private_api).values(),
    ]
    kept = repr(rows)
    for hidden in ("hidden-value", "hidden-path", secret.removeprefix("whsec_")):
        assert hidden not in kept  # I14


def test_a_receiver_that_repeats_the_request_does_not_show_its_headers(
    private_api: Repository, receiver: Receiver
) -> None:
    hook, _ = make.webhook(
        f"{receiver.url}/echo",
        repository=private_api,
        headers={"Authorization": "Bearer hidden-value", "X-Key": "hidden-too"},
    )
    [attempt] = attempted(send_test(webhook=hook)).attempts.all()
    kept = f"{attempt.response_body} {attempt.response_headers}"
    assert "webhook-id" in kept.lower(), "it did repeat it"
    assert kept.count("(hidden)") == 4
    assert "hidden-value" not in kept
    assert "hidden-too" not in kept


def test_headers_do_not_follow_the_url_to_another_host(
    private_api: Repository, receiver: Receiver
) -> None:
    """Else whoever may change the URL could read them there."""
    hook, _ = make.webhook(
        f"{receiver.url}/ok", repository=private_api, headers={"X-Key": "hidden"}
    )
    same = change_webhook(webhook=hook, actor=ANONYMOUS, url=f"{receiver.url}/ok/2")
    assert same.headers == {"X-Key": "hidden"}
    elsewhere = "https://deploy.example.com/"
    for changes in ({}, {"headers": {"X-Key": None}}):
        with pytest.raises(WebhookInvalid) as refused:
            change_webhook(webhook=hook, actor=ANONYMOUS, url=elsewhere, **changes)
        assert refused.value.field == "headers"
    hook.refresh_from_db()
    assert hook.url == f"{receiver.url}/ok/2"
    given: dict[str, str]
    for given in ({"X-Key": "given anew"}, {}):
        moved = change_webhook(
            webhook=hook, actor=ANONYMOUS, url=elsewhere, headers=given
        )
        assert (moved.url, moved.headers) == (elsewhere, given)


def test_a_webhook_that_cannot_be_told_stops_no_other(
    alice: RegistryClient, private_api: Repository, receiver: Receiver
) -> None:
    url = f"{receiver.url}/ok"
    broken, _ = make.webhook(
        url, repository=private_api, format="custom", options={"template": '"x"'}
    )
    Webhook.objects.filter(pk=broken.pk).update(options={"template": "{"})
    sound, _ = make.webhook(url, repository=private_api)
    push(alice, private_api.full_name)
    [sent], [failed] = of(sound), of(broken)
    assert attempted(failed).problem == FailureReason.PAYLOAD
    assert "the template is not JSON" in failed.reason
    assert attempted(sent).status == Delivery.Status.DELIVERED


def test_a_listener_that_fails_stops_no_webhook(
    alice: RegistryClient, private_api: Repository, receiver: Receiver, caplog: Any
) -> None:
    """What it wrote is gone; a database that is away is tried again instead."""
    webhook, _ = make.webhook(f"{receiver.url}/ok", repository=private_api)
    errors: list[Exception] = [OperationalError("away"), KeyError("a bug")]

    def listen(*, events: list[Event], **signal: Any) -> None:
        Event.objects.filter(pk=events[0].pk).update(actor_name="half done")
        raise errors.pop(0)

    push(alice, private_api.full_name)
    event = Event.objects.filter(repository=private_api, kind="tag.pushed").latest("pk")
    events_relayed.connect(listen)
    try:
        with pytest.raises(OperationalError):
            relay_events(event_ids=[event.pk])
        assert not Delivery.objects.filter(webhook=webhook).exists()
        relay_events(event_ids=[event.pk])
    finally:
        events_relayed.disconnect(listen)
    assert Delivery.objects.filter(webhook=webhook).count() == 1
    event.refresh_from_db()
    assert event.is_relayed
    assert event.actor_name != "half done"
    assert "a bug" in caplog.text


def test_secrets_sealed_with_another_key_are_a_failure_in_words(
    private_api: Repository, receiver: Receiver, settings: Any
) -> None:
    hook, _ = make.webhook(f"{receiver.url}/ok", repository=private_api)
    before = settings.SECRET_KEY
    settings.SECRET_KEY = "another key, as long as a key has to be"
    delivery = attempted(send_test(webhook=hook))
    assert delivery.problem == FailureReason.SETTINGS
    assert "BERTH_SECRET_KEY" in delivery.reason
    settings.SECRET_KEY_FALLBACKS = [before]
    assert attempted(send_test(webhook=hook)).status == Delivery.Status.DELIVERED


def test_old_deliveries_are_forgotten_and_open_ones_are_not(
    private_api: Repository, receiver: Receiver, settings: Any
) -> None:
    settings.BERTH_WEBHOOK_RETENTION_DAYS = 10
    delivery = attempted(failing(receiver, private_api, "ok"))
    change_visibility(repository=private_api, visibility="private", actor=ANONYMOUS)
    still_open = of(delivery.webhook)[1]
    new = send_test(webhook=delivery.webhook)
    long_ago = timezone.now() - timedelta(days=11)
    Delivery.objects.filter(pk__in=[delivery.pk, still_open.pk]).update(
        created_at=long_ago
    )
    expire_deliveries()
    left = set(Delivery.objects.filter(webhook=delivery.webhook))
    assert left == {still_open, new}
