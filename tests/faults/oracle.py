"""The judge of every fault: `fsck_registry --deep` finds nothing, and rows say why.

assert_sound(server)                    a clean bill of health (I16)
rows(server, "SELECT ...")              what a server of its own has in its database
objects(server)                         the stored objects, by their keys
"""

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from distribution.fsck import run_checks
from tests.servers import BerthServer


def assert_sound(server: BerthServer) -> None:
    """Hold everything that is kept against everything that is promised.

    The server of the run has the settings of this process, which so can look itself.
    """
    if server.data_folder == settings.BERTH_DATA:
        assert run_checks(deep=True) == [], "the registry is not sound"
        return
    try:
        printed = server.manage("fsck_registry", "--deep", "--json")
    except RuntimeError as error:
        pytest.fail(f"the registry is not sound: {error}", pytrace=False)
    [report] = [line for line in printed.splitlines() if line.startswith("{")]
    assert json.loads(report)["problems"] == []


def rows(server: BerthServer, sql: str) -> list[tuple[Any, ...]]:
    """Return what a query finds in the server's own database."""
    url = server.environment.get("DATABASE_URL")
    if url:
        import psycopg2

        connection = psycopg2.connect(url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        finally:
            connection.close()
    lite = sqlite3.connect(server.data_folder / "berth.sqlite3")
    try:
        return list(lite.execute(sql).fetchall())
    finally:
        lite.close()


def blob_folder(server: BerthServer) -> Path:
    return server.data_folder / "blobs"


def objects(server: BerthServer) -> list[str]:
    """Return the keys of everything stored, by listing the folders themselves."""
    folder = blob_folder(server)
    return sorted(
        path.relative_to(folder).as_posix()
        for algorithm in ("sha256", "sha512")
        for path in (folder / algorithm).glob("*/*")
    )


def objects_of(server: BerthServer, digest: str) -> list[str]:
    """Return the keys of one blob's objects; there should be one at most."""
    name = digest.partition(":")[2]
    return [key for key in objects(server) if f"/{name}." in key]


def staged_bytes(server: BerthServer) -> int:
    """Return how many bytes of uploads lie around."""
    return sum(
        entry.stat().st_size for entry in os.scandir(blob_folder(server) / "uploads")
    )
