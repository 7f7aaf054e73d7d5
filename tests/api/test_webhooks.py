"""Webhooks through the API: what is shown, what is not, and what is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actors import ANONYMOUS
from repositories.events.outbox import relay_events
from repositories.models import Event, Repository
from tests import images, make
from tests.api.conftest import ApiClient
from tests.conftest import Cast
from tests.registry_client import RegistryClient
from webhooks.callbacks import callback_url
from webhooks.models import Attempt, Delivery, Report, Webhook
from webhooks.registration import delete_webhook
from webhooks.rendering import render_delivery
from webhooks.reports import latest_reports

URL = "https://deploy.example.com/hooks/very-secret"
Api = Callable[[str], ApiClient]


def hooks_of(repository: Repository) -> str:
    return f"/repositories/{repository.full_name}/webhooks"


def make_hook(api: ApiClient, path: str, **body: Any) -> Any:
    answer = api.post(path, {"url": URL, "events": ["push"], **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_secret_is_answered_once(api_of: Api, private_api: Repository) -> None:
    alice = api_of("alice")
    path = hooks_of(private_api)
    made = make_hook(alice, path, headers={"Authorization": "Bearer hidden"})
    assert made["secret"].startswith("whsec_")
    shown = alice.get(f"{path}/{made['id']}").json()
    assert "secret" not in shown
    assert shown["url"] == URL
    assert shown["headers"] == {"Authorization": None}
    [listed] = alice.everything(path)
    assert listed == shown
    everything = json.dumps([shown, alice.everything(path)])
    assert "hidden" not in everything


def test_a_secret_of_ones_own_is_kept(api_of: Api, private_api: Repository) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    made = make_hook(api_of("alice"), hooks_of(private_api), secret=secret)
    assert made["secret"] == secret
    assert secret not in Webhook.objects.get(pk=made["id"]).sealed_secret


def test_a_webhook_is_changed_and_deleted(api_of: Api, private_api: Repository) -> None:
    alice = api_of("alice")
    made = make_hook(
        alice, hooks_of(private_api), headers={"Authorization": "kept", "X-A": "old"}
    )
    path = f"{hooks_of(private_api)}/{made['id']}"
    changed = alice.patch(
        path,
        {
            "url": "https://deploy.example.com/other",
            "events": ["delete", "push"],
            "tags": "v*",
            "name": "staging",
            "active": False,
            "headers": {"Authorization": None, "X-B": "new"},
        },
    ).json()
    assert changed["url"] == "https://deploy.example.com/other"
    assert changed["events"] == ["push", "delete"]
    assert (changed["tags"], changed["name"]) == ("v*", "staging")
    assert changed["active"] is False
    row = Webhook.objects.get(pk=made["id"])
    assert row.headers == {"Authorization": "kept", "X-B": "new"}
    refused = alice.patch(path, {"url": "https://elsewhere.example.com/"})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "headers", "they do not follow it"
    rotated = alice.patch(path, {"rotate_secret": True}).json()
    assert rotated["secret"] not in {made["secret"], None}
    assert alice.delete(path).status_code == 204
    assert alice.get(path).status_code == 404
    kinds = Event.objects.filter(repository=private_api, kind__startswith="webhook.")
    assert list(kinds.order_by("pk").values_list("kind", flat=True)) == [
        "webhook.created",
        "webhook.changed",
        "webhook.changed",
        "webhook.deleted",
    ]
    audit = json.dumps(list(kinds.values_list("detail", flat=True)))
    assert "very-secret" not in audit
    assert "whsec" not in audit


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "ftp://example.com", "events": ["push"]}, "url"),
        ({"url": "https://a:b@example.com", "events": ["push"]}, "url"),
        ({"url": URL, "events": []}, "events"),
        ({"url": URL, "events": ["explode"]}, "events.0"),
        ({"url": URL, "events": ["delete"], "format": "quay"}, "events"),
        ({"url": URL, "events": ["push"], "format": "morse"}, "format"),
        ({"url": URL, "events": ["push"], "secret": "short"}, "secret"),
        ({"url": URL, "events": ["push"], "headers": {"Host": "x"}}, "headers"),
        ({"url": URL, "events": ["push"], "headers": {"A": "b\r\nC: d"}}, "headers"),
        ({"url": URL, "events": ["push"], "headers": {"A": None}}, "headers"),
        ({"url": URL, "events": ["push"], "options": {"x": 1}}, "options"),
        ({"url": URL, "events": ["push"], "format": "custom"}, "options"),
        (
            {
                "url": URL,
                "events": ["push"],
                "format": "custom",
                "options": {"template": "{{ tag }}"},
            },
            "options",
        ),
        (
            {
                "url": URL,
                "events": ["push"],
                "format": "dockerhub",
                "options": {"with_host": 1},
            },
            "options",
        ),
        (
            {
                "url": URL,
                "events": ["push"],
                "format": "distribution",
                "options": {"version": 3},
            },
            "options",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_by_field(
    api_of: Api, private_api: Repository, body: Any, field: str
) -> None:
    answer = api_of("alice").post(hooks_of(private_api), body)
    assert answer.status_code == 400
    fields = {error["field"].split(".")[0] for error in answer.json()["errors"]}
    assert field.split(".")[0] in fields, answer.text


def test_webhooks_of_an_organization_a_person_and_the_site(
    api_of: Api, cast: Cast
) -> None:
    root = make.user("root", is_superuser=True)
    administrator = api_of(make.access_token(root))
    places = {
        f"/organizations/{cast.acme.namespace.name}/webhooks": api_of("alice"),
        f"/organizations/{cast.dave.namespace.name}/webhooks": api_of("dave"),
        "/webhooks": administrator,
    }
    ids = {path: make_hook(who, path)["id"] for path, who in places.items()}
    for path, who in places.items():
        assert who.get(f"{path}/{ids[path]}").status_code == 200
        others = [pk for other, pk in ids.items() if other != path]
        for pk in others:  # one place's id opens nothing in another
            assert who.get(f"{path}/{pk}").status_code == 404
        assert who.delete(f"{path}/{ids[path]}").status_code == 204


def test_deliveries_show_what_was_sent_and_what_came_back(
    api_of: Api, private_api: Repository, alice: RegistryClient, bob: RegistryClient
) -> None:
    client = api_of("alice")
    path = hooks_of(private_api)
    made = make_hook(client, path)
    alice.push(f"{private_api.full_name}:v1", images.image())
    while relay_events():
        pass
    row = Delivery.objects.get(webhook=made["id"])
    Attempt.objects.create(
        delivery=row,
        number=1,
        started_at=row.created_at,
        status_code=503,
        response_body="sorry",
        problem="status",
        reason="the receiver answered 503",
    )
    Delivery.objects.filter(pk=row.pk).update(status="failed", attempt_count=1)
    [listed] = client.everything(f"{path}/{made['id']}/deliveries")
    assert listed["event"] == "push"
    assert (listed["tag"], listed["status"], listed["attempts"]) == ("v1", "failed", 1)
    whole = client.get(f"{path}/{made['id']}/deliveries/{listed['id']}").json()
    assert json.loads(whole["request"]["body"])["data"]["tag"] == "v1"
    assert whole["log"][0]["response_body"] == "sorry"
    again = client.post(f"{path}/{made['id']}/deliveries/{listed['id']}/redeliver")
    assert again.status_code == 202
    assert again.json()["status"] == "waiting"
    Delivery.objects.filter(pk=row.pk).update(
        status="failed", finished_at=timezone.now()
    )
    since = {"since": "2020-01-01T00:00:00Z"}
    replay = client.post(f"{path}/{made['id']}/redeliver", since)
    assert replay.json() == {"count": 1}
    client.patch(f"{path}/{made['id']}", {"active": False})
    assert client.post(f"{path}/{made['id']}/redeliver", since).status_code == 409
    waiting = client.everything(f"{path}/{made['id']}/deliveries?status=delivered")
    assert waiting == []
    assert api_of("bob").get(f"{path}/{made['id']}/deliveries").status_code == 403


def test_a_preview_shows_the_last_event(
    api_of: Api, private_api: Repository, alice: RegistryClient
) -> None:
    alice.push(f"{private_api.full_name}:v9", images.image())
    preview = api_of("alice").post(
        f"{hooks_of(private_api)}/preview",
        {
            "format": "custom",
            "events": ["push"],
            "options": {"template": '{"text": "{{ reference }}"}'},
        },
    )
    assert preview.status_code == 200
    body = json.loads(preview.json()["body"])
    assert body["text"].endswith(f"/{private_api.full_name}:v9")


def test_lists_cost_the_same_however_long(
    api_of: Api, private_api: Repository, cast: Cast
) -> None:
    from django.test import Client

    token = make.access_token(cast.alice)  # the use of the cast's is noted at times
    client = Client(headers={"Authorization": f"Bearer {token}"})
    client.get("/api/v1/user")  # the first use is noted
    hook, _ = make.webhook(URL, repository=private_api)
    counts: dict[str, set[int]] = {}
    for _ in range(2):
        for number in range(10):
            make.webhook(f"{URL}/{number}", repository=private_api)
            Delivery.objects.create(
                webhook=hook, event="push", kind="tag.pushed", body="{}",
                due_at=hook.created_at, status="failed",
            )  # fmt: skip
        for path in (
            hooks_of(private_api),
            f"{hooks_of(private_api)}/{hook.pk}/deliveries",
        ):
            with CaptureQueriesContext(
                connection,
            ) as queries:
                answer = client.get(f"/api/v1{path}")
            assert answer.status_code == 200
            assert len(answer.json()["results"]) >= 10
            counts.setdefault(path, set()).add(len(queries))
    assert all(len(numbers) == 1 for numbers in counts.values()), counts


def test_there_is_an_end_to_webhooks(
    api_of: Api, private_api: Repository, monkeypatch: Any
) -> None:
    for _ in range(50):
        make.webhook(URL, repository=private_api)
    answer = api_of("alice").post(
        hooks_of(private_api), {"url": URL, "events": ["push"]}
    )
    assert answer.status_code == 409


# --- what receivers report


@pytest.fixture
def told(private_api: Repository, alice: RegistryClient) -> Delivery:
    hook, _ = make.webhook(URL, repository=private_api, format="dockerhub")
    alice.push(f"{private_api.full_name}:v1", images.image())
    while relay_events():
        pass
    return Delivery.objects.get(webhook=hook)


def test_a_receiver_reports_what_it_made_of_an_image(
    api_of: Api, told: Delivery, private_api: Repository
) -> None:
    url = json.loads(render_delivery(told))["callback_url"]
    assert url == callback_url(told.uuid)
    path = url.partition("/api/v1")[2]
    nobody = api_of("anonymous")
    body = {
        "state": "success",
        "description": "deployed by Jenkins #42",
        "context": "staging",
        "target_url": "https://ci.example.com/42",
    }
    assert nobody.post(path, body).status_code == 201
    assert nobody.post(path, {**body, "state": "failure"}).status_code == 201
    reports = latest_reports(private_api, {"v1": told.digest, "v2": "sha256:0"})
    [report] = reports["v1"]
    assert (report.state, report.description) == ("failure", "deployed by Jenkins #42")
    assert reports["v2"] == []
    assert latest_reports(private_api, {"v1": "sha256:other"})["v1"] == []


def test_a_report_needs_no_content_type(api_of: Api, told: Delivery) -> None:
    """Jenkins sends JSON as text."""
    client = api_of("anonymous")
    answer = client.http.post(
        f"{client.url}/api/v1{callback_url(told.uuid).partition('/api/v1')[2]}",
        content=b'{"state": "success"}',
        headers={"Content-Type": "text/plain"},
    )
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state": "great"},
        {"state": "success", "target_url": "javascript:alert(1)"},
        {"state": "success", "target_url": "https://"},
        "text",
    ],
)
def test_a_report_that_is_none_is_refused(
    api_of: Api, told: Delivery, body: Any
) -> None:
    path = callback_url(told.uuid).partition("/api/v1")[2]
    assert api_of("anonymous").post(path, body).status_code == 400
    assert not Report.objects.filter(delivery=told).exists()


def test_a_report_that_is_too_long_is_refused(api_of: Api, told: Delivery) -> None:
    path = callback_url(told.uuid).partition("/api/v1")[2]
    report = {"state": "success", "description": "x" * 70_000}
    assert api_of("anonymous").post(path, report).status_code == 413
    assert not Report.objects.filter(delivery=told).exists()


def test_a_callback_cannot_be_guessed(api_of: Api, told: Delivery) -> None:
    nobody = api_of("anonymous")
    real = callback_url(told.uuid).rpartition("/")[2]
    for token in (told.uuid.hex, str(told.uuid), f"{told.uuid.hex}.x", real[:-1], "x"):
        answer = nobody.post(f"/callbacks/{token}", {"state": "success"})
        assert answer.status_code == 404


def test_a_deleted_webhook_takes_its_log_with_it(told: Delivery) -> None:
    delete_webhook(webhook=told.webhook, actor=ANONYMOUS)
    assert not Delivery.objects.filter(pk=told.pk).exists()
