"""podman and skopeo, which share a library, against a live Berth."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.models import Robot, User
from repositories.models import Repository
from tests import make
from tests.clients.command import AsAnyone, Command
from tests.clients.greeting import greeting_program
from tests.clients.real_images import GREETING, greeting_image, write_oci_layout
from tests.conftest import Cast
from tests.images import index, some_bytes
from tests.programs import leave_out
from tests.registry_client import RegistryClient

PLAIN = "--tls-verify=false"  # podman and skopeo insist on TLS, on localhost too


def prepare_home(home: Path) -> dict[str, str]:
    """Write settings that trust every image, and say where the others are kept."""
    settings = home / ".config" / "containers"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "policy.json").write_text(
        '{"default": [{"type": "insecureAcceptAnything"}]}'
    )
    for name in ("registries.conf", "containers.conf"):
        (settings / name).touch()
    logins = home / "auth.json"
    if not logins.exists():
        logins.write_text("{}")
    return {
        "REGISTRY_AUTH_FILE": str(logins),
        "CONTAINERS_CONF": str(settings / "containers.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(settings / "registries.conf"),
    }


def log_in(command: Command, host: str, who: User | Robot, cast: Cast) -> None:
    said = command(
        "login", PLAIN, host, "-u", who.username, "--password-stdin",
        stdin=cast.secrets[who.username],
    )  # fmt: skip
    assert "Login Succeeded" in said


@pytest.fixture
def run_folder() -> Iterator[Path]:
    """A folder for what podman keeps of running containers: its path must be short."""
    with tempfile.TemporaryDirectory(prefix="berth-") as folder:
        yield Path(folder)


@pytest.fixture
def podman_as(tmp_path: Path, run_folder: Path, host: str, cast: Cast) -> AsAnyone:
    """Hand out podman logged in as someone, or as nobody; each stores for itself."""
    if os.geteuid() != 0:
        leave_out("podman is only tried as root")

    def make_podman(who: User | Robot | None) -> Command:
        home = tmp_path / (who.username if who else "nobody")
        podman = Command(
            "podman", home,
            f"--root={home / 'storage'}",
            f"--runroot={run_folder / home.name}",
            f"--tmpdir={run_folder / home.name / 'tmp'}",
            "--storage-driver=vfs",
            "--cgroup-manager=cgroupfs",
            "--events-backend=none",
            **prepare_home(home),
        )  # fmt: skip
        if who is not None:
            log_in(podman, host, who, cast)
        return podman

    return make_podman


@pytest.fixture
def skopeo_as(tmp_path: Path, host: str, cast: Cast) -> AsAnyone:
    """Hand out skopeo logged in as someone, or as nobody."""

    def make_skopeo(who: User | Robot | None) -> Command:
        home = tmp_path / (who.username if who else "nobody")
        # What it remembers of blobs is kept at home only if it is not root's.
        skopeo = Command(
            "skopeo", home, _CONTAINERS_ROOTLESS_UID="1000", **prepare_home(home)
        )
        if who is not None:
            log_in(skopeo, host, who, cast)
        return skopeo

    return make_skopeo


@pytest.fixture
def source(layout: str) -> str:
    """An image outside of any registry, as skopeo names it."""
    return f"oci:{layout}:v1"


def copy(skopeo: Command, source: str, target: str, *options: str) -> str:
    def plain(side: str, name: str) -> list[str]:
        remote = name.startswith("docker:")
        return [f"--{side}-tls-verify=false"] if remote else []

    flags = [*options, *plain("src", source), *plain("dest", target)]
    return skopeo("copy", *flags, source, target)


def inspect(skopeo: Command, name: str, *options: str) -> str:
    return skopeo("inspect", PLAIN, *options, name)


# --- podman


def build(podman: Command, name: str) -> None:
    context = podman.folder / "context"
    context.mkdir(exist_ok=True)
    program = context / "greet"
    program.write_bytes(greeting_program(GREETING))
    program.chmod(0o755)
    lines = ["FROM scratch", "COPY greet /greet", f'LABEL built-as="{name}"']
    (context / "Dockerfile").write_text("\n".join([*lines, 'CMD ["/greet"]']))
    podman("build", "--isolation=chroot", "--quiet", "--tag", name, str(context))


# podman asks for more than a root without CAP_SYS_RESOURCE may have.
LOW_LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")


def test_podman_builds_pushes_removes_pulls_and_runs(
    podman_as: AsAnyone, host: str, api: str, cast: Cast
) -> None:
    """UP-4, MAN-1, AUTH-10."""
    podman, name = podman_as(cast.bob), f"{host}/{api}:v1"
    build(podman, name)
    podman("push", PLAIN, name)
    podman("rmi", name)
    podman("pull", PLAIN, name)
    greeted = podman("run", "--rm", "--network=none", *LOW_LIMITS, name)
    assert greeted == GREETING


STORAGE = """
[storage]
driver = "overlay"
graphroot = "{root}"
runroot = "{run}"
[storage.options]
pull_options = {{enable_partial_images = "true"}}
"""


def test_podman_fetches_the_files_of_a_layer_by_ranges(
    tmp_path: Path, run_folder: Path, host: str, api: str, cast: Cast
) -> None:
    """A layer of zstd:chunked comes as ranges, each in a part of its own (BLOB-8)."""
    if os.geteuid() != 0:
        leave_out("podman is only tried as root")
    home = tmp_path / "partial"
    settings = prepare_home(home)
    root = home / "storage"
    text = STORAGE.format(root=root, run=run_folder / "run")
    (home / "storage.conf").write_text(text)
    podman = Command(
        "podman", home,
        f"--tmpdir={run_folder / 'tmp'}",
        "--cgroup-manager=cgroupfs",
        "--events-backend=none",
        CONTAINERS_STORAGE_CONF=str(home / "storage.conf"),
        **settings,
    )  # fmt: skip
    log_in(podman, host, cast.bob, cast)
    context = home / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY file* /\n")
    files = {f"file{n:02}": some_bytes(40_000 + n) for n in range(40)}
    for tag, name in (("v1", "file00"), ("v2", "file07")):
        files[name] = some_bytes(50_000)
        for file, content in files.items():
            (context / file).write_bytes(content)
        build = ("build", "--isolation=chroot", "--quiet", f"--tag={host}/{api}:{tag}")
        podman(*build, str(context))
        podman(
            "push", PLAIN, "--format=oci", "--compression-format=zstd:chunked",
            f"{host}/{api}:{tag}",
        )  # fmt: skip
    podman("rmi", "--all", "--force")
    for tag in ("v1", "v2"):
        done = podman.told("--log-level=debug", "pull", PLAIN, f"{host}/{api}:{tag}")
        assert "Retrieved partial blob" in done
    mounted = Path(podman("image", "mount", f"{host}/{api}:v2").strip())
    found = {path.name: path.read_bytes() for path in mounted.iterdir()}
    podman("image", "unmount", "--all")
    assert found == files


def test_podman_pulls_what_is_public_and_nothing_else(
    podman_as: AsAnyone,
    skopeo_as: AsAnyone,
    host: str,
    source: str,
    private_api: Repository,
    public_api: Repository,
    cast: Cast,
) -> None:
    """AUTH-3, D-2: with a login and without one."""
    private = f"{host}/{private_api.full_name}:v1"
    public = f"{host}/{public_api.full_name}:v1"
    skopeo = skopeo_as(cast.bob)
    for name in (private, public):
        copy(skopeo, source, f"docker://{name}")
    for stranger in (podman_as(cast.dave), podman_as(None)):
        said = stranger.refused("pull", PLAIN, private)
        assert "authentication required" in said or "denied" in said
        stranger("pull", PLAIN, public)


def test_podman_login_with_a_wrong_password_fails(
    podman_as: AsAnyone, host: str, cast: Cast
) -> None:
    """R-15."""
    said = podman_as(None).refused(
        "login", PLAIN, host, "-u", cast.alice.username, "--password-stdin",
        stdin="wrong",
    )  # fmt: skip
    assert "invalid username/password" in said


def test_podman_search_finds_what_is_public(
    podman_as: AsAnyone,
    host: str,
    private_api: Repository,
    public_api: Repository,
    cast: Cast,
) -> None:
    """SRCH-4: podman searches as nobody, whoever is logged in."""
    podman = podman_as(cast.bob)

    def found(repository: Repository) -> list[str]:
        query = f"{host}/{repository.name}"
        return podman("search", PLAIN, "--format", "{{.Name}}", query).split()

    assert f"{host}/{public_api.full_name}" in found(public_api)
    assert f"{host}/{private_api.full_name}" not in found(private_api)


def test_podman_search_lists_tags(
    podman_as: AsAnyone,
    skopeo_as: AsAnyone,
    host: str,
    source: str,
    api: str,
    cast: Cast,
) -> None:
    """TAG-1."""
    skopeo = skopeo_as(cast.bob)
    for tag in ("v1", "v2"):
        copy(skopeo, source, f"docker://{host}/{api}:{tag}")
    listed = podman_as(cast.bob)(
        "search", PLAIN, "--list-tags", "--format", "json", f"{host}/{api}"
    )
    assert json.loads(listed) == [{"Name": f"{host}/{api}", "Tags": ["v1", "v2"]}]


# --- skopeo


@pytest.mark.parametrize("transport", ["dir", "oci", "docker-archive"])
def test_skopeo_copies_to_a_folder_or_file_and_back(
    transport: str,
    skopeo_as: AsAnyone,
    host: str,
    source: str,
    api: str,
    cast: Cast,
    tmp_path: Path,
) -> None:
    """UP-4, MAN-4: OCI there, and Docker's own format by the way of its archive."""
    skopeo, name = skopeo_as(cast.bob), f"docker://{host}/{api}"
    copy(skopeo, source, f"{name}:v1")
    local = f"{transport}:{tmp_path / 'copy'}"
    copy(skopeo, f"{name}:v1", local)
    copy(skopeo, local, f"{name}:back")
    sent, returned = (
        json.loads(inspect(skopeo, f"{name}:{tag}", "--config"))
        for tag in ("v1", "back")
    )
    assert returned["rootfs"] == sent["rootfs"]
    if transport != "docker-archive":  # that one writes a manifest of its own
        digests = {
            inspect(skopeo, f"{name}:{tag}", "--format", "{{.Digest}}")
            for tag in ("v1", "back")
        }
        assert len(digests) == 1


def test_skopeo_inspects_and_lists_tags(
    skopeo_as: AsAnyone, host: str, source: str, api: str, cast: Cast
) -> None:
    """TAG-1, H-3."""
    skopeo, name = skopeo_as(cast.bob), f"docker://{host}/{api}"
    for tag in ("v1", "v2", "latest"):
        copy(skopeo, source, f"{name}:{tag}")
    seen = json.loads(inspect(skopeo, f"{name}:v2"))
    assert seen["Name"] == f"{host}/{api}"
    assert seen["RepoTags"] == ["latest", "v1", "v2"]
    assert len(seen["Layers"]) == 2
    listed = json.loads(skopeo("list-tags", PLAIN, name))
    assert listed["Tags"] == ["latest", "v1", "v2"]


def test_skopeo_deletes(
    skopeo_as: AsAnyone,
    host: str,
    source: str,
    api: str,
    cast: Cast,
    bob: RegistryClient,
) -> None:
    """DEL-1, DEL-5, R-27: it deletes the manifest, and so every tag of it."""
    skopeo, name = skopeo_as(cast.bob), f"docker://{host}/{api}"
    for tag in ("v1", "v2"):
        copy(skopeo, source, f"{name}:{tag}")
    skopeo("delete", PLAIN, f"{name}:v1")
    assert bob.tags(api) == []
    assert "manifest unknown" in skopeo.refused("inspect", PLAIN, f"{name}:v2")


def test_skopeo_delete_by_a_reader_is_refused(
    skopeo_as: AsAnyone,
    host: str,
    source: str,
    api: str,
    cast: Cast,
    bob: RegistryClient,
) -> None:
    """AUTH-4."""
    copy(skopeo_as(cast.bob), source, f"docker://{host}/{api}:v1")
    skopeo_as(cast.carol).refused("delete", PLAIN, f"docker://{host}/{api}:v1")
    assert bob.tags(api) == ["v1"]


def test_skopeo_copies_every_image_of_an_index(
    skopeo_as: AsAnyone,
    host: str,
    api: str,
    other: str,
    cast: Cast,
    bob: RegistryClient,
    tmp_path: Path,
) -> None:
    """MAN-4, R-37: byte for byte, from one repository to the next."""
    whole = index(greeting_image("amd64"), greeting_image("arm64"))
    source = f"oci:{write_oci_layout(tmp_path / 'index', whole)}:v1"
    skopeo = skopeo_as(cast.bob)
    copy(skopeo, source, f"docker://{host}/{api}:v1", "--all")
    there = [f"docker://{host}/{name}:v1" for name in (api, other)]
    copy(skopeo, there[0], there[1], "--all", "--preserve-digests")
    for name in (api, other):
        pulled = bob.pull(f"{name}:v1")
        assert pulled.digest == whole.digest
        assert {child.digest for child in pulled.children} == {
            child.digest for child in whole.children
        }


def test_skopeo_copy_between_repositories_mounts_the_blobs(
    skopeo_as: AsAnyone, host: str, source: str, api: str, other: str, cast: Cast
) -> None:
    """MNT-1, R-17."""
    skopeo = skopeo_as(cast.bob)
    copy(skopeo, source, f"docker://{host}/{api}:v1")
    source, target = (f"docker://{host}/{name}:v1" for name in (api, other))
    done = skopeo.told(
        "--debug", "copy", "--src-tls-verify=false", "--dest-tls-verify=false",
        source, target,
    )  # fmt: skip
    # It works on both layers at once, and does not always remember both of them.
    assert "... mount OK" in done


def test_skopeo_push_to_someone_elses_namespace_is_denied(
    skopeo_as: AsAnyone, host: str, source: str, cast: Cast
) -> None:
    """AUTH-14, R-14."""
    name = f"{host}/{cast.acme.namespace.name}/{make.unique('planted')}:v1"
    said = skopeo_as(cast.dave).refused(
        "copy", "--dest-tls-verify=false", source, f"docker://{name}"
    )
    assert "denied" in said or "authentication required" in said
