"""decide and visible_to are the same rule, said twice (permissions.md)."""

import itertools
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.actions import ALL_ACTIONS, Action
from accounts.actors import ANONYMOUS, SYSTEM, Actor
from accounts.authentication import (
    actor_of,
    actor_of_access_token,
    actor_of_robot,
    authenticate_basic,
)
from accounts.memberships import add_member
from accounts.models import AccessToken, User
from accounts.tokens import issue_access_token, revoke_access_token
from repositories.models import Repository
from repositories.rights.decisions import decide, may_create
from tests import make
from tests.conftest import Cast

WRITE = {Action.PULL, Action.PUSH, Action.OVERWRITE, Action.DELETE, Action.BUILD}


@pytest.mark.parametrize(
    ("who", "private", "public"),
    [
        ("alice", set(ALL_ACTIONS), set(ALL_ACTIONS)),
        ("bob", WRITE, WRITE),
        ("carol", {Action.PULL}, {Action.PULL}),
        ("dave", set(), {Action.PULL}),
        ("robby", WRITE, WRITE),
        ("anonymous", set(), {Action.PULL}),
    ],
)
def test_everybody_has_their_actions(
    cast: Cast,
    private_api: Repository,
    public_api: Repository,
    who: str,
    private: set[Action],
    public: set[Action],
) -> None:
    """Ownership, team, grant, robot's grant and visibility, each on its own."""
    actor = actor_named(cast, who)
    for repository, expected in ((private_api, private), (public_api, public)):
        assert {a for a in Action if decide(actor, a, repository)} == expected


def actor_named(cast: Cast, who: str) -> Actor:
    if who == "anonymous":
        return ANONYMOUS
    if who == "robby":
        return actor_of_robot(cast.robby)
    return actor_of(getattr(cast, who))


@pytest.mark.parametrize(
    ("ceiling", "expected"),
    [("read", {Action.PULL}), ("write", WRITE), ("admin", set(ALL_ACTIONS))],
)
def test_a_token_only_narrows(
    cast: Cast, private_api: Repository, ceiling: str, expected: set[Action]
) -> None:
    for person, has in ((cast.alice, set(ALL_ACTIONS)), (cast.carol, {Action.PULL})):
        secret = make.access_token(person, ceiling)
        actor = authenticate_basic(person.username, secret)
        allowed = {a for a in Action if decide(actor, a, private_api)}
        assert allowed == has & expected


def test_a_token_reaches_what_it_names(
    cast: Cast, private_api: Repository, public_api: Repository
) -> None:
    secret = make.access_token(cast.alice, repository_ids=[private_api.pk])
    actor = authenticate_basic(cast.alice.username, secret)
    assert decide(actor, Action.DESTROY, private_api)
    assert not decide(actor, Action.PULL, public_api)
    assert not may_create(actor, cast.acme.namespace)
    whole = make.access_token(cast.alice, namespace_ids=[cast.acme.namespace.pk])
    actor = authenticate_basic(cast.alice.username, whole)
    assert decide(actor, Action.PUSH, public_api)
    assert may_create(actor, cast.acme.namespace)


def test_a_glob_gives_pull_everywhere_and_the_rest_where_it_matches(
    cast: Cast,
) -> None:
    repository = make.repository(cast.acme.namespace, make.unique("api"))
    make.grant(repository, cast.dave, "write", tags="release-*")
    actor = actor_of(cast.dave)
    assert decide(actor, Action.PULL, repository, "main")
    assert decide(actor, Action.PUSH, repository, "release-1")
    assert decide(actor, Action.PUSH, repository)  # blobs, before a tag is named
    refused = decide(actor, Action.PUSH, repository, "main")
    assert not refused
    assert "release-*" in refused.reason
    assert "*main*" in refused.reason


def test_reasons_can_be_read(cast: Cast, private_api: Repository) -> None:
    bob = decide(actor_of(cast.bob), Action.PUSH, private_api)
    assert bob.reason == (
        f"push: allowed, because {cast.bob.username} is in team "
        f"*{cast.backend.name}* of *{cast.acme.namespace.name}*, which has *write* on "
        f"*{private_api.full_name}*"
    )
    carol = decide(actor_of(cast.carol), Action.PUSH, private_api)
    assert carol.reason == (
        f"push: refused, because {cast.carol.username} has *read* on "
        f"*{private_api.full_name}*; *push* needs *write*"
    )
    token, _ = issue_access_token(
        user=cast.bob, name="ci", actions="read", actor=SYSTEM
    )
    narrowed = decide(actor_of_access_token(token), Action.PUSH, private_api)
    assert narrowed.reason == "push: refused, because the token *ci* does not allow it"
    reading = decide(actor_of_access_token(token), Action.PULL, private_api)
    assert reading.reason.endswith("; the token *ci* allows *read*")


def test_rights_end_with_what_gave_them(private_api: Repository) -> None:
    """I15: suspended, revoked and expired are asked again on every request."""
    person = make.user("erin")
    make.grant(private_api, person, "write")
    token, _ = issue_access_token(user=person, name="ci", actions="write", actor=SYSTEM)
    by_password, by_token = actor_of(person), actor_of_access_token(token)
    assert decide(by_password, Action.PUSH, private_api)
    assert decide(by_token, Action.PUSH, private_api)
    revoke_access_token(token=token, actor=SYSTEM)
    assert not decide(by_token, Action.PUSH, private_api)
    AccessToken.objects.filter(pk=token.pk).update(
        revoked_at=None, expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert not decide(by_token, Action.PUSH, private_api)
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert not decide(by_password, Action.PUSH, private_api)


def test_a_robot_leaves_with_its_owner(cast: Cast) -> None:
    owner = make.user("frank")
    robot, _ = make.robot(owner.namespace)
    repository = make.repository(owner.namespace, "tool")
    make.grant(repository, robot, "write")
    actor = actor_of_robot(robot)
    assert decide(actor, Action.PUSH, repository)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert not decide(actor, Action.PULL, repository)
    assert not Repository.objects.visible_to(actor).filter(pk=repository.pk).exists()


@pytest.mark.parametrize(
    ("standing", "expected"), [("member", False), ("creator", True), ("admin", True)]
)
def test_a_team_may_create_by_its_standing(
    cast: Cast, standing: str, expected: bool
) -> None:
    person = make.user("grace")
    make.team(cast.acme, person, standing=standing)
    assert bool(may_create(actor_of(person), cast.acme.namespace)) is expected
    assert not may_create(actor_of(cast.dave), cast.acme.namespace)
    assert not may_create(ANONYMOUS, cast.acme.namespace)


def test_a_site_administrator_is_not_above_the_rule(private_api: Repository) -> None:
    administrator = make.user("root", is_superuser=True, is_staff=True)
    assert not decide(actor_of(administrator), Action.PULL, private_api)


@dataclass(frozen=True)
class Case:
    actor: Actor
    label: str


def test_the_set_is_the_rule(cast: Cast) -> None:
    """Every way to a right, alone and together, for everybody, by both sayings."""
    teams = {
        standing: make.team(cast.acme, standing=standing)
        for standing in ("member", "creator", "admin")
    }
    people = {
        "member": make.user("m"),
        "creator": make.user("c"),
        "admin": make.user("a"),
        "gone": make.user("g"),
        "stranger": make.user("s"),
    }
    for standing, team in teams.items():
        add_member(team=team, user=people[standing], actor=SYSTEM)
    robot, _ = make.robot(cast.acme.namespace)
    add_member(team=teams["member"], robot=robot, actor=SYSTEM)
    repositories = []
    for visibility, granted in itertools.product(
        ("private", "public"), ("nobody", "user", "team", "glob", "robot")
    ):
        repository = make.repository(
            cast.acme.namespace, make.unique("r"), visibility=visibility
        )
        repositories.append(repository)
        if granted == "user":
            make.grant(repository, people["stranger"], "read")
            make.grant(repository, people["gone"], "admin")
        elif granted == "team":
            make.grant(repository, teams["member"], "write")
        elif granted == "glob":
            make.grant(repository, people["creator"], "write", tags="v*")
        elif granted == "robot":
            make.grant(repository, robot, "read")
    repositories.append(make.repository(people["stranger"].namespace, "own"))
    User.objects.filter(pk=people["gone"].pk).update(is_active=False)
    cases = [Case(ANONYMOUS, "anonymous"), Case(actor_of_robot(robot), "robot")]
    for label, person in people.items():
        cases.append(Case(actor_of(person), label))
        narrowings: list[dict[str, Any]] = [
            {},
            {"repository_ids": [r.pk for r in repositories[::2]]},
            {"namespace_ids": [cast.acme.namespace.pk]},
            {"repository_ids": []},
        ]
        for limits in narrowings:
            token, _ = issue_access_token(
                user=person, name="t", actions="read", actor=SYSTEM, **limits
            )
            cases.append(Case(actor_of_access_token(token), f"{label} {limits}"))
    ids = [repository.pk for repository in repositories]
    for case in cases:
        visible = set(
            Repository.objects.visible_to(case.actor)
            .filter(pk__in=ids)
            .values_list("pk", flat=True)
        )
        allowed = {r.pk for r in repositories if decide(case.actor, Action.PULL, r)}
        assert visible == allowed, case.label
