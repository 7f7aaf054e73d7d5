"""What workers and commands count reaches /metrics of every node, by rows."""

from collections import Counter

import pytest

from distribution.garbage import Collected
from distribution.signals import garbage_collected
from registry_site import site_counters
from registry_site.site_counters import read_site_counters, write_counts
from webhooks.failures import FailureReason
from webhooks.signals import attempt_ended


def test_workers_and_commands_add_to_totals_of_the_site(database: None) -> None:
    """Outcomes of webhooks and deleted garbage reach /metrics by rows."""
    before = Counter(read_site_counters())
    attempt_ended.send(None, outcome="delivered")
    attempt_ended.send(None, outcome=FailureReason.TIMEOUT)
    assert Counter(read_site_counters()) == before, "they are written together"
    collected = Collected(objects=3, freed_bytes=5_000_000_000)
    garbage_collected.send(None, collected=collected)
    write_counts()  # nothing is left
    after = Counter(read_site_counters())
    assert after - before == {
        "attempts delivered": 1,
        "attempts timeout": 1,
        "garbage objects": 3,
        "garbage bytes": 5_000_000_000,
    }


def test_counts_wait_for_a_database_that_is_away(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Counter(read_site_counters())
    attempt_ended.send(None, outcome="gone")
    with monkeypatch.context() as patch:
        patch.setattr(site_counters, "_ADD", "INSERT INTO no_such_table VALUES {rows}")
        write_counts()
    assert Counter(read_site_counters()) == before
    write_counts()
    assert Counter(read_site_counters()) - before == {"attempts gone": 1}
