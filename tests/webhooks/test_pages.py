"""The pages of webhooks: who gets which, what they change, and what they never show."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from accounts.models import User
from repositories.models import Event, Repository
from tests import make
from tests.conftest import Cast
from tests.pages import PageClient, title_of
from tests.servers import BerthServer
from webhooks.models import Attempt, Delivery, Webhook

URL = "https://deploy.example.com/hooks/1"
TOKEN = "Bearer a-value-that-nobody-sees"
CANARY = '<script id="canary">alert(1)</script>'


@pytest.fixture
def owner(registry: BerthServer, cast: Cast) -> Iterator[PageClient]:
    with PageClient(registry.url, cast.alice) as client:
        yield client


@pytest.fixture
def hook(private_api: Repository) -> tuple[Webhook, str]:
    return make.webhook(
        URL, repository=private_api, name="Deploy", headers={"Authorization": TOKEN}
    )


def path_of(webhook: Webhook) -> str:
    place = webhook.repository or webhook.namespace
    name = place.full_name if isinstance(place, Repository) else str(place)
    return f"/{name}/-/webhooks/{webhook.pk}"


def fields(**more: Any) -> dict[str, Any]:
    return {"url": URL, "events": ["push"], "format": "native", **more}


def delivery_of(webhook: Webhook, status: str = "failed", **more: Any) -> Delivery:
    """Make a delivery with one attempt that has this answer."""
    now = timezone.now()
    delivery = Delivery.objects.create(
        webhook=webhook,
        event="push",
        kind="tag.pushed",
        repository=webhook.repository,
        tag="v1",
        content_type="application/json",
        body='{"a": 1}',
        status=status,
        due_at=now,
        attempt_count=1,
        problem="status" if status == "failed" else "",
        finished_at=now if status in ("failed", "delivered") else None,
    )
    Attempt.objects.create(
        delivery=delivery,
        number=1,
        started_at=now,
        ended_at=now,
        took_milliseconds=12,
        status_code=503 if status == "failed" else 204,
        problem=delivery.problem,
        reason="the receiver answered 503" if status == "failed" else "",
        **more,
    )
    return delivery


def secrets_in(page: httpx.Response) -> set[str]:
    return set(re.findall(r"whsec_[A-Za-z0-9+/=]{20,}", page.text))


WHO = [("alice", 200), ("bob", 403), ("carol", 403), ("dave", 404), (None, 404)]


@pytest.mark.parametrize(("who", "status"), WHO)
def test_pages_of_a_repository_are_for_those_who_may_hook(
    registry: BerthServer,
    cast: Cast,
    hook: tuple[Webhook, str],
    who: str | None,
    status: int,
) -> None:
    person: User | None = getattr(cast, who) if who else None
    page = path_of(hook[0])
    delivery = delivery_of(hook[0])
    with PageClient(registry.url, person) as client:
        for path in (page.rpartition("/")[0], page, f"{page}/delete"):
            assert client.get(path).status_code == status, path
        for action in (
            *("", "/secret", "/active", "/delete", "/test", "/redeliver"),
            f"/deliveries/{delivery.uuid}/redeliver",
        ):
            refused = client.http.post(f"{page}{action}")
            assert refused.status_code == 403, "without a CSRF token"
        if status == 403:
            assert "hook: refused" in client.get(page).text, "the reason"
    assert Webhook.objects.filter(pk=hook[0].pk).exists()


def test_pages_of_a_namespace_are_for_those_who_administer_it(
    registry: BerthServer, cast: Cast
) -> None:
    webhook, _secret = make.webhook(URL, namespace=cast.acme.namespace)
    path = f"/{cast.acme.namespace.name}/-/webhooks/{webhook.pk}"
    for person, status in ((cast.alice, 200), (cast.bob, 403), (cast.dave, 403)):
        with PageClient(registry.url, person) as client:
            assert client.get(path).status_code == status
            assert client.get(path.rpartition("/")[0]).status_code == status
    with PageClient(registry.url) as nobody:
        assert nobody.get(path).status_code == 302


def test_pages_of_the_site_are_for_its_administrators(
    registry: BerthServer, cast: Cast
) -> None:
    root = make.user("root", is_superuser=True, is_staff=True)
    with PageClient(registry.url, root) as roots:
        assert "Site webhooks" in roots.get("/-/admin/site/").text
        assert roots.get("/-/webhooks").status_code == 200
        made = roots.post("/-/webhooks", fields(name="Everything"))
        assert len(secrets_in(made)) == 1
        webhook = Webhook.objects.get(namespace=None, name="Everything")
        try:
            path = f"/-/webhooks/{webhook.pk}"
            page = roots.get(path)
            assert title_of(page).startswith(registry.url.partition("://")[2])
            assert roots.post(path, fields(name="All")).headers["Location"] == path
            sent = roots.post(f"{path}/test", page=page)
            assert sent.headers["Location"].startswith(f"{path}?delivery=")
            assert roots.get(sent.headers["Location"]).status_code == 200
            for person in (cast.alice, cast.dave):
                with PageClient(registry.url, person) as client:
                    for refused in ("/-/webhooks", path, f"{path}/delete"):
                        assert client.get(refused).status_code == 403
            with PageClient(registry.url) as nobody:
                assert nobody.get(path).status_code == 302
            assert roots.get(f"{path}/delete").status_code == 200
            roots.post(f"{path}/delete")
            assert not Webhook.objects.filter(pk=webhook.pk).exists()
        finally:
            Webhook.objects.filter(pk=webhook.pk).delete()


def test_a_webhook_of_another_place_is_absent(
    owner: PageClient, hook: tuple[Webhook, str], public_api: Repository
) -> None:
    other = f"/{public_api.full_name}/-/webhooks/{hook[0].pk}"
    for path in (other, f"{other}/delete"):
        assert owner.get(path).status_code == 404


def test_a_webhook_is_made_and_its_secret_shown_once(
    owner: PageClient, private_api: Repository
) -> None:
    path = f"/{private_api.full_name}/-/webhooks"
    assert "No webhooks yet" in owner.get(path).text
    done = owner.post(
        path,
        fields(
            name="Live",
            tag_glob="v*",
            format="dockerhub-with-host",
            headers=f"Authorization: {TOKEN}",
            serial="first",
        ),
    )
    assert done.status_code == 200
    reloaded = owner.post(path, fields(serial="first"))
    assert reloaded.headers["Location"] == path
    assert "no-store" in done.headers["Cache-Control"]
    assert len(secrets_in(done)) == 1
    webhook = Webhook.objects.get(repository=private_api)
    assert (webhook.name, webhook.tag_glob, webhook.url) == ("Live", "v*", URL)
    assert (webhook.format, webhook.options) == ("dockerhub", {"with_host": True})
    assert webhook.headers == {"Authorization": TOKEN}
    for page in (owner.get(path), owner.get(path_of(webhook))):
        assert not secrets_in(page)
        assert TOKEN not in page.text
    assert 'value="dockerhub-with-host" selected' in page.text


def test_saving_keeps_the_secret_and_the_headers_that_are_named(
    owner: PageClient, hook: tuple[Webhook, str]
) -> None:
    webhook, secret = hook
    changed = fields(name="Other", headers="Authorization", events=["push", "delete"])
    assert owner.post(path_of(webhook), changed).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.name, webhook.events) == ("Other", ["push", "delete"])
    assert webhook.headers == {"Authorization": TOKEN}
    assert webhook.secrets_at(timezone.now()) == [secret]
    assert owner.post(path_of(webhook), fields()).status_code == 302
    webhook.refresh_from_db()
    assert webhook.headers == {}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"url": "ftp://x"}, "Not a URL"),
        ({"events": []}, "required"),
        ({"events": ["delete"], "format": "quay"}, "no words for"),
        ({"format": "custom", "template": "{"}, "not JSON"),
        ({"secret": "short"}, "whsec_"),
        ({"headers": "Host: x"}, "Berth&#x27;s to set"),
    ],
)
def test_a_wrong_setting_is_explained_and_nothing_typed_in_secret_comes_back(
    owner: PageClient, hook: tuple[Webhook, str], wrong: dict[str, Any], text: str
) -> None:
    typed = fields(headers=f"X-Key: {TOKEN}", secret="whsec_" + "QUJD" * 10) | wrong
    path = path_of(hook[0])
    for target in (path, path.rpartition("/")[0]):
        answer = owner.post(target, typed)
        assert answer.status_code == 422
        assert text in answer.text
        assert title_of(answer).startswith("Error:")
        assert TOKEN not in answer.text
        assert "QUJD" not in answer.text


def test_a_new_secret_is_shown_once_and_the_former_signs_on(
    owner: PageClient, hook: tuple[Webhook, str]
) -> None:
    webhook, former = hook
    path = path_of(webhook)
    page = owner.get(path)
    assert page.text.count('name="serial"') == 2  # to save, and for a new secret
    done = owner.post(f"{path}/secret", {"serial": "first"}, page)
    [fresh] = secrets_in(done)
    reloaded = owner.post(f"{path}/secret", {"serial": "first"}, page)
    assert reloaded.headers["Location"] == path
    webhook.refresh_from_db()
    assert webhook.secrets_at(timezone.now()) == [fresh, former]
    assert not secrets_in(owner.get(path))


def test_it_is_paused_switched_on_and_deleted_after_a_question(
    owner: PageClient, hook: tuple[Webhook, str]
) -> None:
    webhook, path = hook[0], path_of(hook[0])
    for active in ("0", "1"):
        owner.post(f"{path}/active", {"active": active}, owner.get(path))
        webhook.refresh_from_db()
        assert webhook.is_active is (active == "1")
    assert owner.post(f"{path}/delete").headers["Location"] == path.rpartition("/")[0]
    assert owner.get(path).status_code == 404


def test_a_test_is_sent_and_what_is_sent_again_waits(
    owner: PageClient, hook: tuple[Webhook, str]
) -> None:
    webhook, path = hook[0], path_of(hook[0])
    one, two = delivery_of(webhook), delivery_of(webhook)
    old = delivery_of(webhook)
    Delivery.objects.filter(pk=old.pk).update(
        finished_at=timezone.now() - timedelta(days=2)
    )
    sent = owner.post(f"{path}/test", page=owner.get(path))
    test = Delivery.objects.get(webhook=webhook, is_test=True)
    assert sent.headers["Location"] == f"{path}?delivery={test.uuid}#delivery"
    opened = owner.get(f"{path}?delivery={one.uuid}")
    assert "The receiver answered 503." in opened.text
    owner.post(f"{path}/deliveries/{one.uuid}/redeliver", page=opened)
    owner.post(f"{path}/redeliver", {"hours": "24"}, opened)
    for delivery in (one, two, old):
        delivery.refresh_from_db()
    assert [one.is_open, two.is_open, old.is_open] == [True, True, False]


def test_a_preview_shows_the_last_event_and_keeps_nothing(
    owner: PageClient, hook: tuple[Webhook, str]
) -> None:
    path = path_of(hook[0])
    template = '{"mine": "{{ repository }}"}'
    typed = fields(format="custom", template=template, preview="1")
    shown = owner.post(path, typed)
    assert shown.status_code == 200
    assert hook[0].repository is not None
    assert f"mine&quot;: &quot;{hook[0].repository.full_name}" in shown.text
    assert Webhook.objects.get(pk=hook[0].pk).format == "native"
    assert owner.post(path, typed | {"template": "{"}).status_code == 422


def test_what_a_receiver_answers_is_text(
    owner: PageClient, hook: tuple[Webhook, str]
) -> None:
    delivery = delivery_of(
        hook[0], response_body=CANARY, response_headers={"X-A": CANARY}
    )
    page = owner.get(f"{path_of(hook[0])}?delivery={delivery.uuid}")
    assert CANARY not in page.text
    assert page.text.count("&lt;script id=") == 2


def test_an_address_of_no_delivery_is_absent(
    owner: PageClient, hook: tuple[Webhook, str]
) -> None:
    for wrong in ("x", "00000000-0000-4000-8000-000000000000"):
        page = owner.get(f"{path_of(hook[0])}?delivery={wrong}")
        assert page.status_code == 404


@pytest.mark.parametrize("count", [10, 20])
def test_the_pages_need_few_queries(
    client: Any,
    cast: Cast,
    private_api: Repository,
    django_assert_max_num_queries: Any,
    count: int,
) -> None:
    for _ in range(count):
        webhook, _secret = make.webhook(URL, repository=private_api)
    for _ in range(count):
        opened = delivery_of(webhook)
    client.force_login(cast.alice)
    path = path_of(webhook)
    for shown in (path.rpartition("/")[0], f"{path}?delivery={opened.uuid}"):
        # One of them only where the bell may have something to count.
        with django_assert_max_num_queries(14):
            assert client.get(shown).status_code == 200


def test_what_waits_for_the_worker_is_called_delayed(
    owner: PageClient, hook: tuple[Webhook, str]
) -> None:
    """P7: what is not relayed yet counts as well as what is overdue."""
    webhook, path = hook[0], path_of(hook[0])
    long_ago = timezone.now() - timedelta(minutes=4)
    delivery = delivery_of(webhook, "waiting")
    assert "delayed" not in owner.get(path).text
    Delivery.objects.filter(pk=delivery.pk).update(due_at=long_ago)
    page = owner.get(path).text
    assert "1 delivery is delayed" in page
    assert "Delayed</span>" in page
    assert webhook.repository is not None
    for kind, tag in (("tag.pushed", "v1"), ("tag.deleted", "v1")):
        Event.objects.create(
            kind=kind,
            repository=webhook.repository,
            namespace=webhook.repository.namespace,
            repository_name=webhook.repository.full_name,
            detail={"tag": tag},
        )
    made = Event.objects.filter(repository=webhook.repository, detail__tag="v1")
    made.update(at=long_ago)
    assert "2 deliveries are delayed" in owner.get(path).text, "it asked for pushes"
    made.update(is_relayed=True)


@pytest.mark.parametrize(
    ("sent", "word"),
    [
        ([], "Nothing sent yet"),
        (["test failed"], "Only tests so far"),
        (["test delivered"], "Only tests so far"),
        (["waiting"], "Sending"),
        (["failed"], "Failing"),
        (["delivered"], "Working"),
        (["failed", "delivered"], "Working"),
        (["delivered", "failed"], "Failing"),
        (["failed", "test delivered"], "Failing"),
        (["delivered", "test failed"], "Working"),
    ],
)
def test_the_badge_agrees_with_what_was_sent(
    owner: PageClient, private_api: Repository, sent: list[str], word: str
) -> None:
    """In the header and in the list, before the webhook's own columns know (F13)."""
    webhook, _ = make.webhook(URL, repository=private_api, name="Deploy")
    for what in sent:
        delivery = delivery_of(webhook, what.removeprefix("test "))
        delivery.is_test = what.startswith("test ")
        delivery.save()
    path = path_of(webhook)
    header = owner.get(path).text.partition('id="webhook-badge"')[2].partition("h1")[0]
    listed = owner.get(path.rpartition("/")[0]).text.partition("Deploy</a>")[2]
    for shown in (header, listed):
        badge = shown.partition('<span class="badge')[2].partition("</span>\n")[0]
        words = re.sub(r"<[^>]*>", "", badge.partition(">")[2]).split()
        assert " ".join(words) == word, (path, shown[:400])
