"""Servers that may be killed: each with a data folder and a database of its own."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests import conftest
from tests.registry_client import RegistryClient
from tests.servers import BerthServer, LoadedServer, free_port

ADMIN = "admin"
ADMIN_PASSWORD = "a password for servers that die"
# An access token, since hashing the password for every token takes its time.
ISSUE_TOKEN = """
from accounts.actors import COMMAND_LINE
from accounts.models import User
from accounts.tokens import issue_access_token
admin = User.objects.get(username="admin")
print(issue_access_token(
    user=admin, name="faults", actions="admin", actor=COMMAND_LINE
)[1])
"""
MakeServer = Callable[..., LoadedServer]

_serial = itertools.count(1)
_admin_tokens: dict[Path, str] = {}


@pytest.fixture(scope="module")
def make_server(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeServer]:
    """Make a server, not started nor prepared; it is killed at the end.

    With ``beside``, one more server on the same data.
    """
    servers: list[LoadedServer] = []

    def make(beside: BerthServer | None = None, **environment: str) -> LoadedServer:
        if beside is None:
            folder, database_url = tmp_path_factory.mktemp("berth"), own_database()
        else:
            folder = beside.data_folder
            database_url = beside.environment.get("DATABASE_URL")
        server = LoadedServer(
            data_folder=folder,
            database_url=database_url,
            port=free_port(),
            **{
                "BERTH_ADMIN_PASSWORD": ADMIN_PASSWORD,
                "BERTH_WORKERS": "1",
                **environment,
            },
        )
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.kill()
        server.unload()


@pytest.fixture(scope="module")
def server(make_server: MakeServer) -> LoadedServer:
    """One server for the tests of a module, prepared and started."""
    made = make_server()
    made.manage("prepare")
    made.start()
    return made


def own_database() -> str | None:
    """Make a database on the run's PostgreSQL; SQLite is in the data folder anyway."""
    return conftest.own_database(f"berth_fault_{next(_serial)}")


def admin_of(server: BerthServer, http: httpx.Client) -> RegistryClient:
    """Return a client of the server's administrator, who owns the namespace admin."""
    folder = server.data_folder  # a port may come again
    if folder not in _admin_tokens:
        printed = server.manage("shell", "--no-imports", "-c", ISSUE_TOKEN)
        _admin_tokens[folder] = printed.split()[-1]
    return RegistryClient(http, server.url, ADMIN, _admin_tokens[folder])
