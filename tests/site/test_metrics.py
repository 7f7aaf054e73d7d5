"""What Prometheus reads, and who else may."""

import math
from datetime import timedelta

import httpx
import pytest
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from accounts.models import User
from registry_site.heartbeats import record_heartbeat
from registry_site.models import Heartbeat
from repositories.models import Repository
from tests import make
from tests.conftest import Cast
from tests.servers import BerthServer


def read(registry: BerthServer, secret: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return httpx.get(f"{registry.url}/metrics", headers=headers, timeout=60)


@pytest.fixture
def administrator(registry: BerthServer) -> User:
    return make.user("root", is_superuser=True)


def samples_of(answer: httpx.Response) -> dict[tuple[str, ...], float]:
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_an_administrators_token_reads_what_there_is(
    registry: BerthServer, administrator: User, private_api: Repository
) -> None:
    samples = samples_of(read(registry, make.access_token(administrator)))
    assert samples["berth_users",] == User.objects.filter(is_active=True).count()
    private = Repository.objects.filter(visibility="private", deleted_at=None)
    assert samples["berth_repositories", "private"] == private.count()
    assert ("berth_blob_bytes",) in samples
    assert any(name == "berth_queue_messages" for name, *_ in samples)


def test_they_say_how_long_ago_worker_and_scheduler_were_heard_of(
    registry: BerthServer, administrator: User
) -> None:
    secret = make.access_token(administrator)
    Heartbeat.objects.all().delete()
    try:
        record_heartbeat(["deliveries", "scheduler"])
        record_heartbeat(["deliveries"])  # a second worker of the same queue
        Heartbeat.objects.filter(name="scheduler").update(
            heard_at=timezone.now() - timedelta(minutes=4)
        )
        samples = samples_of(read(registry, secret))
        assert samples["berth_worker_last_heartbeat_age_seconds", "deliveries"] < 60
        assert samples["berth_worker_last_heartbeat_age_seconds", "upkeep"] == math.inf
        assert 240 <= samples["berth_scheduler_last_heartbeat_age_seconds",] < 300
        assert samples["berth_webhook_wait_seconds",] >= 0
    finally:
        Heartbeat.objects.all().delete()


@pytest.mark.parametrize("secret", ["", "nonsense", "berth_pat_nonsense"])
def test_strangers_are_asked_to_sign_in(registry: BerthServer, secret: str) -> None:
    answer = read(registry, secret)
    assert answer.status_code == 401
    assert "berth_users" not in answer.text


def test_neither_a_member_nor_a_narrowed_token_reads_them(
    registry: BerthServer, cast: Cast, administrator: User
) -> None:
    assert read(registry, cast.secrets[cast.alice.username]).status_code == 401
    narrowed = make.access_token(administrator, "read")
    assert read(registry, narrowed).status_code == 401


def test_the_token_of_the_settings_reads_them(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    secret = "a-token-for-the-scraper"
    server = BerthServer(
        data_folder=tmp_path_factory.mktemp("metrics"), BERTH_METRICS_TOKEN=secret
    )
    server.manage("prepare")
    with server:
        assert read(server, secret).status_code == 200
        assert read(server, secret + "x").status_code == 401
