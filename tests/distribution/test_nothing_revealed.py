"""The work of an answer does not depend on what the caller may not see.

Counted instead of timed: hashes, queries, files that are written and synced.
"""

import itertools
import os
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import FailedAttempts, User
from tests import make
from tests.accounts.test_signin_limits import count_hashes
from tests.images import digest_of, some_bytes
from tests.registry_client import basic_header

PASSWORD = "a long enough password"


def shape_of(sql: str) -> str:
    """Return which statement it is, on which table."""
    words = sql.replace('"', "").split()
    tables = [b for a, b in itertools.pairwise(words) if a in TABLE_WORDS]
    return f"{words[0]} {' '.join(tables[:1])}"


TABLE_WORDS = {"FROM", "INTO", "UPDATE"}


class Work:
    """What a request cost, and what its answer was."""

    def __init__(self, send: Callable[[], Any], patch: pytest.MonkeyPatch) -> None:
        hashes = count_hashes(patch)
        synced: list[int] = []
        fsync = os.fsync

        def count_sync(descriptor: int) -> None:
            synced.append(descriptor)
            fsync(descriptor)

        patch.setattr(os, "fsync", count_sync)
        with CaptureQueriesContext(connection) as queries:
            self.answer = send()
        self.hash_count = len(hashes)
        self.sync_count = len(synced)
        self.queries = [shape_of(query["sql"]) for query in queries]


@pytest.fixture
def work_of(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], Any]], Work]:
    def measure(send: Callable[[], Any]) -> Work:
        FailedAttempts.objects.all().delete()
        with monkeypatch.context() as patch:
            return Work(send, patch)

    return measure


WorkOf = Callable[[Callable[[], Any]], Work]


def without_password(person: User) -> User:
    person.set_unusable_password()
    person.save()
    return person


def names_with_wrong_passwords() -> dict[str, str]:
    """Return names of every sort; none of them has the password that is tried."""
    known = make.user("known", password=PASSWORD, email="known@work.example")
    robot, _ = make.robot(make.organization(owner=known).namespace)
    suspended = make.user("suspended", password=PASSWORD, is_active=False)
    return {
        "known": known.username,
        "unknown": make.unique("nobody"),
        "without password": without_password(make.user("tokens-only")).username,
        "suspended": suspended.username,
        "robot": robot.username,
        "unknown robot": f"{known.username}+nothing",
    }


@pytest.mark.parametrize("way_in", ["GET /v2/token", "POST /v2/token", "GET /v2/"])
def test_every_wrong_name_costs_the_same(work_of: WorkOf, way_in: str) -> None:
    """One hash and the same queries for known and unknown names (kind 10)."""
    method, path = way_in.split()
    client = Client(HTTP_HOST=settings.BERTH_SERVICE)

    def guess(name: str) -> Any:
        if method == "GET":
            return client.get(path, headers=basic_header(name, "a guess"))
        fields = {"grant_type": "password", "username": name, "password": "a guess"}
        body = "&".join(f"{k}={v.replace('+', '%2B')}" for k, v in fields.items())
        return client.post(path, body, content_type="application/x-www-form-urlencoded")

    seen = {}
    for sort, name in names_with_wrong_passwords().items():
        work = work_of(lambda name=name: guess(name))
        seen[sort] = (
            work.answer.status_code,
            work.answer.content,
            work.hash_count,
            work.queries,
        )
    assert seen["known"][0] == 401
    assert seen["known"][2] == 1
    for sort, other in seen.items():
        assert other == seen["known"], sort


def test_every_wrong_name_costs_a_page_the_same(work_of: WorkOf) -> None:
    """Also an email address, whether or not it has an account (kind 10)."""
    names = names_with_wrong_passwords()
    names |= {"address": "known@work.example", "no address": "none@work.example"}
    seen = {}
    for sort, name in names.items():
        browser = Client(HTTP_HOST=settings.BERTH_SERVICE)
        fields = {"login": name, "password": f"a guess at the {sort}"}
        work = work_of(lambda b=browser, f=fields: b.post("/accounts/login/", f))
        assert work.answer.status_code == 200
        seen[sort] = (work.hash_count, work.queries)
    for sort, other in seen.items():
        reference = "no address" if "address" in sort else "unknown"
        assert other == seen[reference], sort
        assert other[0] == 1, sort


def test_a_blob_that_is_elsewhere_is_written_like_any_other(work_of: WorkOf) -> None:
    """Same answer, same bytes synced, same statements (kind 10)."""
    owner, stranger = make.user("owner"), make.user("stranger")
    private = make.repository(owner.namespace)
    mine = make.repository(stranger.namespace)
    secrets = {person: make.access_token(person) for person in (owner, stranger)}
    client = Client(HTTP_HOST=settings.BERTH_SERVICE)

    def push(person: User, name: str, content: bytes) -> Any:
        return client.post(
            f"/v2/{name}/blobs/uploads/?digest={digest_of(content)}",
            content,
            content_type="application/octet-stream",
            headers=basic_header(person.username, secrets[person]),
        )

    push(stranger, mine.full_name, some_bytes())  # the token's use is recorded
    fresh = some_bytes()
    # In the same folder of the store, so that none has to be made.
    elsewhere = next(
        content
        for content in iter(some_bytes, b"")
        if digest_of(content)[7:9] == digest_of(fresh)[7:9]
    )
    assert push(owner, private.full_name, elsewhere).status_code == 201
    seen = []
    for content in (elsewhere, fresh):
        work = work_of(lambda c=content: push(stranger, mine.full_name, c))
        assert work.answer.status_code == 201
        location = work.answer.headers["Location"]
        assert location == f"/v2/{mine.full_name}/blobs/{digest_of(content)}"
        seen.append((sorted(work.answer.headers), work.sync_count, work.queries))
    assert seen[0] == seen[1]
    assert seen[0][1] > 0


def test_a_mount_of_what_one_may_not_see_answers_like_one_of_nothing(
    work_of: WorkOf,
) -> None:
    """A session either way, with the same statements (kind 10, MNT-2)."""
    owner, stranger = make.user("owner"), make.user("stranger")
    private = make.repository(owner.namespace)
    mine = make.repository(stranger.namespace)
    client = Client(HTTP_HOST=settings.BERTH_SERVICE)
    content, absent = some_bytes(), digest_of(some_bytes())
    pushed = client.post(
        f"/v2/{private.full_name}/blobs/uploads/?digest={digest_of(content)}",
        content,
        content_type="application/octet-stream",
        headers=basic_header(owner.username, make.access_token(owner)),
    )
    assert pushed.status_code == 201
    headers = basic_header(stranger.username, make.access_token(stranger))
    client.get("/v2/", headers=headers)  # the token's use is recorded
    for source in (f"&from={private.full_name}", ""):
        seen = []
        for digest in (digest_of(content), absent):
            work = work_of(
                lambda d=digest, s=source: client.post(
                    f"/v2/{mine.full_name}/blobs/uploads/?mount={d}{s}",
                    content_type="application/octet-stream",
                    headers=headers,
                )
            )
            assert work.answer.status_code == 202
            assert "Docker-Content-Digest" not in work.answer.headers
            seen.append((sorted(work.answer.headers), work.queries))
        assert seen[0] == seen[1], source
