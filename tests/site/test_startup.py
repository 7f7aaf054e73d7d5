"""A start that cannot work ends with one sentence; one that has to wait waits."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import connection

from registry_site import startup
from registry_site.environment import unknown_settings
from tests.servers import (
    PROJECT_FOLDER,
    Postgres,
    bring_tables,
    free_port,
    run_postgres,
)
from tests.site.test_tls import write_certificate

TIMEOUT_SECONDS = 120


def environment_of(folder: Path, **variables: str) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BERTH_", "DATABASE_", "REDIS_", "EMAIL_"))
    }
    return {
        **inherited,
        "BERTH_DATA": str(folder / "data"),
        "BERTH_LISTEN": f"127.0.0.1:{free_port()}",
        **variables,
    }


def start(command: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", command],
        cwd=PROJECT_FOLDER,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refusal_of(command: str, environment: dict[str, str]) -> str:
    """Return what a command that must fail writes: one line, and no login."""
    process = start(command, environment)
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode not in {0, None}, out
    assert "Traceback" not in err
    assert "ready" not in out
    assert "password" not in out
    [line] = err.strip().splitlines()
    return line


# --- what is refused


def test_a_taken_address_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    """No password is shown by a start that fails (E7)."""
    environment = environment_of(tmp_path)
    port = int(environment["BERTH_LISTEN"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        line = refusal_of("run", environment)
    assert "BERTH_LISTEN" in line
    assert str(port) in line
    assert not (tmp_path / "data" / "berth.sqlite3").exists()


@pytest.fixture
def tls(tmp_path: Path, settings: Any) -> tuple[Path, Path]:
    settings.BERTH_TLS_CERT, settings.BERTH_TLS_KEY = write_certificate(tmp_path)
    return settings.BERTH_TLS_CERT, settings.BERTH_TLS_KEY


def test_a_certificate_that_fits_is_taken(tls: tuple[Path, Path]) -> None:
    startup.refuse_unusable_certificate()


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("another key", "do not belong together"),
        ("no certificate", "BERTH_TLS_CERT: cannot read"),
        ("no key", "BERTH_TLS_KEY: cannot read"),
        ("a folder", "BERTH_TLS_CERT: cannot read"),
        ("garbage", "BERTH_TLS_CERT: not a certificate"),
        ("swapped", "BERTH_TLS_CERT: not a certificate"),
        ("key is garbage", "BERTH_TLS_KEY: not a private key"),
        ("expired", "BERTH_TLS_CERT: the certificate expired on"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_refused(
    tls: tuple[Path, Path], tmp_path: Path, settings: Any, case: str, words: str
) -> None:
    """One sentence names the variable and what is wrong (E7)."""
    certificate, key = tls
    if case == "another key":
        other = tmp_path / "other"
        other.mkdir()
        settings.BERTH_TLS_KEY = write_certificate(other)[1]
    elif case == "no certificate":
        certificate.unlink()
    elif case == "no key":
        key.unlink()
    elif case == "a folder":
        settings.BERTH_TLS_CERT = tmp_path
    elif case == "garbage":
        certificate.write_text("garbage")
    elif case == "swapped":
        settings.BERTH_TLS_CERT, settings.BERTH_TLS_KEY = key, certificate
    elif case == "key is garbage":
        key.write_text("garbage")
    else:
        write_certificate(tmp_path, days=-1)
    with pytest.raises(CommandError) as refused:
        startup.refuse_unusable_certificate()
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_certificate_is_checked_before_a_start(tmp_path: Path) -> None:
    certificate, _ = write_certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    tls = {
        "BERTH_TLS_CERT": str(certificate),
        "BERTH_TLS_KEY": str(write_certificate(other)[1]),
    }
    assert "do not belong together" in refusal_of(
        "run", environment_of(tmp_path, **tls)
    )


def test_data_of_a_newer_version_is_refused(database: None) -> None:
    """Older code does not touch it, and says which version to install (E7)."""
    startup.refuse_newer_data()
    startup.refuse_older_data()
    for app in ("accounts", "an_app_of_the_future"):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied)"
                " VALUES (%s, '9999_of_the_future', CURRENT_TIMESTAMP)",
                [app],
            )
        try:
            with pytest.raises(CommandError, match="newer version of Berth") as refused:
                startup.refuse_newer_data()
            assert f"{app} 9999_of_the_future" in str(refused.value)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM django_migrations WHERE name LIKE '9999%'")


@pytest.mark.own_database
def test_serving_without_preparing_is_refused(tmp_path: Path) -> None:
    environment = environment_of(tmp_path)
    (tmp_path / "data").mkdir()
    assert "manage.py prepare" in refusal_of("serve", environment)


# --- what is warned of


def test_a_misspelt_setting_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """The warning names the setting that was meant (E7)."""
    monkeypatch.setenv("BERTH_PUSH_VISIBILTY", "public")
    monkeypatch.setenv("BERTH_SECRET_KEY_FILE", "/dev/null")
    monkeypatch.setenv("BERTH_COMPLETELY_OTHER_THINGS_THAT_ARE_LONG", "1")
    assert unknown_settings() == [
        "BERTH_COMPLETELY_OTHER_THINGS_THAT_ARE_LONG",
        "BERTH_PUSH_VISIBILTY",
    ]
    text = "\n".join(startup.list_warnings())
    assert "BERTH_PUSH_VISIBILTY is not a setting" in text
    assert "did you mean BERTH_PUSH_VISIBILITY?" in text
    assert "BERTH_SECRET_KEY_FILE" not in text


@pytest.mark.parametrize(
    ("host", "url", "is_warned"),
    [
        ("0.0.0.0", "http://localhost:8000", True),
        ("::", "http://127.0.0.1:8000", True),
        ("10.0.0.7", "http://localhost:8000", True),
        ("0.0.0.0", "http://registry.example.com", False),
        ("127.0.0.1", "http://localhost:8000", False),
        ("127.0.0.1", "https://registry.example.com", False),
    ],
)
def test_a_name_that_others_cannot_use_is_warned_of(
    settings: Any, host: str, url: str, is_warned: bool
) -> None:
    """Listening for other machines wants a BERTH_URL that they can reach (E6)."""
    settings.BERTH_LISTEN, settings.BERTH_URL = (host, 8000), url
    text = "\n".join(startup.list_warnings())
    assert ("BERTH_URL" in text) == is_warned, text


def test_verification_that_no_mail_can_reach_is_warned_of(settings: Any) -> None:
    settings.BERTH_EMAIL_VERIFICATION, settings.BERTH_SENDS_MAIL = "mandatory", False
    assert "EMAIL_URL" in "\n".join(startup.list_warnings())
    settings.BERTH_SENDS_MAIL = True
    assert "EMAIL_URL" not in "\n".join(startup.list_warnings())


# --- who may read the data


@pytest.mark.own_database
def test_an_open_data_folder_is_closed(tmp_path: Path) -> None:
    """Also one that was there before, whatever the umask of the operator is."""
    environment = environment_of(tmp_path)
    folder = tmp_path / "data"
    bring_tables(folder)
    for part in (folder, folder / "keys", folder / "blobs"):
        part.mkdir(exist_ok=True)
        part.chmod(0o755)
    for name in ("notes", "berth.sqlite3"):
        (folder / name).touch()
        (folder / name).chmod(0o644)
    before = os.umask(0o000)
    try:
        process = start("prepare", environment)
    finally:
        os.umask(before)
    _, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, err
    modes = {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in [folder, *folder.rglob("*")]
    }
    assert len(modes) > 8
    open_to_others = {name: oct(mode) for name, mode in modes.items() if mode & 0o077}
    assert not open_to_others


# --- PostgreSQL


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with run_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@dataclass(frozen=True)
class Start:
    """What a start wrote, and its status."""

    out: str
    err: str
    status: int


@pytest.fixture(scope="module")
def three_starts(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> list[Start]:
    """Starts at the same moment, on a database "fresh" that has no tables."""
    url = postgres.create_database("fresh")
    folder = tmp_path_factory.mktemp("starts")
    starts = [
        start("prepare", environment_of(folder / name, DATABASE_URL=url))
        for name in ("one", "two", "three")
    ]
    return [
        Start(*process.communicate(timeout=TIMEOUT_SECONDS), process.returncode)
        for process in starts
    ]


@pytest.mark.own_database
def test_starts_at_the_same_moment_wait_for_each_other(
    three_starts: list[Start],
) -> None:
    """Hosts that share a fresh PostgreSQL prepare it one after the other (E16)."""
    assert [one.status for one in three_starts] == [0, 0, 0], three_starts
    assert sum("one-time password" in one.out for one in three_starts) == 1


@pytest.mark.own_database
def test_a_start_waits_for_the_database(
    postgres: Postgres, three_starts: list[Start], tmp_path: Path
) -> None:
    """One line says what it waits for; then it continues or gives up (E7)."""
    url = postgres.create_database("late", like="fresh")  # it has its tables
    postgres.stop()
    try:
        process = start("prepare", environment_of(tmp_path, DATABASE_URL=url))
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "waiting up to 60 s for the database" in line
    finally:
        postgres.start()
    _, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, err
    assert err == ""


def test_a_database_that_never_answers_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from django.db import OperationalError

    def refuse() -> None:
        raise OperationalError("connection refused\nIs the server running?")

    said: list[str] = []
    monkeypatch.setattr(connection, "ensure_connection", refuse)
    monkeypatch.setattr(connection, "vendor", "postgresql")
    with pytest.raises(CommandError, match="DATABASE_URL") as refused:
        startup.wait_for_database(said.append, seconds=0.5)
    assert "\n" not in str(refused.value)
    assert len(said) == 1
