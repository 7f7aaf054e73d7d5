"""The unmodified docker, engine and client, against a live Berth."""

import base64
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from accounts.actors import SYSTEM
from accounts.models import Namespace, Robot, User
from accounts.organizations import create_organization
from repositories.models import Repository
from tests import make
from tests.clients.command import AsAnyone, Command
from tests.clients.docker_engine import DockerEngine, build_image, docker_for
from tests.clients.real_images import GREETING
from tests.conftest import Cast
from tests.pages import PageClient
from tests.registry_client import RegistryClient
from tests.servers import BerthServer

pytestmark = pytest.mark.xdist_group("docker")  # one engine is enough for all of them


@pytest.fixture
def docker_as(engine: DockerEngine, tmp_path: Path, host: str, cast: Cast) -> AsAnyone:
    """Hand out docker logged in as someone, or as nobody."""

    def log_in(who: User | Robot | None) -> Command:
        docker = docker_for(engine, tmp_path / (who.username if who else "nobody"))
        if who is not None:
            secret = cast.secrets[who.username]
            login = docker(
                "login", host, "-u", who.username, "--password-stdin", stdin=secret
            )
            assert "Login Succeeded" in login
        return docker

    return log_in


def run(docker: Command, name: str) -> str:
    return docker("run", "--rm", "--network=none", "--pull=never", name)


def test_image_is_built_pushed_removed_pulled_and_run(
    docker_as: AsAnyone, host: str, api: str, cast: Cast
) -> None:
    """UP-4, MAN-1, AUTH-10: the way from the README, with a reader at its end."""
    docker, name = docker_as(cast.bob), f"{host}/{api}:v1"
    build_image(docker, name)
    pushed = docker("push", name)
    digest = pushed.rpartition("digest: ")[2].split()[0]
    docker("rmi", name)
    assert "No such image" in docker.refused("image", "inspect", name)
    reader = docker_as(cast.carol)
    assert digest in reader("pull", name)
    assert run(reader, name) == GREETING
    reader("rmi", name)


def test_push_creates_the_repository_in_ones_own_namespace(
    docker_as: AsAnyone, host: str, cast: Cast, dave: RegistryClient
) -> None:
    """AUTH-14."""
    docker, name = docker_as(cast.dave), f"{cast.dave.username}/{make.unique('new')}"
    build_image(docker, f"{host}/{name}:v1")
    docker("push", f"{host}/{name}:v1")
    assert dave.tags(name) == ["v1"]


def test_robot_pushes(
    docker_as: AsAnyone, host: str, api: str, cast: Cast, robby: RegistryClient
) -> None:
    """H-9: a name with a plus sign in it."""
    docker = docker_as(cast.robby)
    build_image(docker, f"{host}/{api}:nightly")
    docker("push", f"{host}/{api}:nightly")
    assert robby.tags(api) == ["nightly"]


def test_sizes_in_the_manifest_are_the_real_ones(
    docker_as: AsAnyone, host: str, api: str, cast: Cast, bob: RegistryClient
) -> None:
    """R-01, R-02, UP-6: docker takes a layer's size from the Range that we answer."""
    docker, name = docker_as(cast.bob), f"{host}/{api}:sizes"
    build_image(docker, name, layer_count=3)
    docker("push", name)
    manifest = bob.get(f"/v2/{api}/manifests/sizes").json()
    assert len(manifest["layers"]) == 3
    for blob in [manifest["config"], *manifest["layers"]]:
        assert len(bob.pull_blob(api, blob["digest"])) == blob["size"]


def test_image_of_thirty_layers_goes_up_and_comes_back(
    docker_as: AsAnyone, host: str, api: str, cast: Cast
) -> None:
    """UP-12: docker sends five layers at a time and fetches three."""
    docker, name = docker_as(cast.bob), f"{host}/{api}:thirty"
    build_image(docker, name, layer_count=30)
    docker("push", name)
    docker("rmi", name)
    docker("pull", name)
    layers = docker("image", "inspect", "--format", "{{len .RootFS.Layers}}", name)
    assert layers.strip() == "30"
    assert run(docker, name) == GREETING
    docker("rmi", name)


def test_push_to_a_second_repository_mounts_the_layers(
    docker_as: AsAnyone, host: str, api: str, other: str, cast: Cast
) -> None:
    """MNT-1, R-17: docker asks with a token for both repositories."""
    docker = docker_as(cast.bob)
    build_image(docker, f"{host}/{api}:v1")
    docker("push", f"{host}/{api}:v1")
    docker("tag", f"{host}/{api}:v1", f"{host}/{other}:v1")
    assert f"Mounted from {api}" in docker("push", f"{host}/{other}:v1")


def test_second_push_of_the_same_image_finds_everything_there(
    docker_as: AsAnyone, host: str, api: str, cast: Cast
) -> None:
    """MAN-10, BLOB-2."""
    docker, name = docker_as(cast.bob), f"{host}/{api}:v1"
    build_image(docker, name)
    docker("push", name)
    again = docker("push", name)
    assert "Layer already exists" in again
    assert "Pushed" not in again


def test_all_tags_are_pushed_and_pulled(
    docker_as: AsAnyone, host: str, api: str, cast: Cast
) -> None:
    """TAG-1: `--all-tags` reads the list of tags."""
    docker, name = docker_as(cast.bob), f"{host}/{api}"
    tags = ["v1", "v1.2", "latest"]
    for tag in tags:
        build_image(docker, f"{name}:{tag}")
    docker("push", "--all-tags", name)
    docker("rmi", *(f"{name}:{tag}" for tag in tags))
    docker("pull", "--all-tags", name)
    present = docker("images", "--format", "{{.Tag}}", name).split()
    assert set(tags) <= set(present)


def test_pull_by_digest(docker_as: AsAnyone, host: str, api: str, cast: Cast) -> None:
    """G-4, R-12."""
    docker, name = docker_as(cast.bob), f"{host}/{api}:v1"
    build_image(docker, name)
    digest = docker("push", name).rpartition("digest: ")[2].split()[0]
    docker("rmi", name)
    docker("pull", f"{host}/{api}@{digest}")
    assert run(docker, f"{host}/{api}@{digest}") == GREETING


def test_multi_platform_index_is_pushed_and_pulled(
    docker_as: AsAnyone, host: str, api: str, cast: Cast, bob: RegistryClient
) -> None:
    """MAN-4, R-20, R-21: a manifest list moves the tag from a plain image."""
    docker, name = docker_as(cast.bob), f"{host}/{api}"
    for tag in ("first", "second", "all"):
        build_image(docker, f"{name}:{tag}")
        docker("push", f"{name}:{tag}")
    docker(
        "manifest", "create", "--insecure",
        f"{name}:all", f"{name}:first", f"{name}:second",
    )  # fmt: skip
    docker("manifest", "annotate", f"{name}:all", f"{name}:second", "--arch=s390x")
    docker("manifest", "push", "--insecure", f"{name}:all")
    assert len(bob.pull(f"{api}:all").children) == 2
    docker("rmi", f"{name}:first", f"{name}:second", f"{name}:all")
    docker("pull", f"{name}:all")
    assert run(docker, f"{name}:all") == GREETING


def test_name_without_a_namespace_is_an_official_image(
    docker_as: AsAnyone, host: str, cast: Cast
) -> None:
    """D-13: pushed and pulled under the short name, and under the long one too."""
    library = official_namespace(cast)
    repository = make.repository(library, make.unique("hello"), visibility="public")
    make.grant(repository, cast.bob, "write")
    docker, name = docker_as(cast.bob), f"{host}/{repository.name}:v1"
    build_image(docker, name)
    docker("push", name)
    docker("rmi", name)
    reader = docker_as(None)
    for spelled in (name, f"{host}/library/{repository.name}:v1"):
        reader("pull", spelled)
        assert run(reader, spelled) == GREETING
        reader("rmi", spelled)


def official_namespace(cast: Cast) -> Namespace:
    """Return library, which only the first test that wants it has to make."""
    library = Namespace.objects.filter(name="library").first()
    if library is None:
        library = create_organization(
            name="library", owner=cast.alice, is_official=True, actor=SYSTEM
        ).namespace
    return library


# --- who may


def test_stranger_pulls_a_public_image_but_no_private_one(
    docker_as: AsAnyone,
    host: str,
    private_api: Repository,
    public_api: Repository,
    cast: Cast,
) -> None:
    """AUTH-3, D-2: with a login and without one."""
    docker = docker_as(cast.bob)
    private = f"{host}/{private_api.full_name}:v1"
    public = f"{host}/{public_api.full_name}:v1"
    for name in (private, public):
        build_image(docker, name)
        docker("push", name)
        docker("rmi", name)
    for stranger in (docker_as(cast.dave), docker_as(None)):
        assert "denied" in stranger.refused("pull", private)
        stranger("pull", public)
        assert run(stranger, public) == GREETING
        stranger("rmi", public)


def test_reader_may_not_push(
    docker_as: AsAnyone, host: str, api: str, cast: Cast, bob: RegistryClient
) -> None:
    """AUTH-4."""
    docker = docker_as(cast.carol)
    build_image(docker, f"{host}/{api}:v1")
    assert "denied" in docker.refused("push", f"{host}/{api}:v1")
    assert bob.tags(api) == []


def test_push_to_someone_elses_namespace_is_denied_in_words(
    docker_as: AsAnyone, host: str, cast: Cast
) -> None:
    """AUTH-14, E-1."""
    docker = docker_as(cast.dave)
    name = f"{host}/{cast.acme.namespace.name}/{make.unique('planted')}:v1"
    build_image(docker, name)
    said = docker.refused("push", name)
    assert "denied:" in said or "unauthorized:" in said
    assert "<html" not in said.lower()


# --- logins


def test_login_with_a_wrong_password_fails(
    engine: DockerEngine, tmp_path: Path, host: str, cast: Cast
) -> None:
    """R-15."""
    docker = docker_for(engine, tmp_path / "wrong")
    said = docker.refused(
        "login", host, "-u", cast.alice.username, "--password-stdin", stdin="wrong"
    )
    assert "unauthorized" in said


def test_login_with_a_password(engine: DockerEngine, tmp_path: Path, host: str) -> None:
    """AUTH-10: the first login is with what the administrator typed."""
    person = make.user("erin", password="correct horse battery staple")
    docker = docker_for(engine, tmp_path / "erin")
    said = docker(
        "login", host, "-u", person.username, "--password-stdin",
        stdin="correct horse battery staple",
    )  # fmt: skip
    assert "Login Succeeded" in said


def test_logout_ends_the_access(
    docker_as: AsAnyone, host: str, api: str, cast: Cast
) -> None:
    """AUTH-3."""
    docker, name = docker_as(cast.bob), f"{host}/{api}:v1"
    build_image(docker, name)
    docker("push", name)
    docker("logout", host)
    docker("rmi", name)
    assert "denied" in docker.refused("pull", name)


def stored_login(folder: Path, host: str) -> dict[str, str]:
    """Return what docker stored of a login, as other tools read it."""
    config = json.loads((folder / "docker-config" / "config.json").read_text())
    login: dict[str, str] = config["auths"][host]
    return login


def test_other_tools_find_the_password_that_docker_stores(
    docker_as: AsAnyone, tmp_path: Path, host: str, cast: Cast
) -> None:
    """The kubelet, oras-py and Ratify read ``auth`` of config.json (C3)."""
    docker_as(cast.bob)
    login = stored_login(tmp_path / cast.bob.username, host)
    words = f"{cast.bob.username}:{cast.secrets[cast.bob.username]}"
    assert base64.b64decode(login["auth"]).decode() == words
    assert "identitytoken" not in login


def test_a_login_that_is_ended_on_the_pages_ends_the_access(
    engine: DockerEngine,
    tmp_path: Path,
    identity_server: BerthServer,
    api: str,
    cast: Cast,
) -> None:
    """With BERTH_IDENTITY_TOKENS docker keeps no password; its login ends (AUTH-31)."""
    host = urlsplit(identity_server.url).netloc
    docker = docker_for(engine, tmp_path / "bob")
    docker(
        "login", host, "-u", cast.bob.username, "--password-stdin",
        stdin=cast.secrets[cast.bob.username],
    )  # fmt: skip
    assert stored_login(tmp_path / "bob", host)["identitytoken"]
    name = f"{host}/{api}:v1"
    build_image(docker, name)
    docker("push", name)
    docker("rmi", name)
    with PageClient(f"http://{host}", cast.bob) as browser:
        page = browser.get("/settings/logins")
        assert "docker</th>" in page.text
        browser.post("/settings/logins", {"login": "all"}, page)
    assert "unauthorized" in docker.refused("pull", name)


# --- search


def test_search_finds_what_one_may_see(
    docker_as: AsAnyone,
    host: str,
    private_api: Repository,
    public_api: Repository,
    cast: Cast,
) -> None:
    """SRCH-1, SRCH-2, SRCH-4."""

    def found_by(who: User | None, repository: Repository) -> list[str]:
        docker = docker_as(who)
        query = f"{host}/{repository.name}"
        return docker("search", "--format", "{{.Name}}", query).split()

    for who in (None, cast.dave):
        assert public_api.full_name in found_by(who, public_api)
        assert private_api.full_name not in found_by(who, private_api)
    assert private_api.full_name in found_by(cast.bob, private_api)
