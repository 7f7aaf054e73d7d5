"""The rule against a second telling of it, over generated people and repositories.

The model below is "The rule" of docs/development/permissions.md over plain values; what
the database answers (decide, decide_tags, actions_of, rights_of, may_create,
visible_to) has to agree with it, and so with each other, for everybody and everything
in a generated population.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.actions import ACTIONS_OF_ROLE, ALL_ACTIONS, TAG_ACTIONS, Action
from accounts.actors import ANONYMOUS, Actor
from accounts.authentication import actor_of, actor_of_access_token, actor_of_robot
from accounts.models import (
    AccessToken,
    AccessTokenLimit,
    Membership,
    Namespace,
    Organization,
    Robot,
    Team,
    User,
)
from repositories.models import Grant, Repository
from repositories.oci.references import parse_repository_name
from repositories.rights.access import find_repository
from repositories.rights.decisions import (
    actions_of,
    decide,
    decide_tags,
    may_create,
    rights_of,
)
from tests import make
from tests.repositories.questions import each_asked_once

TAGS = ("release-1", "main", "")
GLOBS = ("", "", "release-*", "*", "v?")
ROLES = ("read", "write", "admin")
EXAMPLES = 50

# --- what a population is: everything by its place in a tuple


@dataclass(frozen=True)
class RobotSpec:
    namespace: int
    is_active: bool


@dataclass(frozen=True)
class TeamSpec:
    organization: int
    standing: str
    users: frozenset[int]
    robots: frozenset[int]


@dataclass(frozen=True)
class RepositorySpec:
    namespace: int
    is_public: bool
    is_deleted: bool


@dataclass(frozen=True)
class GrantSpec:
    repository: int
    kind: str  # user, team, robot
    subject: int
    role: str
    glob: str


@dataclass(frozen=True)
class TokenSpec:
    user: int
    actions: str
    repositories: frozenset[int] | None
    namespaces: frozenset[int] | None
    state: str  # live, revoked, expired


@dataclass(frozen=True)
class Population:
    """Namespaces are those of the users and then those of the organizations."""

    users: tuple[bool, ...]  # active?
    organization_count: int
    robots: tuple[RobotSpec, ...]
    teams: tuple[TeamSpec, ...]
    repositories: tuple[RepositorySpec, ...]
    grants: tuple[GrantSpec, ...]
    tokens: tuple[TokenSpec, ...]

    @property
    def namespace_count(self) -> int:
        return len(self.users) + self.organization_count


@dataclass(frozen=True)
class Asker:
    """Who asks: a user, perhaps by a token, a robot, or nobody."""

    user: int | None = None
    robot: int | None = None
    token: int | None = None


@st.composite
def populations(draw: st.DrawFn) -> Population:
    def several(make_one: st.SearchStrategy[Any], least: int, most: int) -> Any:
        return tuple(draw(st.lists(make_one, min_size=least, max_size=most)))

    def some_of(count: int) -> st.SearchStrategy[frozenset[int]]:
        return st.frozensets(st.integers(0, count - 1), max_size=count)

    usually = st.sampled_from((True, True, True, False))
    users = several(usually, 2, 3)
    organization_count = draw(st.integers(1, 2))
    namespaces = st.integers(0, len(users) + organization_count - 1)
    robots = several(st.builds(RobotSpec, namespaces, usually), 1, 3)
    teams = several(
        st.builds(
            TeamSpec,
            st.integers(0, organization_count - 1),
            st.sampled_from(Team.Standing.values),
            some_of(len(users)),
            some_of(len(robots)),
        ),
        1,
        4,
    )
    repositories = several(
        st.builds(
            RepositorySpec,
            namespaces,
            st.sampled_from((False, False, True)),
            st.sampled_from((False, False, False, True)),
        ),
        1,
        4,
    )
    subjects = st.one_of(
        st.tuples(st.just("user"), st.integers(0, len(users) - 1)),
        st.tuples(st.just("team"), st.integers(0, len(teams) - 1)),
        st.tuples(st.just("robot"), st.integers(0, len(robots) - 1)),
    )
    grants = draw(
        st.lists(
            st.builds(
                lambda repository, subject, role, glob: GrantSpec(
                    repository, subject[0], subject[1], role, glob
                ),
                st.integers(0, len(repositories) - 1),
                subjects,
                st.sampled_from(ROLES),
                st.sampled_from(GLOBS),
            ),
            max_size=6,
            unique_by=lambda g: (g.repository, g.kind, g.subject, g.glob),
        )
    )
    tokens = several(
        st.builds(
            TokenSpec,
            st.integers(0, len(users) - 1),
            st.sampled_from(ROLES),
            st.none() | some_of(len(repositories)),
            st.none() | some_of(len(users) + organization_count),
            st.sampled_from(("live", "live", "live", "revoked", "expired")),
        ),
        1,
        4,
    )
    return Population(
        users,
        organization_count,
        robots,
        teams,
        repositories,
        tuple(grants),
        tokens,
    )


# --- the model


@dataclass(frozen=True)
class Model:
    """permissions.md, "The rule", over a population."""

    of: Population

    def is_live(self, who: Asker) -> bool:
        if who.robot is not None:
            robot = self.of.robots[who.robot]
            is_personal = robot.namespace < len(self.of.users)
            return robot.is_active and (
                not is_personal or self.of.users[robot.namespace]
            )
        if who.token is not None and self.of.tokens[who.token].state != "live":
            return False
        return who.user is not None and self.of.users[who.user]

    def teams(self, who: Asker) -> set[int]:
        return {
            number
            for number, team in enumerate(self.of.teams)
            if who.user in team.users or who.robot in team.robots
        }

    def standings(self, who: Asker, namespace: int) -> set[str]:
        if not self.is_live(who):
            return set()
        teams = [self.of.teams[number] for number in self.teams(who)]
        organization = namespace - len(self.of.users)
        found = {team.standing for team in teams if team.organization == organization}
        return found | ({"admin"} if who.user == namespace else set())

    def rights(self, who: Asker, repository: int) -> set[tuple[str, str]]:
        """Return roles and the tags they are for."""
        if not self.is_live(who):
            return set()
        mine = {("team", number) for number in self.teams(who)}
        mine |= {("user", who.user), ("robot", who.robot)}  # type: ignore[arg-type]
        found = {
            (grant.role, grant.glob)
            for grant in self.of.grants
            if grant.repository == repository and (grant.kind, grant.subject) in mine
        }
        if "admin" in self.standings(who, self.of.repositories[repository].namespace):
            found.add(("admin", ""))
        return found

    def ceiling(
        self, who: Asker, repository: int | None, namespace: int
    ) -> set[Action]:
        if who.token is None:
            return set(ALL_ACTIONS)
        token = self.of.tokens[who.token]
        if (token.repositories, token.namespaces) != (None, None):
            reaches = repository in (token.repositories or ())
            if not reaches and namespace not in (token.namespaces or ()):
                return set()
        return set(ACTIONS_OF_ROLE[token.actions])

    def may(self, who: Asker, repository: int, tag: str | None) -> set[Action]:
        spec = self.of.repositories[repository]
        may = {Action.PULL} if spec.is_public else set()
        for role, glob in self.rights(who, repository):
            may.add(Action.PULL)
            if not glob:
                may |= ACTIONS_OF_ROLE[role]
            elif tag is None or fnmatchcase(tag, glob):
                may |= ACTIONS_OF_ROLE[role] & TAG_ACTIONS
        return may & self.ceiling(who, repository, spec.namespace)

    def may_create(self, who: Asker, namespace: int) -> bool:
        return Action.PUSH in self.ceiling(who, None, namespace) and bool(
            self.standings(who, namespace) & {"creator", "admin"}
        )


# --- the same in the database


@dataclass(frozen=True)
class World:
    """A population's rows."""

    namespaces: list[Namespace]
    repositories: list[Repository]
    actors: Mapping[Asker, Actor]


def build(population: Population) -> World:
    unique = make.unique
    users = [
        User.objects.create(username=unique("p"), password="!", is_active=is_active)
        for is_active in population.users
    ]
    organizations = [
        Organization.objects.create() for _ in range(population.organization_count)
    ]
    namespaces = [Namespace.objects.create(name=u.username, user=u) for u in users] + [
        Namespace.objects.create(name=unique("o"), organization=o)
        for o in organizations
    ]
    robots = [
        Robot.objects.create(
            namespace=namespaces[spec.namespace],
            name=unique("r"),
            token_hash=unique("hash"),
            is_active=spec.is_active,
        )
        for spec in population.robots
    ]
    teams = [
        Team.objects.create(
            organization=organizations[spec.organization],
            name=unique("t"),
            standing=spec.standing,
        )
        for spec in population.teams
    ]
    Membership.objects.bulk_create(
        Membership(team=team, user=users[number])
        for team, spec in zip(teams, population.teams, strict=True)
        for number in spec.users
    )
    Membership.objects.bulk_create(
        Membership(team=team, robot=robots[number])
        for team, spec in zip(teams, population.teams, strict=True)
        for number in spec.robots
    )
    now = timezone.now()
    repositories = [
        Repository.objects.create(
            namespace=namespaces[spec.namespace],
            name=unique("api"),
            visibility="public" if spec.is_public else "private",
            deleted_at=now if spec.is_deleted else None,
        )
        for spec in population.repositories
    ]
    subjects: Any = {"user": users, "team": teams, "robot": robots}
    for grant in population.grants:
        Grant.objects.create(
            repository=repositories[grant.repository],
            role=grant.role,
            tag_glob=grant.glob,
            **{grant.kind: subjects[grant.kind][grant.subject]},
        )
    actors = {Asker(): ANONYMOUS}
    actors |= {Asker(user=n): actor_of(user) for n, user in enumerate(users)}
    actors |= {Asker(robot=n): actor_of_robot(r) for n, r in enumerate(robots)}
    for number, spec in enumerate(population.tokens):
        token = AccessToken.objects.create(
            user=users[spec.user],
            name="t",
            actions=spec.actions,
            token_hash=unique("hash"),
            is_limited=(spec.repositories, spec.namespaces) != (None, None),
            revoked_at=now if spec.state == "revoked" else None,
            expires_at=now - timedelta(1) if spec.state == "expired" else None,
        )
        for place in spec.repositories or ():
            AccessTokenLimit.objects.create(
                access_token=token, repository_id=repositories[place].pk
            )
        for place in spec.namespaces or ():
            AccessTokenLimit.objects.create(
                access_token=token, namespace=namespaces[place]
            )
        asker = Asker(user=spec.user, token=number)
        actors[asker] = actor_of_access_token(token)
    return World(namespaces, repositories, actors)


# --- the two against each other


def every_answer_agrees(population: Population, action: Action, tag: str) -> None:
    model, world = Model(population), build(population)
    with each_asked_once():
        everybody_is_answered(model, world, action, tag)


def everybody_is_answered(model: Model, world: World, action: Action, tag: str) -> None:
    population = model.of
    ids = [repository.pk for repository in world.repositories]
    for who, actor in world.actors.items():
        visible = Repository.objects.visible_to(actor).filter(pk__in=ids)
        assert set(visible.values_list("pk", flat=True)) == {
            repository.pk
            for number, repository in enumerate(world.repositories)
            if not population.repositories[number].is_deleted
            and Action.PULL in model.may(who, number, None)
        }, who
        for number, namespace in enumerate(world.namespaces):
            made = may_create(actor, namespace)
            assert bool(made) is model.may_create(who, number), (who, made.reason)
        for number, repository in enumerate(world.repositories):
            if population.repositories[number].is_deleted:
                name = parse_repository_name(repository.full_name)
                assert find_repository(name) is None
            else:
                agrees(model, who, actor, number, repository, action, tag)


def agrees(
    model: Model,
    who: Asker,
    actor: Actor,
    number: int,
    repository: Repository,
    action: Action,
    tag: str,
) -> None:
    told = partial(str, (who, number, action, tag))
    may = model.may(who, number, None)
    may_to_tag = {name: model.may(who, number, name) for name in TAGS}
    assert actions_of(actor, repository.facts) == may, told()
    for one in (Action.PULL, action):
        for name in (None, tag):
            decision = decide(actor, one, repository, name)
            wanted = one in (may if name is None else may_to_tag[name])
            assert bool(decision) is wanted, (told(), decision.reason)
            word = "allowed" if wanted else "refused"
            assert decision.reason.startswith(f"{one}: {word}, because "), told()
    if action in TAG_ACTIONS:
        decisions = decide_tags(actor, dict.fromkeys(TAGS, action), repository.facts)
        assert [bool(decision) for decision in decisions] == [
            action in may_to_tag[name] for name in TAGS
        ], told()
    if not actor.is_anonymous:
        rights = {(r.role, r.tag_glob) for r in rights_of(actor, repository.facts)}
        assert rights == model.rights(who, number), told()


@pytest.mark.timeout(120)
def test_the_rule_agrees_with_its_model(database: None) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
        phases=[Phase.generate],  # to shrink takes minutes; the message says who
    )
    @given(populations(), st.sampled_from(list(Action)), st.sampled_from(TAGS))
    def agree(population: Population, action: Action, tag: str) -> None:
        undone(every_answer_agrees, population, action, tag)

    agree()


def undone(run: Callable[..., None], *arguments: Any) -> None:
    """Run in a transaction that leaves nothing behind."""
    with transaction.atomic():
        run(*arguments)
        transaction.set_rollback(True)
