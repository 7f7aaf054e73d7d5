"""The table of teams and repositories stays small, however many there are."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Organization, Team
from hub.namespace.teams import COLUMNS, ROWS
from repositories.models import Grant, Repository
from tests import make
from tests.conftest import Cast
from tests.pages import PageClient
from tests.servers import BerthServer

TEAMS, REPOSITORIES = 40, 200


@pytest.fixture(scope="module")
def guild(cast: Cast) -> Organization:
    """An organization with forty teams and two hundred repositories."""
    organization = make.organization(owner=cast.alice, name="guild")
    make.team(organization, cast.bob, name="zz-bobs")
    teams = Team.objects.bulk_create(
        Team(organization=organization, name=f"team-{place:02}", standing="member")
        for place in range(TEAMS)
    )
    repositories = Repository.objects.bulk_create(
        Repository(namespace=organization.namespace, name=f"part-{place:03}")
        for place in range(REPOSITORIES)
    )
    Grant.objects.bulk_create(
        Grant(repository=repository, team=team, role="write")
        for place, repository in enumerate(repositories)
        for team in teams[place % 3 :: 3]
    )
    return organization


def cells_of(page: str) -> list[list[str]]:
    """Return the words in each cell of the table, a list for each row."""
    rows = re.findall(r'<tr role="row">(.*?)</tr>', page, re.DOTALL)
    return [
        [
            " ".join(re.sub(r"<[^>]*>", " ", cell).split())
            for cell in re.findall(r"<(?:th|td) .*?</(?:th|td)>", row, re.DOTALL)
        ]
        for row in rows
    ]


def test_a_page_has_a_part_of_it(
    registry: BerthServer, cast: Cast, guild: Organization
) -> None:
    address = f"/{guild.namespace.name}/-/teams"
    with PageClient(registry.url, cast.alice) as alice:
        first = cells_of(alice.get(address).text)
        assert len(first) == ROWS + 1
        # The owners, who can do everything, are no column.
        assert first[0][1:] == [f"team-{place:02}" for place in range(COLUMNS - 1)]
        assert first[1][:4] == ["part-000", "write", "– no role", "– no role"]
        other = cells_of(alice.get(f"{address}?teams=2&page=8").text)
        assert (other[0][1], other[1][0]) == ("team-09", "part-175")
        found = cells_of(alice.get(f"{address}?team=team-39&q=part-00").text)
        assert [row[0] for row in found[1:]] == [f"part-00{n}" for n in range(10)]
        assert found[1][1] == "write"
        empty = alice.get(f"{address}?team=%00nobody&q=nothing")
        assert empty.status_code == 200
        assert cells_of(empty.text) == []


def test_a_cell_leads_to_who_can_and_why_for_administrators_only(
    registry: BerthServer, cast: Cast, guild: Organization
) -> None:
    name = guild.namespace.name
    link = f'href="/{name}/part-000/-/access?action=push#ask"'
    with PageClient(registry.url, cast.alice) as alice:
        assert link in alice.get(f"/{name}/-/teams").text
        answer = alice.get(f"/{name}/part-000/-/access?action=push").text
        assert f"Who can <b>push</b> in <b>{name}/part-000</b>" in answer
    with PageClient(registry.url, cast.bob) as bob:
        page = bob.get(f"/{name}/-/teams").text
        assert "/-/access" not in page
        assert "part-000" not in page, "bob's team has no role anywhere"


@pytest.mark.parametrize("query", ["", "?teams=3&page=4", "?q=part-1&team=1"])
def test_it_asks_as_often_for_all_of_it(
    database: Any, cast: Cast, guild: Organization, query: str
) -> None:
    client = Client()
    client.force_login(cast.alice)
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(
            f"/{guild.namespace.name}/-/teams{query}", headers={"host": "localhost"}
        )
    assert answer.status_code == 200
    assert len(asked) <= 12, [one["sql"] for one in asked.captured_queries]
    assert len(answer.content) < 150_000
