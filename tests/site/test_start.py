"""What `make run` does after the installation: prepare, then three processes."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.registry_client import RegistryClient
from tests.servers import PROJECT_FOLDER, BerthServer, MakeRun, children_of

pytestmark = pytest.mark.own_database

TIMEOUT_SECONDS = 60
END_SECONDS = 15.0  # from SIGTERM or Ctrl-C to the end of everything


@dataclass(frozen=True)
class FirstStart:
    """A Berth that was prepared with no tables, and what its screen said."""

    make_run: MakeRun
    screen: str
    data_folder: Path
    modes: dict[str, int]  # of all that it made, by path


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> FirstStart:
    """One first start for all tests of this file that need no other."""
    make_run = MakeRun(tmp_path_factory.mktemp("first"), has_tables=False)
    before = os.umask(0o000)  # an operator's, who lets everyone read everything
    try:
        screen = make_run.prepare()
    finally:
        os.umask(before)
    folder = Path(make_run.environment["BERTH_DATA"])
    modes = {
        path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in [folder, *folder.rglob("*")]
    }
    return FirstStart(make_run, screen, folder, modes)


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    return MakeRun(tmp_path)


@pytest.fixture
def environment(make_run: MakeRun) -> dict[str, str]:
    """The environment of a first start, whose tables are there."""
    return make_run.environment


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def test_the_first_start_shows_all_and_the_second_changes_nothing(
    first: FirstStart,
) -> None:
    assert first.make_run.url in first.screen
    assert re.search(r"administrator: +admin", first.screen)
    password = re.search(r"one-time password: +(\S+)", first.screen)
    assert password
    for command in ("docker login", "docker import", "docker push"):
        assert f"{command} " in first.screen
    before = snapshot(first.data_folder)
    again = first.make_run.prepare()
    assert password[1] not in again
    assert "admin" in again
    assert snapshot(first.data_folder) == before


def test_what_it_makes_can_be_read_by_its_owner_only(first: FirstStart) -> None:
    """Secrets, database, and all else, whatever the umask of the operator is (I14)."""
    modes = first.modes
    secrets = ["secret_key", *(name for name in modes if name.startswith("keys/"))]
    assert len(secrets) == 2
    assert {modes[name] for name in secrets} == {0o600}
    assert modes["."] == 0o700
    assert "berth.sqlite3" in modes
    assert not {name: oct(mode) for name, mode in modes.items() if mode & 0o077}


KEY_WITH_A_PASSPHRASE = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    .decode()
)


def prepare_with(
    environment: dict[str, str], **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "prepare"],
        cwd=PROJECT_FOLDER,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BERTH_DATA", "/dev/null/data"),
        ("BERTH_TOKEN_KEY", "garbage"),
        ("BERTH_TOKEN_KEY", KEY_WITH_A_PASSPHRASE),
    ],
    ids=["folder", "garbage", "passphrase"],
)
def test_what_cannot_be_prepared_is_refused_by_name(
    environment: dict[str, str], name: str, value: str
) -> None:
    done = prepare_with(environment, **{name: value})
    assert done.returncode != 0
    assert name in done.stderr
    assert "Traceback" not in done.stderr
    assert "garbage" not in done.stderr


def test_a_data_folder_that_is_in_the_way_of_itself_is_refused_by_name(
    environment: dict[str, str],
) -> None:
    folder = Path(environment["BERTH_DATA"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "keys").write_text("a file, and no folder")
    done = prepare_with(environment)
    assert done.returncode != 0
    assert "BERTH_DATA" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_that_is_given_is_not_copied(
    environment: dict[str, str], tmp_path: Path
) -> None:
    given = tmp_path / "given"
    given.write_text("k" * 50)
    kept = Path(environment["BERTH_DATA"]) / "secret_key"
    done = prepare_with(environment, BERTH_SECRET_KEY_FILE=str(given))
    assert done.returncode == 0, done.stderr
    assert not kept.exists()
    done = prepare_with(environment, BERTH_SECRET_KEY="")  # as compose files pass it
    assert done.returncode == 0, done.stderr
    assert len(kept.read_text()) >= 50, "every process is to have the same"


def test_two_first_starts_at_once_agree(
    make_run: MakeRun, environment: dict[str, str]
) -> None:
    """One secret key, one signing key, one administrator."""
    starts = [
        subprocess.Popen(
            [sys.executable, "manage.py", "prepare"],
            cwd=PROJECT_FOLDER,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for start in starts:
        start.communicate(timeout=TIMEOUT_SECONDS)
    assert 0 in {start.returncode for start in starts}
    make_run.prepare()
    assert len(list((Path(environment["BERTH_DATA"]) / "keys").iterdir())) == 1


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_everything_starts_and_ends_together(
    first: FirstStart, end: signal.Signals
) -> None:
    """Web serves while worker and scheduler are killed; nothing outlives the command.

    (E3)
    """
    password = re.search(r"one-time password: +(\S+)", first.screen)
    assert password
    make_run = first.make_run
    make_run.start()
    try:
        assert make_run.process is not None
        with httpx.Client(timeout=60) as http:
            client = RegistryClient(http, make_run.url, "admin", password[1])
            assert client.get("/v2/").status_code == 200
            wait_for_words(make_run, ["Berth is ready"])
            children = children_of(make_run.process.pid)
            for name, pid in zip(("web", "worker", "scheduler"), children, strict=True):
                if name != "web":
                    os.kill(pid, signal.SIGKILL)
                    wait_for_words(make_run, [f"{name} was ended by SIGKILL"])
                    assert client.get("/v2/").status_code == 200
        everything = descendants(make_run.process.pid)
    finally:
        began = time.monotonic()
        make_run.stop(end)
    assert time.monotonic() - began < END_SECONDS
    wait_until_gone(everything)


def wait_for_words(make_run: MakeRun, words: list[str]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not all(word in make_run.log() for word in words):
        assert time.monotonic() < deadline, make_run.log()
        time.sleep(0.1)


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for child in children_of(pid):
        found |= {child} | descendants(child)
    return found


def wait_until_gone(pids: set[int]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while alive := {pid for pid in pids if Path(f"/proc/{pid}").exists()}:
        assert time.monotonic() < deadline, f"still there: {alive}"
        time.sleep(0.1)


def test_make_is_all_that_the_readme_asks_for() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(
        ["make", "-n", "run"],
        cwd=PROJECT_FOLDER,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "manage.py run" in done.stdout


def test_two_never_share_an_address(first: FirstStart) -> None:
    """Else requests would go to the one or the other, as it happens."""
    environment = first.make_run.environment
    port = int(environment["BERTH_LISTEN"].rpartition(":")[2])
    server = BerthServer(data_folder=first.data_folder, port=port)
    with server:
        second = subprocess.run(
            [sys.executable, "manage.py", "serve"],
            cwd=PROJECT_FOLDER,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert second.returncode != 0
        assert "BERTH_LISTEN" in second.stderr
        assert "Traceback" not in second.stderr
        assert httpx.get(f"{server.url}/healthz", timeout=60).status_code == 200
