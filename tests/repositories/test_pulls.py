"""Days of pulls: read, thinned out, recounted."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from repositories.models import DailyPulls, Repository
from repositories.oci.digests import digest_of
from repositories.pulls.counting import (
    DETAIL_DAYS,
    Fetch,
    count_fetches,
    recount_pulls,
    thin_out,
)
from repositories.pulls.statistics import pulls_per_day
from tests import make

TODAY = date(2030, 6, 15)
DIGEST = str(digest_of(b"content"))


@pytest.fixture
def repository(database: None) -> Iterator[Repository]:
    owner = make.user("owner")
    yield make.repository(owner.namespace, make.unique("counted"))


def count(repository: Repository, day: date, tag: str, times: int) -> bool:
    return count_fetches(
        batch=make.unique("batch"),
        fetches={Fetch(repository.pk, DIGEST, tag, "docker", day): times},
        fetched_at=datetime(day.year, day.month, day.day, tzinfo=UTC),
    )


def test_quiet_days_are_in_the_row_of_days(repository: Repository) -> None:
    count(repository, TODAY, "v1", 3)
    count(repository, TODAY, "v1", 2)
    count(repository, TODAY - timedelta(days=2), "v1", 1)
    count(repository, TODAY - timedelta(days=9), "v1", 7)
    days = pulls_per_day(repository, days=4, today=TODAY)
    assert [day.pull_count for day in days] == [0, 1, 0, 5]
    assert days[-1].day == TODAY


def test_a_batch_counts_once(repository: Repository) -> None:
    name = make.unique("batch")
    fetches = {Fetch(repository.pk, DIGEST, "v1", "docker", TODAY): 4}
    at = datetime(2030, 6, 15, tzinfo=UTC)
    assert count_fetches(batch=name, fetches=fetches, fetched_at=at)
    assert not count_fetches(batch=name, fetches=fetches, fetched_at=at)
    repository.refresh_from_db()
    assert repository.pull_count == 4


def test_pulls_of_a_repository_that_is_gone_are_dropped(
    repository: Repository,
) -> None:
    there = Fetch(repository.pk, DIGEST, "v1", "docker", TODAY)
    gone = Fetch(2**40, DIGEST, "v1", "docker", TODAY)
    at = datetime(2030, 6, 15, tzinfo=UTC)
    assert count_fetches(
        batch=make.unique("batch"), fetches={there: 1, gone: 1}, fetched_at=at
    )
    repository.refresh_from_db()
    assert repository.pull_count == 1


def test_old_days_keep_their_number_and_lose_the_rest(repository: Repository) -> None:
    old = TODAY - timedelta(days=DETAIL_DAYS + 5)
    for tag, times in (("v1", 3), ("v2", 4)):
        count(repository, old, tag, times)
        count(repository, TODAY, tag, times)
    thin_out(today=TODAY)
    thin_out(today=TODAY)
    rows = DailyPulls.objects.filter(repository=repository)
    assert [(r.tag, r.pull_count) for r in rows.filter(day=old)] == [("", 7)]
    assert rows.filter(day=TODAY).count() == 2
    recount_pulls()
    repository.refresh_from_db()
    assert repository.pull_count == 14
