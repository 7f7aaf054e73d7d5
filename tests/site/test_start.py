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

from tests.registry_client import RegistryClient
from tests.servers import PROJECT_FOLDER, BerthServer, free_port

TIMEOUT_SECONDS = 60


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a first start: nothing but where to listen."""
    port = free_port()
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BERTH_", "DATABASE_", "REDIS_"))
    }
    return {
        **inherited,
        "BERTH_DATA": str(tmp_path / "data"),
        "BERTH_URL": f"http://localhost:{port}",
        "BERTH_LISTEN": f"127.0.0.1:{port}",
        "BERTH_WORKERS": "1",
    }


def prepare(environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", "prepare"],
        cwd=PROJECT_FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def test_the_first_start_shows_all_and_the_second_changes_nothing(
    environment: dict[str, str],
) -> None:
    data_folder = Path(environment["BERTH_DATA"])
    screen = prepare(environment)
    assert environment["BERTH_URL"] in screen
    assert re.search(r"administrator: +admin", screen)
    password = re.search(r"one-time password: +(\S+)", screen)
    assert password
    for command in ("docker login", "docker tag", "docker push"):
        assert f"{command} " in screen
    before = snapshot(data_folder)
    again = prepare(environment)
    assert password[1] not in again
    assert "admin" in again
    assert snapshot(data_folder) == before


def test_secrets_can_be_read_by_their_owner_only(environment: dict[str, str]) -> None:
    """I14."""
    prepare(environment)
    data_folder = Path(environment["BERTH_DATA"])
    assert stat.S_IMODE(data_folder.stat().st_mode) == 0o700
    secrets = [data_folder / "secret_key", *(data_folder / "keys").iterdir()]
    assert len(secrets) == 2
    for path in secrets:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_two_first_starts_at_once_agree(environment: dict[str, str]) -> None:
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
    prepare(environment)
    assert len(list((Path(environment["BERTH_DATA"]) / "keys").iterdir())) == 1


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_everything_starts_and_ends_together(
    environment: dict[str, str], end: signal.Signals
) -> None:
    """Web, worker and scheduler serve, and none of them outlives the command."""
    password = re.search(r"one-time password: +(\S+)", prepare(environment))
    assert password
    bin_folder = Path(sys.executable).parent
    procfile = (PROJECT_FOLDER / "Procfile").read_text()
    commands = procfile.replace(".venv/bin/", f"{bin_folder}/")
    folder = Path(environment["BERTH_DATA"]).parent
    (folder / "Procfile").write_text(commands)
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                str(bin_folder / "honcho"),
                *("-d", str(PROJECT_FOLDER), "-f", str(folder / "Procfile")),
                "start",
            ],
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        client = RegistryClient(
            httpx.Client(), environment["BERTH_URL"], "admin", password[1]
        )
        with client.http:
            wait_until_alive(client, process, log)
            assert client.get("/v2/").status_code == 200
        wait_for_words(log, process, ["worker", "scheduler"])
        children = descendants(process.pid)
        assert len(children) >= 3
        process.send_signal(end)
        process.wait(TIMEOUT_SECONDS)
        wait_until_gone(children)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_alive(
    client: RegistryClient, process: subprocess.Popen[bytes], log: Path
) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if client.http.get(f"{client.url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def wait_for_words(
    log: Path, process: subprocess.Popen[bytes], words: list[str]
) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not all(word in log.read_text() for word in words):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for child in children_of(pid):
        found |= {child} | descendants(child)
    return found


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


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
    assert "manage.py prepare" in done.stdout
    assert "honcho start" in done.stdout


def test_two_never_share_an_address(environment: dict[str, str]) -> None:
    """Else requests would go to the one or the other, as it happens."""
    prepare(environment)
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
        assert httpx.get(f"{first.url}/healthz").status_code == 200
