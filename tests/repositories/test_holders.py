"""Who may do this here: decide, asked from the repository's side."""

from functools import cache
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.actions import Action, Role
from accounts.actors import SYSTEM, Actor
from accounts.authentication import actor_of, actor_of_robot
from accounts.memberships import add_member
from accounts.models import Membership, Organization, Robot, User
from repositories.models import Grant, Repository
from repositories.rights import holders
from repositories.rights.decisions import decide
from repositories.rights.holders import holders_of
from tests import make
from tests.conftest import Cast
from tests.repositories.questions import each_asked_once

GLOBS = ("", "*", "release-*", "v[0-9]*")
TAGS = (None, "release-1", "v1", "main")


class Population:
    """People, robots, teams and a repository of each kind, made once."""

    def __init__(self) -> None:
        self.owner = make.user("owner")
        self.organization: Organization = make.organization(owner=self.owner)
        self.people = [make.user(f"p{n}") for n in range(5)]
        self.robots = [make.robot(self.organization.namespace)[0] for _ in range(2)]
        self.robots.append(make.robot(self.people[0].namespace)[0])
        self.teams = [
            make.team(self.organization, standing=standing)
            for standing in ("member", "member", "creator", "admin")
        ]
        # A team of elsewhere, as one has after a repository was moved.
        self.teams.append(make.team(make.organization(owner=self.people[1])))
        self.repositories = [
            make.repository(namespace, make.unique("r"), visibility=visibility)
            for namespace in (self.organization.namespace, self.people[0].namespace)
            for visibility in ("private", "public")
        ]

    @property
    def actors(self) -> list[Actor]:
        return [
            actor_of(self.owner),
            *map(actor_of, self.people),
            *map(actor_of_robot, self.robots),
        ]

    def forget(self) -> None:
        Grant.objects.filter(repository__in=self.repositories).delete()
        Membership.objects.filter(team__in=self.teams).delete()
        User.objects.filter(pk__in=[p.pk for p in self.people]).update(is_active=True)
        Robot.objects.filter(pk__in=[r.pk for r in self.robots]).update(is_active=True)


@pytest.fixture(scope="module")
def population(django_db_setup: None) -> Population:
    return Population()


MEMBERS = st.lists(
    st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 4)), max_size=8
)
GRANTS = st.lists(
    st.tuples(
        st.sampled_from(["user", "team", "robot"]),
        st.integers(0, 4),
        st.sampled_from(list(Role)),
        st.sampled_from(GLOBS),
    ),
    max_size=8,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    where=st.integers(0, 3),
    members=MEMBERS,
    grants=GRANTS,
    suspended=st.sets(st.integers(0, 7), max_size=2),
)
def test_it_says_of_everybody_what_decide_says(
    database: None,
    population: Population,
    where: int,
    members: list[tuple[int, bool, int]],
    grants: list[tuple[str, int, Role, str]],
    suspended: set[int],
) -> None:
    population.forget()
    repository = Repository.objects.with_full_name().get(
        pk=population.repositories[where].pk
    )
    for team, is_robot, who in members:
        if is_robot:
            robot = population.robots[who % len(population.robots)]
            Membership.objects.get_or_create(team=population.teams[team], robot=robot)
        else:
            Membership.objects.get_or_create(
                team=population.teams[team], user=population.people[who]
            )
    subjects: dict[str, list[Any]] = {
        "user": population.people,
        "team": population.teams,
        "robot": population.robots,
    }
    for kind, which, role, glob in grants:
        subject = subjects[kind][which % len(subjects[kind])]
        Grant.objects.get_or_create(
            repository=repository,
            tag_glob=glob,
            **{kind: subject},
            defaults={"role": role},
        )
    for which in suspended:
        row: Any = [*population.people, *population.robots][which]
        type(row).objects.filter(pk=row.pk).update(is_active=False)
    read_once = cache(holders._rights_by_actor)  # of a repository, for any action
    with each_asked_once(), patch.object(holders, "_rights_by_actor", read_once):
        check_agreement(population, repository)


def check_agreement(population: Population, repository: Repository) -> None:
    """Compare, for every action and tag, who may; and the words where rights decide."""
    for action in Action:
        for tag in TAGS:
            if repository.is_public and action is Action.PULL:
                continue  # decide says it of anyone, and not by a right
            expected = {}
            for actor in population.actors:
                decision = decide(actor, action, repository, tag)
                if decision:
                    expected[actor.name] = decision.reason
            found = {h.who: h.reason for h in holders_of(repository, action, tag)}
            assert found == expected, (action, tag)


def test_it_asks_as_often_for_twenty_people_as_for_ten(
    database: None, cast: Cast
) -> None:
    repository = make.repository(cast.acme.namespace, make.unique("r"))
    team = make.team(cast.acme)
    make.grant(repository, team, "write")
    counts = []
    for _ in range(2):
        for _ in range(10):
            person = make.user("p")
            add_member(team=team, user=person, actor=SYSTEM)
            make.grant(repository, make.user("q"), "write")
            robot, _token = make.robot(cast.acme.namespace)
            make.grant(repository, robot, "write")
        fresh = Repository.objects.with_full_name().get(pk=repository.pk)
        with CaptureQueriesContext(connection) as queries:
            holders = holders_of(fresh, Action.PUSH)
        counts.append((len(queries), len(holders)))
    assert counts[0][0] == counts[1][0] <= 3
    assert [holders for _, holders in counts] == [31, 61]  # alice administers
