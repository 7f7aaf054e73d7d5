"""Default permissions: who gets which role on a repository when it is made."""

from collections.abc import Callable

import pytest

from accounts.actors import Actor
from accounts.authentication import actor_of, actor_of_robot
from accounts.models import Organization, Robot, Team, User
from repositories.lifecycle import create_on_push, create_repository
from repositories.models import Event, Grant, Repository
from repositories.rights.defaults import add_default
from repositories.rights.grants import Subject
from tests import make
from tests.api.conftest import ApiClient
from tests.conftest import Cast
from tests.images import image
from tests.registry_client import RegistryClient

Api = Callable[[str], ApiClient]


@pytest.fixture
def guild(database: None, cast: Cast) -> Organization:
    """An organization of alice's without any rule."""
    return make.organization(owner=cast.alice, name="guild")


def rule(
    organization: Organization,
    subject: Subject,
    role: str,
    creator: User | Robot | None = None,
) -> None:
    add_default(
        namespace=organization.namespace,
        creator=creator,
        subject=subject,
        role=role,
        actor=Actor(),
    )


def roles_of_a_new_one(organization: Organization, actor: Actor) -> dict[str, str]:
    repository = create_repository(
        namespace=organization.namespace, name=make.unique("new"), actor=actor
    )
    return {g.subject_name: g.role for g in repository.grants.all()}


def test_a_rule_gives_its_role_on_what_is_made_later(
    api_of: Api, guild: Organization, bob: RegistryClient, cast: Cast
) -> None:
    """By the API from its making to its end, and over the protocol."""
    owner, path = api_of("alice"), f"/organizations/{guild.namespace.name}/defaults"
    body = {"subject": {"kind": "user", "name": cast.bob.username}, "role": "write"}
    made = owner.post(path, body)
    assert made.status_code == 201
    assert made.json()["creator"] is None
    assert owner.post(path, body).status_code == 409
    assert owner.everything(path) == [made.json()]
    created = owner.post(
        "/repositories",
        {"namespace": guild.namespace.name, "name": "one", "visibility": "private"},
    )
    assert created.status_code == 201
    bob.push(f"{guild.namespace.name}/one:v1", image())
    events = owner.everything(f"/repositories/{guild.namespace.name}/one/events")
    [given] = [e for e in events if e["kind"] == "grant.set"]
    assert given["detail"] == {
        "subject": {"kind": "user", "name": cast.bob.username},
        "role": "write",
        "tags": "",
        "reason": "by default",
    }
    assert owner.delete(f"{path}/{made.json()['id']}").status_code == 204
    assert owner.delete(f"{path}/{made.json()['id']}").status_code == 404
    assert bob.tags(f"{guild.namespace.name}/one") == ["v1"]
    assert cast.bob.username not in roles_of_a_new_one(guild, actor_of(cast.alice))
    kinds = Event.objects.filter(namespace=guild.namespace).values_list(
        "kind", flat=True
    )
    assert {"default.set", "default.removed"} <= set(kinds)


def test_a_push_that_makes_the_repository_applies_the_rules(
    guild: Organization, cast: Cast, alice: RegistryClient, carol: RegistryClient
) -> None:
    rule(guild, cast.carol, "read")
    name = f"{guild.namespace.name}/{make.unique('pushed')}"
    alice.push(f"{name}:v1", image())
    assert carol.tags(name) == ["v1"]


def test_the_rule_for_the_creator_beats_the_one_for_anyone(
    guild: Organization, cast: Cast
) -> None:
    """Per subject, and also where it gives less."""
    team = make.team(guild)
    rule(guild, team, "write")
    rule(guild, team, "read", creator=cast.bob)
    rule(guild, cast.carol, "read")
    by_bob = roles_of_a_new_one(guild, actor_of(cast.bob))
    assert by_bob[team.name] == "read"
    assert by_bob[cast.carol.username] == "read"
    assert roles_of_a_new_one(guild, actor_of(cast.alice))[team.name] == "write"


def test_a_robot_is_a_creator_as_well(guild: Organization, cast: Cast) -> None:
    robot, _ = make.robot(guild.namespace)
    rule(guild, cast.carol, "write", creator=robot)
    by_robot = roles_of_a_new_one(guild, actor_of_robot(robot))
    assert by_robot == {robot.username: "admin", cast.carol.username: "write"}
    assert cast.carol.username not in roles_of_a_new_one(guild, actor_of(cast.alice))


def test_the_creators_own_role_is_never_lowered(
    guild: Organization, cast: Cast
) -> None:
    robot, _ = make.robot(guild.namespace)
    rule(guild, cast.bob, "read")
    rule(guild, cast.bob, "read", creator=cast.bob)
    rule(guild, robot, "read")
    assert roles_of_a_new_one(guild, actor_of(cast.bob)) == {
        cast.bob.username: "admin",
        robot.username: "read",
    }
    assert roles_of_a_new_one(guild, actor_of_robot(robot)) == {
        cast.bob.username: "read",
        robot.username: "admin",
    }


def test_a_repository_of_before_keeps_its_grants(
    guild: Organization, cast: Cast
) -> None:
    facts = create_on_push(
        namespace=guild.namespace,
        name="old",
        actor=actor_of(cast.alice),
        visibility="private",
    )
    rule(guild, cast.bob, "write")
    create_on_push(  # a second push finds it there
        namespace=guild.namespace,
        name="old",
        actor=actor_of(cast.alice),
        visibility="private",
    )
    assert not Grant.objects.filter(repository=facts.id, user=cast.bob).exists()


def test_a_repository_that_cannot_be_made_leaves_no_grant(
    guild: Organization, cast: Cast
) -> None:
    rule(guild, cast.bob, "write")
    make.repository(guild.namespace, "taken")
    before = Grant.objects.filter(user=cast.bob).count()
    with pytest.raises(Exception, match=r"(?i)unique"):
        create_repository(
            namespace=guild.namespace, name="taken", actor=actor_of(cast.alice)
        )
    assert Grant.objects.filter(user=cast.bob).count() == before
    assert Repository.objects.filter(namespace=guild.namespace).count() == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"subject": {"kind": "user", "name": "nobody-at-all"}}, "subject"),
        ({"subject": {"kind": "team", "name": "{foreign_team}"}}, "subject"),
        ({"subject": {"kind": "robot", "name": "{foreign_robot}"}}, "subject"),
        ({"creator": "nobody-at-all"}, "creator"),
        ({"creator": "{foreign_robot}"}, "creator"),
        ({"role": "king"}, "role"),
    ],
)
def test_a_rule_names_who_is_there(
    api_of: Api,
    guild: Organization,
    cast: Cast,
    change: dict[str, object],
    field: str,
) -> None:
    names = {
        "{foreign_team}": cast.backend.name,
        "{foreign_robot}": cast.robby.username,
    }

    def filled(value: object) -> object:
        if isinstance(value, dict):
            return {k: filled(v) for k, v in value.items()}
        return names.get(str(value), value)

    subject = {"kind": "user", "name": cast.bob.username}
    refused = api_of("alice").post(
        f"/organizations/{guild.namespace.name}/defaults",
        {
            "subject": subject,
            "role": "read",
            **{k: filled(v) for k, v in change.items()},
        },
    )
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == field


def test_a_rule_goes_with_whom_it_names(guild: Organization, cast: Cast) -> None:
    team: Team = make.team(guild)
    rule(guild, team, "write")
    team.delete()
    assert team.name not in roles_of_a_new_one(guild, actor_of(cast.alice))


def test_the_rules_of_others_are_not_there(
    api_of: Api, guild: Organization, cast: Cast
) -> None:
    rule(guild, cast.bob, "read")
    pk = guild.namespace.default_permissions.get().pk
    foreign = f"/organizations/{cast.acme.namespace.name}/defaults/{pk}"
    assert api_of("alice").delete(foreign).status_code == 404
    assert guild.namespace.default_permissions.exists()
