"""Rows are locked in one order; who is undone for another begins again (DB6)."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg2
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.authentication import actor_of
from distribution.manifests import put_manifest
from repositories.manifests import mark_pushed
from repositories.models import Manifest, Repository
from repositories.oci.digests import Digest
from repositories.oci.documents import parse_manifest
from repositories.pulls.counting import Fetch, count_fetches
from repositories.stars import star
from repositories.tags import move_tag
from tests import images, make
from tests.conftest import Cast
from tests.faults.conftest import ADMIN, MakeServer, admin_of
from tests.faults.test_concurrency import row
from tests.registry_client import RegistryClient
from tests.servers import BerthServer, run_postgres_with_tables

Verb = Callable[[Repository, Manifest], object]

NOTICE = "was undone"
# Of six rows that are made or deleted, two fail at the commit.
IN_THE_WAY = """
CREATE SEQUENCE in_the_way;
CREATE FUNCTION get_in_the_way() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN
    CASE nextval('in_the_way') % 6
        WHEN 0 THEN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01';
        WHEN 3 THEN RAISE EXCEPTION 'not serializable' USING ERRCODE = '40001';
        ELSE NULL;
    END CASE;
    RETURN NULL;
END $body$;
"""
ON_TABLE = """
CREATE CONSTRAINT TRIGGER {table}_in_the_way
 AFTER INSERT OR DELETE ON {table} DEFERRABLE INITIALLY DEFERRED
 FOR EACH ROW EXECUTE FUNCTION get_in_the_way()"""
TABLES = ("repositories_tagmove", "repositories_star", "distribution_bloblink")


@pytest.fixture
def contested(make_server: MakeServer, tmp_path: Path) -> Iterator[BerthServer]:
    """A registry on PostgreSQL whose commits fail now and then."""
    with run_postgres_with_tables(tmp_path / "postgres") as postgres:
        server = make_server()
        url = server.environment["DATABASE_URL"] = postgres.url("berth")
        server.manage("prepare")
        database = psycopg2.connect(url)
        database.autocommit = True
        with database.cursor() as cursor:
            cursor.execute(IN_THE_WAY)
            for table in TABLES:
                cursor.execute(ON_TABLE.format(table=table))
        database.close()
        with server:
            yield server


@pytest.mark.own_database
def test_a_client_never_hears_of_a_deadlock(
    contested: BerthServer, http: httpx.Client
) -> None:
    """DB6, I1: pushed, mounted, starred and deleted, and no error in all of it."""
    client: RegistryClient = admin_of(contested, http)
    name, other = f"{ADMIN}/app", f"{ADMIN}/other"
    star_path = f"/api/v1/repositories/{name}/star"
    token = {"Authorization": f"Bearer {client.secret}"}
    for serial in range(6):
        image = images.image()
        client.push(f"{name}:v{serial}", image)
        assert client.pull(f"{name}:v{serial}").payload == image.payload
        mounted = client.post(
            f"/v2/{other}/blobs/uploads/?mount={images.digest_of(image.blobs[0])}"
            f"&from={name}"
        )
        assert mounted.status_code == 201, mounted.text
        for method in ("PUT", "DELETE"):
            answer = http.request(method, f"{contested.url}{star_path}", headers=token)
            assert answer.status_code in {200, 204}, answer.text
        if serial % 2:
            gone = client.delete(f"/v2/{name}/manifests/v{serial}")
            assert gone.status_code == 202
            gone = client.delete(f"/v2/{name}/manifests/{image.digest}")
            assert gone.status_code == 202
    assert client.tags(name) == ["v0", "v2", "v4"]
    log = contested.log_tail(limit=1_000_000)
    assert log.count(NOTICE) >= 6, "nothing got in the way"
    assert "ERROR" not in log


# --- the order


@pytest.fixture
def meet(alice: RegistryClient, cast: Cast, api: str) -> Callable[[Verb], None]:
    """Run a verb while a push stands between the two steps in which it locks rows."""
    repository = row(api)
    before, after = (
        Manifest.objects.get(
            repository=repository, digest=alice.push(f"{api}:v1", images.image())
        )
        for _ in range(2)
    )

    def move(manifest: Manifest) -> None:
        move_tag(
            repository=repository.facts,
            name="v1",
            manifest=manifest,
            actor=actor_of(cast.alice),
        )

    def run(verb: Verb) -> None:
        with ThreadPoolExecutor(1) as pool:
            with transaction.atomic():
                move(before)
                met = pool.submit(with_own_connection, lambda: verb(repository, after))
                time.sleep(0.3)  # so that it takes what is free, and waits for the rest
                assert mark_pushed(repository.facts)
                move(after)
            met.result(timeout=40)

    return run


def with_own_connection(call: Callable[[], object]) -> None:
    try:
        call()
    finally:
        connection.close()


def count_pulls(repository: Repository, manifest: Manifest) -> None:
    now = datetime.now(UTC)
    fetch = Fetch(repository.pk, manifest.digest, "v1", "docker", now.date())
    assert count_fetches(batch=make.unique("batch"), fetches={fetch: 3}, fetched_at=now)


def star_it(repository: Repository, manifest: Manifest) -> None:
    star(repository=repository, user=make.user("fan"))


@pytest.mark.parametrize("verb", [count_pulls, star_it])
def test_a_push_and_what_meets_it_wait_for_each_other_in_turn(
    database: None,
    meet: Callable[[Verb], None],
    verb: Verb,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        meet(verb)
    assert NOTICE not in caplog.text


def test_a_push_locks_in_the_order_that_is_written_down(
    database: None, alice: RegistryClient, cast: Cast, api: str
) -> None:
    """Links, manifest, tag, repository, search entry (database/locking.py)."""
    image = images.image()
    for blob in image.blobs:
        alice.push_blob(api, blob)
    algorithm, _, encoded = image.digest.partition(":")
    with CaptureQueriesContext(connection) as queries:
        put_manifest(
            repository=row(api).facts,
            digest=Digest(algorithm, encoded),
            payload=image.payload,
            document=parse_manifest(image.payload, image.media_type),
            tags=["v1"],
            actor=actor_of(cast.alice),
        )
    writes = re.compile(
        r'^\s*(?:INSERT INTO|UPDATE) "?(\w+)|^SELECT .*FROM "?(\w+)"? .*FOR '
    )
    tables = [
        found[1] or found[2] for q in queries if (found := writes.match(q["sql"]))
    ]
    order = ["repositories_manifest", "repositories_tag", "repositories_repository"]
    order.append("repositories_searchentry")
    first = [tables.index(table) for table in order]
    assert first == sorted(first), tables
