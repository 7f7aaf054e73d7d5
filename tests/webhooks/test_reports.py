"""What receivers report is shown beside the tag, to those who may push there."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from repositories.events.outbox import relay_events
from repositories.models import Repository
from tests import images, make
from tests.conftest import Cast
from tests.pages import PageClient
from tests.registry_client import RegistryClient
from tests.servers import BerthServer
from webhooks.delivery.sweep import expire_deliveries
from webhooks.models import Delivery, Report
from webhooks.reports import latest_reports, record_report

URL = "https://jenkins.example.com/dockerhub-webhook/key/notify"
CANARY = "<b>bold</b>"


@pytest.fixture
def told(private_api: Repository, alice: RegistryClient) -> Delivery:
    hook, _ = make.webhook(URL, repository=private_api, format="dockerhub")
    alice.push(f"{private_api.full_name}:v1", images.image())
    while relay_events():
        pass
    return Delivery.objects.get(webhook=hook)


@pytest.fixture
def owner(registry: BerthServer, cast: Cast) -> Iterator[PageClient]:
    with PageClient(registry.url, cast.alice) as client:
        yield client


def report(delivery: Delivery, text: str, **more: Any) -> Report:
    return record_report(
        delivery=delivery, description=text, **{"state": "success", **more}
    )


def test_deployed_by_jenkins_stands_beside_the_tag(
    registry: BerthServer,
    cast: Cast,
    owner: PageClient,
    private_api: Repository,
    told: Delivery,
    alice: RegistryClient,
) -> None:
    link = "https://ci.example.com/42"
    report(told, "deployed by Jenkins #42", context="staging", target_url=link)
    report(told, f"broke {CANARY}", context="live", state="failure")
    pages = (
        f"/{private_api.full_name}/-/tags",
        f"/{private_api.full_name}:v1",
    )
    for path in pages:
        page = owner.get(path).text
        assert f'<a class="link" href="{link}" rel="nofollow noopener ugc">' in page
        assert "deployed by Jenkins #42" in page
        assert "staging" in page
        assert "Failed:" in page, "not by colour alone"
        assert CANARY not in page
        with PageClient(registry.url, cast.carol) as reader:
            seen = reader.get(path)
            assert seen.status_code == 200
            assert "Jenkins" not in seen.text, "what runs where is not for all"
    alice.push(f"{private_api.full_name}:v1", images.image())
    for path in pages:
        assert "Jenkins" not in owner.get(path).text, "the tag is another image now"


def test_of_each_context_the_last_word_is_shown(
    private_api: Repository, told: Delivery
) -> None:
    again = Delivery.objects.get(pk=told.pk)
    again.pk, again.uuid, again.recorded = None, uuid4(), None
    again.save(force_insert=True)
    report(told, "deployed by Jenkins #42", context="staging")
    report(again, "deployed by Jenkins #43", context="staging")
    found = latest_reports(private_api, {"v1": told.digest})["v1"]
    assert [one.description for one in found] == ["deployed by Jenkins #43"]


def test_old_reports_go_unless_their_image_is_still_there(
    private_api: Repository, told: Delivery, alice: RegistryClient
) -> None:
    report(told, "deployed by Jenkins #42")
    long_ago = timezone.now() - timedelta(days=400)
    reports = Report.objects.filter(repository=private_api)
    reports.update(at=long_ago)
    Delivery.objects.filter(pk=told.pk).update(created_at=long_ago, status="delivered")
    expire_deliveries()
    assert not Delivery.objects.filter(pk=told.pk).exists()
    assert reports.count() == 1
    alice.push(f"{private_api.full_name}:v1", images.image())
    expire_deliveries()
    assert reports.count() == 0
