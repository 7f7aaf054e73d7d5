"""The audit log: who sees what of it, filters, export, and how long it is kept."""

import csv
import gc
import json
import os
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.actors import SYSTEM, Actor
from accounts.models import Organization
from accounts.tokens import issue_access_token, revoke_access_token
from api.repositories.exports import BATCH_ROWS, export_events
from api.repositories.serializers import AuditEventSerializer
from registry_site.celery import app
from repositories.events.recording import EXPIRED_AT_ONCE, expire_events
from repositories.lifecycle import delete_repository
from repositories.models import Event, Repository
from repositories.tasks import expire_events as expire_events_task
from tests import make
from tests.api.conftest import ApiClient
from tests.conftest import Cast
from tests.distribution.test_query_counts import ask
from tests.servers import BerthServer, children_of

Api = Callable[[str], ApiClient]
ACTIVITY = {"id", "kind", "actor", "at", "detail"}
AUDIT = ACTIVITY | {"address", "token", "repository", "namespace"}
ADDRESS = "203.0.113.7"


def add_events(organization: Organization, count: int, **columns: Any) -> None:
    namespace = organization.namespace
    Event.objects.bulk_create(
        Event(
            **{
                "kind": Event.Kind.TAG_PUSHED,
                "namespace": namespace,
                "namespace_name": namespace.name,
                "repository_name": f"{namespace.name}/api",
                "actor_name": "alice",
                "address": ADDRESS,
                "detail": {"tag": f"v{number}", "digest": "sha256:" + "0" * 64},
                **columns,
            }
        )
        for number in range(count)
    )


@pytest.fixture
def guild(cast: Cast) -> Organization:
    """An organization of alice with nothing in its log but its making."""
    return make.organization(owner=cast.alice, name="guild")


def path_of(organization: Organization, **filters: Any) -> str:
    query = urlencode(filters, doseq=True)
    return f"/organizations/{organization.namespace.name}/events?{query}"


def test_an_event_has_the_promised_fields(
    cast: Cast, api_of: Api, private_api: Repository
) -> None:
    path = f"/repositories/{private_api.full_name}"
    name = make.unique("laptop")
    token, secret = issue_access_token(
        user=cast.alice, name=name, actions="admin", actor=SYSTEM
    )
    assert api_of(secret).patch(path, {"description": "x"}).status_code == 200
    revoke_access_token(token=token, actor=SYSTEM)
    seen = api_of("carol").get(f"{path}/events").json()["results"][0]
    assert set(seen) == ACTIVITY
    audited = api_of("alice").get(f"{path}/events").json()["results"][0]
    assert set(audited) == AUDIT
    assert {k: audited[k] for k in ACTIVITY} == seen
    assert audited["actor"] == cast.alice.username
    assert audited["address"] in {"127.0.0.1", "::1"}
    assert audited["token"] == name
    assert audited["repository"] == private_api.full_name
    assert audited["namespace"] == cast.acme.namespace.name
    assert datetime.fromisoformat(audited["at"]).tzinfo == UTC


def test_anonymous_readers_of_activity_learn_no_address(
    api_of: Api, public_api: Repository
) -> None:
    path = f"/repositories/{public_api.full_name}/events"
    events = api_of("anonymous").get(path).json()["results"]
    assert events
    assert all(set(event) == ACTIVITY for event in events)


def test_a_new_repository_of_an_old_name_has_a_clean_sheet(
    cast: Cast, api_of: Api, private_api: Repository
) -> None:
    name = private_api.full_name
    delete_repository(repository=private_api, actor=SYSTEM)
    again = make.repository(cast.acme.namespace, private_api.name)
    listed = api_of("alice").everything(f"/repositories/{name}/events")
    assert [event["kind"] for event in listed] == ["repository.created"]
    assert listed[0]["id"] == Event.objects.of_repository(again.pk).get().pk
    # The organization's log has both lives.
    whole = api_of("alice").everything(path_of(cast.acme, repository=name))
    kinds = [event["kind"] for event in whole]
    assert kinds.count("repository.created") == 2
    assert kinds.count("repository.deleted") == 1


def test_what_moved_away_stays_in_the_log_and_keeps_its_secrets(
    cast: Cast, api_of: Api, guild: Organization, private_api: Repository
) -> None:
    """A transfer moves the repository, not the old owners' addresses."""
    old_name = private_api.full_name
    path = f"/repositories/{old_name}"
    assert api_of("alice").patch(path, {"description": "x"}).status_code == 200
    Repository.objects.filter(pk=private_api.pk).update(namespace=guild.namespace)
    in_old = api_of("alice").everything(path_of(cast.acme, repository=old_name))
    assert in_old[0]["kind"] == "repository.changed"
    assert in_old[0]["address"]
    new_path = f"/repositories/{guild.namespace.name}/{private_api.name}/events"
    in_new = api_of("alice").everything(new_path)
    assert [event["id"] for event in in_new] == [event["id"] for event in in_old]
    assert {(event["address"], event["token"]) for event in in_new} == {(None, "")}
    exported = api_of("alice").get(f"{new_path}/export?format=jsonl").text
    assert json.loads(exported.splitlines()[0])["address"] is None


def test_one_sees_ones_own_account_and_nobody_elses(cast: Cast, api_of: Api) -> None:
    bob = api_of("bob")
    made = bob.post("/user/tokens", {"name": make.unique("ci"), "actions": "read"})
    assert bob.delete(f"/user/tokens/{made.json()['id']}").status_code == 204
    latest = bob.get("/user/events").json()["results"][:2]
    assert [event["kind"] for event in latest] == ["token.revoked", "token.issued"]
    assert {event["detail"]["token"] for event in latest} == {made.json()["name"]}
    others = {event["namespace"] for event in bob.everything("/user/events")}
    assert others == {cast.bob.username}


def test_a_site_administrator_sees_everything(cast: Cast, api_of: Api) -> None:
    root = make.user("root", is_superuser=True)
    client = api_of(make.access_token(root))
    found = client.get("/events?kind=user.created&actor=command%20line").json()
    assert "admin" in {e["detail"]["user"] for e in found["results"]}, "by prepare"
    assert api_of("alice").get("/events").status_code == 403


FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"a", "b", "c", "d", "e"}),
    ({"kind": "team.created"}, {"a"}),
    ({"kind": "team."}, {"a", "b"}),
    ({"kind": ["team.", "tag.pushed"]}, {"a", "b", "e"}),
    ({"actor": "bob"}, {"b", "d"}),
    ({"actor": "bo"}, set()),
    ({"actor": "bob", "kind": "team."}, {"b"}),
    ({"repository": "guild/api"}, {"d", "e"}),
    ({"repository": "guild/ap"}, set()),
    ({"since": "2024-01-03T00:00:00Z"}, {"c", "d", "e"}),
    ({"until": "2024-01-03T00:00:00Z"}, {"a", "b"}),
    ({"since": "2024-01-02T04:03:00-19:57"}, {"c", "d", "e"}),
    ({"since": "2024-01-02T01:00:00+01:00", "until": "2024-01-04T00:00Z"}, {"b", "c"}),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERS)
def test_a_filter_keeps_what_it_says(
    api_of: Api, guild: Organization, filters: dict[str, Any], expected: set[str]
) -> None:
    Event.objects.filter(namespace=guild.namespace).delete()
    rows = [
        ("a", "team.created", "alice", ""),
        ("b", "team.deleted", "bob", ""),
        ("c", "robot.created", "alice", ""),
        ("d", "repository.created", "bob", "guild/api"),
        ("e", "tag.pushed", "carol", "guild/api"),
    ]
    for day, (name, kind, actor, repository) in enumerate(rows, start=1):
        add_events(
            guild,
            1,
            kind=kind,
            actor_name=actor,
            repository_name=repository,
            detail={"name": name},
        )
        latest = Event.objects.latest("pk").pk
        Event.objects.filter(pk=latest).update(at=datetime(2024, 1, day, tzinfo=UTC))
    listed = api_of("alice").everything(path_of(guild, page_size=2, **filters))
    names = [event["detail"]["name"] for event in listed]
    assert names == sorted(expected, reverse=True), "newest first"
    export = path_of(guild, format="jsonl", **filters).replace("?", "/export?")
    lines = api_of("alice").get(export).text.splitlines()
    assert [json.loads(line) for line in lines] == listed


@pytest.mark.parametrize(
    "filters",
    [
        {"kind": "team"},
        {"kind": "te."},
        {"kind": "' OR 1=1"},
        {"kind": ["team.", "nothing"]},
        {"since": "yesterday"},
        {"until": "2024-13-01"},
        {"since": "9999-12-31T23:59:59-19:00"},
        {"until": "0001-01-01T00:00:00+19:00"},
        {"actor": "a\0b"},
        {"repository": "\0"},
        {"colour": "red"},
    ],
)
@pytest.mark.parametrize("form", ["", "/export"])
def test_a_filter_that_cannot_be_read_is_refused_by_name(
    api_of: Api, guild: Organization, filters: dict[str, Any], form: str
) -> None:
    path = path_of(guild, **filters).replace("/events", f"/events{form}")
    path += "&format=csv" if form else ""
    refused = api_of("alice").get(path)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == next(iter(filters))


@pytest.mark.parametrize("query", ["", "?format=", "?format=xml", "?format=json"])
def test_an_export_wants_a_format(api_of: Api, guild: Organization, query: str) -> None:
    path = f"/organizations/{guild.namespace.name}/events/export{query}"
    refused = api_of("alice").get(path)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "format"


def test_an_export_is_a_file_of_its_kind(api_of: Api, private_api: Repository) -> None:
    client = api_of("alice")
    for form, media_type in (("jsonl", "application/jsonl"), ("csv", "text/csv")):
        days = {timezone.now().date().isoformat()}
        answer = client.http.get(
            f"{client.url}/api/v1/repositories/{private_api.full_name}/events/export",
            params={"format": form},
            headers={"Authorization": f"Bearer {client.token}", "Accept": media_type},
        )
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == f"{media_type}; charset=utf-8"
        name = private_api.full_name.replace("/", "-")
        days.add(timezone.now().date().isoformat())  # another one around midnight
        assert answer.headers["Content-Disposition"] in {
            f'attachment; filename="{name}-events-{day}.{form}"' for day in days
        }
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_spreadsheet_runs_nothing_of_it(
    api_of: Api, guild: Organization, start: str
) -> None:
    """CWE-1236: names and details are other people's words."""
    evil = f'{start}HYPERLINK("http://evil.example","x")'
    add_events(guild, 1, actor_name=evil, detail={"tag": evil})
    path = path_of(guild, format="csv").replace("?", "/export?")
    text = api_of("alice").get(path).text
    rows = list(csv.DictReader(StringIO(text, newline="")))
    assert rows[0]["actor"] == f"'{evil}"
    assert json.loads(rows[0]["detail"]) == {"tag": evil}
    for row in rows:
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    plain = api_of("alice").get(path.replace("csv", "jsonl")).text
    assert json.loads(plain.splitlines()[0])["actor"] == evil, "JSON is not changed"


@pytest.fixture(scope="module")
def busy(cast: Cast) -> Organization:
    """An organization in which ten thousand things happened."""
    organization = make.organization(owner=cast.alice, name="busy")
    for _ in range(10):
        add_events(organization, 1000)
    return organization


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_long_log_is_exported_in_little_memory(busy: Organization, form: str) -> None:
    events = Event.objects.of_namespace(busy.namespace).with_token()

    def peak(rows: Any) -> tuple[int, int]:
        gc.collect()  # both begin alike, whatever the tests before have left
        tracemalloc.start()
        size = sum(
            len(part) for part in export_events(rows, form, AuditEventSerializer)
        )
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size, most

    newest = events.latest("pk").pk
    few_events = events.filter(pk__gt=newest - 2 * BATCH_ROWS)
    peak(few_events)  # what is loaded once
    few_size, few = peak(few_events)
    size, most = peak(events)
    assert size > 8 * few_size
    assert most < 1.5 * few


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_the_server_sends_a_long_log_as_it_reads_it(
    api_of: Api, busy: Organization, form: str
) -> None:
    client = api_of("alice")
    name = busy.namespace.name
    url = f"{client.url}/api/v1/organizations/{name}/events/export?format={form}"
    headers = {"Authorization": f"Bearer {client.token}"}
    with client.http.stream("GET", url, headers=headers) as answer:
        assert answer.status_code == 200
        assert "Content-Length" not in answer.headers
        lines = list(answer.iter_lines())
    if form == "csv":
        rows = list(csv.DictReader(lines))
        assert set(rows[0]) == AUDIT
        ids = [int(row["id"]) for row in rows]
    else:
        ids = [json.loads(line)["id"] for line in lines]
    assert len(ids) == 10_001
    assert ids == sorted(set(ids), reverse=True)


def pipes_of(server: BerthServer) -> int:
    """Count the pipes of the web workers: each stream under way has one."""
    assert server.process is not None, "it runs"
    descriptors = [
        descriptor
        for worker in children_of(server.process.pid)
        for descriptor in Path(f"/proc/{worker}/fd").iterdir()
    ]
    return sum(
        os.readlink(descriptor).startswith("pipe:")
        for descriptor in descriptors
        if descriptor.is_symlink()
    )


def test_a_reader_who_leaves_early_holds_nothing(
    api_of: Api, busy: Organization, registry: BerthServer
) -> None:
    client = api_of("alice")
    before = pipes_of(registry)
    path = f"/organizations/{busy.namespace.name}/events/export?format=jsonl"
    headers = {"Authorization": f"Bearer {client.token}"}
    for _ in range(20):  # more than there are threads
        with client.http.stream(
            "GET", f"{client.url}/api/v1{path}", headers=headers
        ) as answer:
            next(answer.iter_raw())
    assert client.get("/user").status_code == 200
    deadline = time.monotonic() + 60
    while (left := pipes_of(registry)) > before:
        assert time.monotonic() < deadline, f"{left - before} pipes are open"
        time.sleep(0.2)


@pytest.mark.parametrize(
    "path", ["/organizations/{guild}/events", "/events", "/user/events"]
)
def test_a_longer_log_asks_no_more(cast: Cast, guild: Organization, path: str) -> None:
    root = make.user("root", is_superuser=True)
    token, secret = issue_access_token(
        user=root if path == "/events" else cast.alice,
        name="t",
        actions="admin",
        actor=SYSTEM,
    )
    counts = []
    ask("GET", "/api/v1/user", secret)  # the token's last use is written
    for _ in range(2):
        add_events(guild, 10, access_token=token)
        target = f"/api/v1{path.format(guild=guild.namespace.name)}"
        status, queries, body = ask("GET", target, secret)
        assert status == "200 OK", body
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


# --- retention


@pytest.fixture
def kept_days(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    return lambda days: monkeypatch.setattr(settings, "BERTH_AUDIT_DAYS", days)


def age(organization: Organization, days: float) -> None:
    at = timezone.now() - timedelta(days=days)
    Event.objects.filter(namespace=organization.namespace).update(at=at)


def test_events_are_kept_as_long_as_the_setting_says(
    guild: Organization, kept_days: Callable[[int], None]
) -> None:
    old = make.organization(owner=make.user("olga"), name="old")
    add_events(old, 2 * EXPIRED_AT_ONCE + 1)
    age(old, 31)
    age(guild, 29)
    kept_days(0)
    assert expire_events() == 0
    kept_days(30)
    assert expire_events() >= 2 * EXPIRED_AT_ONCE + 1
    assert not Event.objects.filter(namespace=old.namespace).exists()
    assert Event.objects.filter(namespace=guild.namespace).exists()
    assert expire_events() == 0


def test_the_worker_forgets_every_night(
    guild: Organization, kept_days: Callable[[int], None]
) -> None:
    tasks = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert expire_events_task.name in tasks
    kept_days(30)
    age(guild, 31)
    expire_events_task()
    assert not Event.objects.filter(namespace=guild.namespace).exists()


def test_nobodys_deeds_have_a_name(guild: Organization, api_of: Api) -> None:
    assert isinstance(SYSTEM, Actor)
    assert SYSTEM.is_anonymous, "it has no rights"
    made = api_of("alice").everything(path_of(guild, kind="organization."))
    assert [event["actor"] for event in made] == ["system"]
    assert made[0]["address"] is None
