"""The page of the site's state: what it counts, and how often it asks."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

from django.utils import timezone

from accounts.models import Organization, Robot, User
from distribution.garbage import Share, held_collection, hold_collection
from distribution.models import HeldCollection, Upload
from registry_site.celery import app
from registry_site.heartbeats import SCHEDULER, record_heartbeat
from registry_site.models import Heartbeat, TaskRun
from repositories.models import Event, Manifest, Repository, Tag
from tests import make
from tests.conftest import Cast
from tests.images import image
from tests.pages import PageClient, count_queries
from tests.registry_client import RegistryClient
from tests.servers import BerthServer

STATE = "/-/admin/site/"
CONFIRM = "/-/admin/site/collection/"


def root() -> User:
    person: User = make.user("root", is_superuser=True, is_staff=True)
    return person


def test_it_counts_what_is_there(
    registry: BerthServer, cast: Cast, alice: RegistryClient, private_api: Repository
) -> None:
    alice.push(f"{private_api.full_name}:v1", image())
    with PageClient(registry.url, root()) as client:
        text = re.sub(r"<[^>]*>", "", client.get(STATE).text)
    for title, rows in (
        ("Organizations", Organization.objects.count()),
        ("Robots", Robot.objects.count()),
        ("Tags", Tag.objects.count()),
        ("Manifests", Manifest.objects.count()),
        ("Uploads in progress", Upload.objects.count()),
    ):
        assert re.search(rf"{title}\s+{rows:,}\s", text), title


def test_it_asks_no_more_than_other_pages(cast: Cast) -> None:
    assert count_queries(STATE, root()) <= 16


def test_a_held_collection_is_shown_and_confirmed(
    registry: BerthServer, cast: Cast
) -> None:
    """An administrator sees how much would go, and lets it (E1)."""
    hold_collection(
        Share(objects_count=812, size_bytes=4096, stored_count=1000, stored_bytes=8192)
    )
    person = root()
    try:
        with PageClient(registry.url, cast.dave) as daves:
            assert daves.post(CONFIRM, page=daves.get("/")).status_code == 403
        assert held_collection() is not None
        with PageClient(registry.url, person) as client:
            page = client.get(STATE)
            assert "would delete 812 of 1000 blobs" in page.text
            assert "Everything works." not in page.text
            assert client.post(CONFIRM, page=page).status_code == 302
            text = client.get(STATE).text
            assert "The garbage collection starts in a moment." in text
            assert "held-collection" not in text
            client.post(CONFIRM, page=page)
            assert (
                "No garbage collection is on hold any more." in client.get(STATE).text
            )
        assert held_collection() is None
        event = Event.objects.filter(kind="collection.confirmed").latest("pk")
        assert event.actor_name == person.username
        assert event.detail["objects_count"] == 812
    finally:
        HeldCollection.objects.all().delete()


def test_the_verdict_names_what_is_late_and_what_failed(
    registry: BerthServer,
) -> None:
    """Not whether a process lives, but whether its work gets done (E4)."""
    now = timezone.now()
    record_heartbeat([*app.amqp.queues, SCHEDULER])
    entries: list[dict[str, Any]] = list(app.conf.beat_schedule.values())
    for entry in entries:
        TaskRun.objects.update_or_create(
            task=entry["task"], defaults={"succeeded_at": now, "failed_at": None}
        )
    try:
        with PageClient(registry.url, root()) as client:
            assert "Late tasks" not in client.get(STATE).text
            runs = TaskRun.objects.filter(task="distribution.tasks.collect_garbage")
            runs.update(succeeded_at=now - timedelta(days=3))
            TaskRun.objects.filter(task="webhooks.tasks.sweep").update(
                failed_at=now + timedelta(seconds=1), problem="OperationalError: full"
            )
            text = unescape(client.get(STATE).text)
        assert "Late tasks: collect garbage." in text
        assert re.search(
            r"'sweep webhooks' failed .* ago: OperationalError: full", text
        )
        assert "Everything works." not in text
    finally:
        TaskRun.objects.all().delete()
        Heartbeat.objects.all().delete()
