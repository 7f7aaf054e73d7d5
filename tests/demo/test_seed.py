"""`manage.py seed_demo`: what it makes can be looked at, searched and pulled."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients.command import Command
from tests.pages import check_html
from tests.programs import find_program
from tests.registry_client import RegistryClient
from tests.servers import BerthServer, Process

pytestmark = pytest.mark.own_database

PASSWORD = "a password of the demo"


CREATE = (
    "from accounts.actors import SYSTEM; "
    "from accounts.users import create_user; "
    "create_user(username='{}', password=None, actor=SYSTEM)"
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BerthServer]:
    """A site of its own with the demo beside the account of a person, seeded twice."""
    server = BerthServer(
        data_folder=tmp_path_factory.mktemp("demo"), BERTH_ADMIN_PASSWORD=PASSWORD
    )
    server.manage("prepare")
    server.manage("shell", "-c", CREATE.format("somebody"))
    first = server.manage("seed_demo", "--beside-others", "--password", PASSWORD)
    assert "made library/java" in first
    assert "made acme/api" in first
    again = server.manage("seed_demo", "--beside-others")
    assert again.strip() == "everything of the demo is there"
    with server:
        yield server


def test_everything_of_the_demo_is_in_order(demo: BerthServer) -> None:
    assert "0 problems" in demo.manage("fsck_registry", "--deep")


def test_the_first_page_is_alive(demo: BerthServer) -> None:
    page = httpx.get(demo.url, timeout=60)
    check_html(page)
    for word in (
        "Programming languages",
        "Official images",
        'href="/library/java">java</a>',
        "Trending this week",
        "spark-line",
        "Recently updated",
        "pushed by",
    ):
        assert word in page.text, word
    assert "acme/api" not in page.text


def test_the_demo_is_found_by_its_properties(demo: BerthServer) -> None:
    def found(query: str) -> list[str]:
        answer = httpx.get(
            f"{demo.url}/api/v1/search", params={"q": query}, timeout=60
        ).json()
        return [repository["full_name"] for repository in answer["results"]]

    assert found("java")[0] == "library/java"
    assert "acme/java-base" not in found("java")
    assert "acme/otel-collector" in found("is:verified")
    assert set(found("category:databases is:official")) == {
        "library/postgres",
        "library/redis",
        "library/valkey",
    }


def test_images_of_the_demo_are_pulled(demo: BerthServer) -> None:
    """Every platform of an official image, and a private one by a team's member."""
    with httpx.Client(timeout=60) as http:
        anonymous = RegistryClient(http, demo.url)
        pulled = anonymous.pull("library/java:25-jdk")
        assert len(pulled.children) == 4
        referrers = anonymous.get(f"/v2/library/java/referrers/{pulled.digest}").json()
        kinds = {manifest["artifactType"] for manifest in referrers["manifests"]}
        assert "application/spdx+json" in kinds
        assert len(kinds) == 2
        bo = RegistryClient(http, demo.url, "bo", PASSWORD)
        assert bo.pull("acme/api:2.8.1").children
        assert anonymous.get("/v2/acme/api/manifests/2.8.1").status_code == 401


def test_crane_takes_an_image_of_the_demo(demo: BerthServer, tmp_path: Path) -> None:
    crane = Command("crane", tmp_path / "home")
    host = demo.url.removeprefix("http://")
    name = f"{host}/library/postgres:17"
    crane("validate", "--remote", name)
    crane("pull", "--platform=linux/arm64", name, "postgres.tar")
    config = json.loads(crane("config", "--platform=linux/arm64", name))
    assert config["architecture"] == "arm64"
    if find_program("skopeo"):
        skopeo = Command("skopeo", tmp_path / "skopeo")
        skopeo(
            *("--insecure-policy", "copy", "--all", "--src-tls-verify=false"),
            *(f"docker://{name}", "dir:copy"),
        )


def test_the_demo_stays_away_from_other_people(
    demo: BerthServer, tmp_path: Path
) -> None:
    """It is added beside them if that is asked for, as the fixture does."""
    with pytest.raises(RuntimeError, match="other people have accounts here"):
        demo.manage("seed_demo")
    taken = BerthServer(data_folder=tmp_path)
    taken.manage("prepare")
    taken.manage("shell", "-c", CREATE.format("ines"))
    with pytest.raises(RuntimeError, match="names that are taken: ines"):
        taken.manage("seed_demo", "--beside-others")


def test_the_demo_has_a_past_that_nobody_is_told_of(demo: BerthServer) -> None:
    """The log is in the order of its times, and no webhook calls anybody."""
    code = (
        "from repositories.models import Event; "
        "from webhooks.models import Delivery; "
        "made = Event.objects.exclude(kind='user.created').exclude(is_relayed=False); "
        "times = list(made.order_by('pk').values_list('at', flat=True)); "
        "events = Event.objects.filter(repository_name__gt='', is_relayed=False); "
        "print(times == sorted(times), len(times) > 100, events.count(), "
        "Delivery.objects.exclude(status='delivered').count(), "
        "Delivery.objects.count())"
    )
    said = demo.manage("shell", "--verbosity=0", "-c", code).split()
    assert said == ["True", "True", "0", "0", "4"]


FORGET = """
from django.db.models import F
from repositories.models import DailyPulls, Repository, Star
from repositories.models.pulls import CountedBatch
java = Repository.objects.get(namespace__name="library", name="java")
Star.objects.filter(repository=java).delete()
DailyPulls.objects.filter(repository=java).delete()
CountedBatch.objects.all().delete()
java.tags.filter(name="17-jre").delete()
"""
COUNT = """
from repositories.models import DailyPulls, Repository, Star
from webhooks.models import Delivery
java = Repository.objects.get(namespace__name="library", name="java")
print(java.tags.count(), Star.objects.filter(repository=java).count(),
    DailyPulls.objects.filter(repository=java).values("day").distinct().count(),
    Delivery.objects.exclude(status="delivered").count(), Delivery.objects.count())
"""


def test_it_is_made_beside_running_workers_and_completed(tmp_path: Path) -> None:
    """The worker relays nothing of the demo; each run makes what is missing (D1)."""
    server = BerthServer(data_folder=tmp_path)
    server.manage("prepare")

    def count_and(code: str = "") -> list[str]:
        return server.manage("shell", "--verbosity=0", "-c", COUNT + code).split()

    with Process(server, "worker"):
        assert "made library/java" in server.manage("seed_demo")
        assert count_and(FORGET) == ["4", "7", "60", "0", "4"]
        assert server.manage("seed_demo").split() == ["made", "library/java"]
        assert count_and() == ["4", "7", "60", "0", "4"]
        assert "everything of the demo is there" in server.manage("seed_demo")
    assert "0 problems" in server.manage("fsck_registry")
