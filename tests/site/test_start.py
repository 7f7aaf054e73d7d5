"""What `make run` does after the installation: prepare, then three processes."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
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


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    return MakeRun(tmp_path)


@pytest.fixture
def environment(make_run: MakeRun) -> dict[str, str]:
    """The environment of a first start."""
    return make_run.environment


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def test_the_first_start_shows_all_and_the_second_changes_nothing(
    tmp_path: Path,
) -> None:
    make_run = MakeRun(tmp_path, has_tables=False)
    data_folder = Path(make_run.environment["BERTH_DATA"])
    screen = make_run.prepare()
    assert make_run.url in screen
    assert re.search(r"administrator: +admin", screen)
    password = re.search(r"one-time password: +(\S+)", screen)
    assert password
    for command in ("docker login", "docker import", "docker push"):
        assert f"{command} " in screen
    before = snapshot(data_folder)
    again = make_run.prepare()
    assert password[1] not in again
    assert "admin" in again
    assert snapshot(data_folder) == before


def test_secrets_can_be_read_by_their_owner_only(
    make_run: MakeRun, environment: dict[str, str]
) -> None:
    """I14."""
    make_run.prepare()
    data_folder = Path(environment["BERTH_DATA"])
    assert stat.S_IMODE(data_folder.stat().st_mode) == 0o700
    secrets = [data_folder / "secret_key", *(data_folder / "keys").iterdir()]
    assert len(secrets) == 2
    for path in secrets:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


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
    make_run: MakeRun, end: signal.Signals
) -> None:
    """Web serves while worker and scheduler are killed; nothing outlives the command.

    (E3)
    """
    password = re.search(r"one-time password: +(\S+)", make_run.prepare())
    assert password
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


def test_two_never_share_an_address(
    make_run: MakeRun, environment: dict[str, str]
) -> None:
    """Else requests would go to the one or the other, as it happens."""
    make_run.prepare()
    port = int(environment["BERTH_LISTEN"].rpartition(":")[2])
    first = BerthServer(data_folder=Path(environment["BERTH_DATA"]), port=port)
    with first:
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
        assert httpx.get(f"{first.url}/healthz", timeout=60).status_code == 200
