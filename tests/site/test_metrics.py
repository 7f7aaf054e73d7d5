"""What Prometheus reads, and who else may."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from accounts.models import User
from repositories.models import Repository
from tests import make
from tests.conftest import Cast
from tests.servers import BerthServer


def read(registry: BerthServer, secret: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return httpx.get(f"{registry.url}/metrics", headers=headers)


@pytest.fixture
def administrator(registry: BerthServer) -> User:
    return make.user("root", is_superuser=True)


def test_an_administrators_token_reads_what_there_is(
    registry: BerthServer, administrator: User, private_api: Repository
) -> None:
    answer = read(registry, make.access_token(administrator))
    assert answer.status_code == 200
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["berth_users",] == User.objects.filter(is_active=True).count()
    private = Repository.objects.filter(visibility="private", deleted_at=None)
    assert samples["berth_repositories", "private"] == private.count()
    assert ("berth_blob_bytes",) in samples
    assert any(name == "berth_queue_messages" for name, *_ in samples)


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
