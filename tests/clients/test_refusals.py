"""What the unmodified docker prints when it is refused, word for word."""

from collections.abc import Callable
from pathlib import Path

import pytest

from accounts.actors import SYSTEM
from accounts.memberships import remove_member
from accounts.models import Robot, User
from repositories.models import Repository
from tests import make
from tests.clients.command import Command
from tests.clients.docker_engine import DockerEngine, build_image, docker_for
from tests.conftest import Cast
from tests.registry_client import RegistryClient

pytestmark = pytest.mark.xdist_group("docker")  # one engine is enough for all of them

LogIn = Callable[[User | Robot, str], Command]


@pytest.fixture
def log_in(engine: DockerEngine, tmp_path: Path, host: str) -> LogIn:
    """Hand out docker logged in with a secret of one's choice."""

    def make_docker(who: User | Robot, secret: str) -> Command:
        docker = docker_for(engine, tmp_path / make.unique("home"))
        words = ("login", host, "-u", who.username, "--password-stdin")
        assert "Login Succeeded" in docker(*words, stdin=secret)
        return docker

    return make_docker


def test_a_robot_pushes_releases_and_nothing_else(
    log_in: LogIn,
    host: str,
    cast: Cast,
    alice: RegistryClient,
) -> None:
    repository = make.repository(cast.acme.namespace, make.unique("api"))
    robot, secret = make.robot(cast.acme.namespace)
    make.grant(repository, robot, "write", tags="release-*")
    docker = log_in(robot, secret)
    name = f"{host}/{repository.full_name}"
    build_image(docker, f"{name}:release-1")
    docker("push", f"{name}:release-1")
    docker("tag", f"{name}:release-1", f"{name}:main")
    said = docker.refused("push", f"{name}:main")
    assert (
        f"denied: push: refused, because {robot.username} has it on "
        f"*{repository.full_name}* only for tags like 'release-*', not for *main*"
    ) in said
    assert alice.tags(repository.full_name) == ["release-1"]


def test_a_read_token_cannot_push(
    log_in: LogIn, host: str, api: str, cast: Cast, alice: RegistryClient
) -> None:
    """Not even its owner's; for a repository that is there and for a new one."""
    secret = make.access_token(cast.alice, "read")
    docker = log_in(cast.alice, secret)
    for name in (api, f"{api}-new"):
        build_image(docker, f"{host}/{name}:v1")
        said = docker.refused("push", f"{host}/{name}:v1")
        assert "denied: push: refused, because the token *token-" in said
        assert "* does not allow it" in said
    assert alice.tags(api) == []


def test_a_reader_is_told_which_right_is_missing(
    log_in: LogIn, host: str, api: str, cast: Cast
) -> None:
    docker = log_in(cast.carol, cast.secrets[cast.carol.username])
    build_image(docker, f"{host}/{api}:v1")
    assert (
        f"denied: push: refused, because {cast.carol.username} has "
        f"*read* on *{api}*; *push* needs *write*"
    ) in docker.refused("push", f"{host}/{api}:v1")


@pytest.mark.parametrize("visibility", ["private", "public"])
def test_a_removed_member_is_refused_at_the_next_request(
    log_in: LogIn, host: str, cast: Cast, visibility: str
) -> None:
    """Without a new login; a member of before is told what a stranger is told."""
    person = make.user("former")
    team = make.team(cast.acme, person)
    repository: Repository = make.repository(
        cast.acme.namespace, make.unique("api"), visibility=visibility
    )
    make.grant(repository, team, "write")
    docker = log_in(person, make.access_token(person))
    name = f"{host}/{repository.full_name}"
    build_image(docker, f"{name}:v1")
    docker("push", f"{name}:v1")
    remove_member(team=team, user=person, actor=SYSTEM)
    docker("tag", f"{name}:v1", f"{name}:v2")
    said = docker.refused("push", f"{name}:v2")
    missing = (
        "role on *{0}*, or there is no such repository"
        if visibility == "private"
        else "role on *{0}*; *push* needs *write*"
    )
    why = missing.format(repository.full_name)
    assert f"denied: push: refused, because {person.username} has no {why}" in said
