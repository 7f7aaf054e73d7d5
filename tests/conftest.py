"""What every test stands on: the environment, one database, one live server, people.

One folder per run holds, for every xdist worker, a BERTH_DATA and a live server of its
own. Tests and server share the database, nothing is rolled back, and nothing collides,
because names come from make.unique(). BERTH_TEST_DATABASE=sqlite|postgres chooses.

The people are the same everywhere (docs/development/permissions.md):

    alice   owns the organization acme, and so acme/api
    bob     writes through the team backend of acme
    carol   reads acme/api
    dave    is a stranger
    robby   is a robot of acme and writes to acme/api
    anonymous
"""

import fcntl
import gc
import inspect
import logging
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from types import FunctionType
from typing import Any

import httpx
import pytest

from tests.s3_servers import Moto, SeaweedFS
from tests.servers import (
    BerthServer,
    Postgres,
    bring_tables,
    keep_tables,
    reserve_port,
)

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
IS_CONTROLLER = WORKER == "main"
TEST_DATABASE = os.environ.get("BERTH_TEST_DATABASE", "sqlite")
SERVER = pytest.StashKey[BerthServer]()
ABOUT_DISKS = {
    f"faults/test_{name}.py" for name in ("full_disk", "full_disks", "wrong_store")
}

SLOW_FOLDERS = {"browser", "clients", "demo", "faults"}
SHARED_FIXTURES = {"registry"}  # one server for the run, so it costs a test nothing

_postgres: Postgres | None = None
_reserved_port = reserve_port()  # kept until the server starts, so that nobody takes it


def _prepare_environment() -> None:
    """Set what Django's settings read; they are loaded after this module."""
    if TEST_DATABASE not in {"sqlite", "postgres"}:
        raise pytest.UsageError("BERTH_TEST_DATABASE is sqlite or postgres")
    if IS_CONTROLLER:  # the workers inherit it
        os.environ["BERTH_TEST_FOLDER"] = tempfile.mkdtemp(prefix="berth-tests-")
    data_folder = _run_folder() / WORKER
    data_folder.mkdir()
    for name in [name for name in os.environ if name.startswith("BERTH_")]:
        if not name.startswith("BERTH_TEST_"):
            del os.environ[name]  # a developer's own registry is not to be touched
    for name in list(os.environ):
        if name in {"DATABASE_URL", "REDIS_URL", "EMAIL_URL"} or name.startswith(
            "AWS_"
        ):
            del os.environ[name]
    # Else each of the hundreds of processes that tests start compiles Berth again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["DJANGO_SETTINGS_MODULE"] = "registry_site.settings"
    os.environ["BERTH_DATA"] = str(data_folder)
    os.environ["BERTH_SECRET_KEY"] = secrets.token_urlsafe(50)
    os.environ["BERTH_URL"] = f"http://localhost:{_reserved_port.getsockname()[1]}"
    os.environ["BERTH_SPARSE_NAMESPACES"] = "sparse"
    for name in ("BERTH_API_RATE", "BERTH_API_ANONYMOUS_RATE"):
        os.environ[name] = "1000000/minute"  # tests are busier than people
    os.environ["BERTH_RATES"] = "invitations=none,searches=none,stars=none"
    if TEST_DATABASE == "postgres":
        os.environ["DATABASE_URL"] = _create_postgres_database()


def _run_folder() -> Path:
    return Path(os.environ["BERTH_TEST_FOLDER"])


def _create_postgres_database() -> str:
    global _postgres
    # One server for the run: the workers find the controller's by its folder.
    _postgres = Postgres(_run_folder() / "postgres", restart=IS_CONTROLLER)
    return _postgres.create_database(f"berth_{WORKER}")


_prepare_environment()

# The models want the settings, and those the environment.
import django  # noqa: E402
from django.conf import settings  # noqa: E402

django.setup()
settings.PASSWORD_HASHERS = ["tests.hashing.CheapHasher"]
gc.disable()  # until the tests begin; nothing that is loaded for them is garbage

from accounts.models import (  # noqa: E402
    FailedAttempts,
    Organization,
    Robot,
    Team,
    User,
)
from repositories.models import Repository  # noqa: E402
from tests import make  # noqa: E402
from tests.clients.docker_engine import DockerEngine  # noqa: E402
from tests.faults.oracle import assert_sound  # noqa: E402
from tests.registry_client import RegistryClient  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    _close_foreign_sockets()
    _load_authorities_once()
    # A line for every request of every test helps nobody; failures say what they saw.
    logging.getLogger("httpx").setLevel(logging.WARNING)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Let xdist's workers load the settings by themselves, each with its own folder.

    They inherit the environment, and with this variable in it pytest-django would load
    them before the worker's conftest has said where its data is.
    """
    if IS_CONTROLLER:
        os.environ.pop("DJANGO_SETTINGS_MODULE", None)


def pytest_unconfigure(config: pytest.Config) -> None:
    _reserved_port.close()  # of a process that started no server
    if _postgres is not None:
        _postgres.stop()
    if IS_CONTROLLER:
        shutil.rmtree(_run_folder(), ignore_errors=True)


def _close_foreign_sockets() -> None:
    """Let tests connect to this machine only."""
    connect = socket.socket.connect

    def connect_locally(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            host = str(address[0])
            if host not in {"localhost", "::1"} and not host.startswith("127."):
                raise RuntimeError(f"a test tried to reach {host}")
        connect(self, address)

    socket.socket.connect = connect_locally  # type: ignore[method-assign, assignment]


def _load_authorities_once() -> None:
    """Let the clients of httpx share what they would load, each of them, in 20 ms.

    That is the certificates of all authorities, and hardly a test uses TLS. The
    variables choose others.
    """
    module: Any = httpx._transports.default
    make_context = module.create_ssl_context

    @cache
    def load(verify: Any, cert: Any, *variables: Any) -> ssl.SSLContext:
        context: ssl.SSLContext = make_context(verify, cert, bool(variables))
        return context

    def shared(verify: Any = True, cert: Any = None, trust_env: bool = True) -> Any:
        names = ("SSL_CERT_FILE", "SSL_CERT_DIR") if trust_env else ()
        return load(verify, cert, *map(os.environ.get, names))

    module.create_ssl_context = shared


# --- what was not run, and the server's word on a failure


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List what was not run, and why; a reader should not have to ask for it."""
    reasons: dict[str, int] = defaultdict(int)
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        reasons[reason.removeprefix("Skipped: ")] += 1
    terminalreporter.section("not run, and why")
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count:4} {reason}")
    if not reasons:
        terminalreporter.line("   0 (everything that was selected was run)")
    if others := len(terminalreporter.stats.get("deselected", [])):
        terminalreporter.line(f"{others:4} left to another run (Makefile, -m or -k)")
    terminalreporter.line(f"     database of this run: {TEST_DATABASE}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what the second database would repeat, shares a server, or is slow."""
    for item in items:
        if not item.get_closest_marker("xdist_group") and (group := _group_of(item)):
            item.add_marker(pytest.mark.xdist_group(group))
        if _is_slow(item):
            item.add_marker("slow")
        if _is_the_same_on_every_database(item):
            item.add_marker("once")
        elif _broker_of(item) == "redis":
            item.add_marker("on_postgres")


def _group_of(item: pytest.Item) -> str:
    """Return whose fixtures, such as a server, the test shares, "" if it shares none.

    A group runs in one process: in two, all of it would be started twice.
    """
    if "identity_server" in getattr(item, "fixturenames", ()):
        return "identity_server"
    is_shared = _shares_with_module(item)
    return f"{item.path.parent.name}/{item.path.stem}" if is_shared else ""


def _shares_with_module(item: pytest.Item) -> bool:
    """Tell whether a fixture of the test is made once per module."""
    info: Any = getattr(item, "_fixtureinfo", None)
    return info is not None and any(
        fixture.scope == "module"
        for fixtures in info.name2fixturedefs.values()
        for fixture in fixtures
    )


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a pytest whose groups xdist does not know: engines would start twice."""
    if not getattr(session.config.option, "loadgroup", False):
        return
    for item in session.items:
        if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid} is not in its group")


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Iterator[Any]:
    """Look for no garbage in what was loaded and collected: that took five seconds."""
    gc.freeze()
    gc.enable()
    return (yield)


def _is_the_same_on_every_database(item: pytest.Item) -> bool:
    """Tell whether a test is about clients, browsers, disks or brokers, or has no rows.

    Of the two brokers, SQLite is tried beside files and PostgreSQL beside Redis.
    """
    path = item.path.relative_to(Path(__file__).parent)
    return (
        path.parts[0] in {"browser", "clients"}
        or path.as_posix() in ABOUT_DISKS
        or _broker_of(item) == "folder"
        or "django_db_setup" not in getattr(item, "fixturenames", ())
    )


def _is_slow(item: pytest.Item) -> bool:
    """Tell whether a test needs a browser, a client, a fault or servers of its own.

    The live server of the run is not its own. What else takes long has the marker in
    its file.
    """
    path = item.path.relative_to(Path(__file__).parent)
    if path.parts[0] in SLOW_FOLDERS or item.get_closest_marker("own_database"):
        return True
    info: Any = getattr(item, "_fixtureinfo", None)
    fixtures = info.name2fixturedefs if info is not None else {}
    functions = [
        fixture.func
        for name, found in fixtures.items()
        for fixture in found
        if name not in SHARED_FIXTURES
    ]
    return any(
        _starts_processes(function)
        for function in (getattr(item, "function", None), *functions)
        if inspect.isfunction(function)
    )


@cache
def _starts_processes(function: FunctionType) -> bool:
    """Tell whether a function, or what it calls of tests/, starts another process."""
    left, seen = [function], set()
    while left:
        function = inspect.unwrap(left.pop())
        used = [function.__globals__.get(name) for name in function.__code__.co_names]
        if subprocess in used:
            return True
        seen.add(function)
        called = {called for value in used for called in _functions_of_tests(value)}
        left += called - seen
    return False


def _functions_of_tests(value: Any) -> list[FunctionType]:
    """Return a function of tests/, or the methods of a class of tests/."""
    if not str(getattr(value, "__module__", "")).startswith("tests."):
        return []
    if inspect.isclass(value):
        return [method for method in vars(value).values() if inspect.isfunction(method)]
    return [value] if inspect.isfunction(value) else []


def _broker_of(item: pytest.Item) -> str:
    broker = getattr(getattr(item, "callspec", None), "params", {}).get("stack", "")
    return broker if isinstance(broker, str) else ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[Any]:
    """Remember where the server's log stood before the test."""
    server = item.session.stash.get(SERVER, None)
    item.user_properties.append(("log_start", server.log_size() if server else 0))
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    """Show what the server logged during a test that failed."""
    report: Any = yield
    server = item.session.stash.get(SERVER, None)
    if report.failed and server is not None:
        start: Any = dict(item.user_properties).get("log_start", 0)
        report.sections.append(("log of the live server", server.log_tail(start)))
    return report


# --- services like S3; a module that uses one is in xdist's group "s3"


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    with SeaweedFS(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    with Moto() as server:
        yield server


# --- database and server


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: Any) -> None:
    """Make the run's database as an operator would, and leave it open to the tests."""
    from django.core.management import call_command

    django_db_blocker.unblock()
    with (_run_folder() / "tables.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one worker makes them, and the others wait
        if not _bring_tables():
            call_command("migrate", verbosity=0)
            _keep_tables()
    call_command("prepare", stdout=StringIO())


def _bring_tables() -> bool:
    """Take the empty tables of the run, if another worker has made them."""
    if _postgres is None:
        return bring_tables(Path(os.environ["BERTH_DATA"]))
    if not _tables_of_postgres().exists():
        return False
    name = f"berth_{WORKER}"
    _postgres.drop_database(name)
    _postgres.create_database(name, like="tables")
    return True


def _keep_tables() -> None:
    """Keep the empty tables, so that other servers of this run need not make them."""
    from django.db import connection

    if _postgres is None:
        with connection.cursor() as cursor:
            keep_tables(lambda path: cursor.execute("VACUUM INTO %s", [str(path)]))
    else:
        connection.close()
        _postgres.create_database("tables", like=f"berth_{WORKER}")
        _tables_of_postgres().touch()


def _tables_of_postgres() -> Path:
    return _run_folder() / "tables.postgres"


def own_database(name: str) -> str | None:
    """Make a database with tables on the run's PostgreSQL, None on SQLite."""
    if _postgres is None:
        return None
    return _postgres.create_database(f"{name}_{WORKER}", like="tables")


@pytest.fixture
def database(django_db_setup: None) -> Iterator[None]:
    """Rows for the test, shared with the live server and never rolled back."""
    from django.db import connection

    yield
    assert not connection.in_atomic_block, "the test left a transaction open"


@pytest.fixture(scope="session")
def registry(
    request: pytest.FixtureRequest, django_db_setup: None
) -> Iterator[BerthServer]:
    """The live server that the tests speak to."""
    _reserved_port.close()
    server = BerthServer(
        data_folder=Path(os.environ["BERTH_DATA"]),
        database_url=os.environ.get("DATABASE_URL"),
        port=int(os.environ["BERTH_URL"].rpartition(":")[2]),
        DJANGO_SETTINGS_MODULE="tests.settings",
    )
    with server:
        request.session.stash[SERVER] = server
        yield server
        # Else a fault test would fail for what a test before it has planted.
        assert_sound(server)


@pytest.fixture(scope="session")
def identity_server(django_db_setup: None) -> Iterator[BerthServer]:
    """The same database, behind a server that issues identity tokens to docker."""
    server = BerthServer(
        data_folder=Path(os.environ["BERTH_DATA"]),
        database_url=os.environ.get("DATABASE_URL"),
        BERTH_WORKERS="1",
        BERTH_IDENTITY_TOKENS="true",
        DJANGO_SETTINGS_MODULE="tests.settings",
    )
    with server:
        yield server


@pytest.fixture(autouse=True)
def _forgive_failed_sign_ins(request: pytest.FixtureRequest) -> None:
    """Let no test be blocked for the wrong passwords of those before it."""
    if "registry" in request.fixturenames and FailedAttempts.objects.exists():
        FailedAttempts.objects.all().delete()


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    """Connections to the live server, shared by everybody (it sets no cookies, H-2)."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=40)
    # A connection that the server closes at the moment of reuse is not what tests
    # are about; httpx repeats only what was never sent.
    transport = httpx.HTTPTransport(limits=limits, retries=1)
    with httpx.Client(transport=transport, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    """The docker engine of this run."""
    engine = DockerEngine()
    yield engine
    engine.stop()


# --- people


@dataclass(frozen=True)
class Cast:
    """The people of one run, and their organization."""

    alice: User
    bob: User
    carol: User
    dave: User
    robby: Robot
    acme: Organization
    backend: Team
    secrets: dict[str, str]


@pytest.fixture(scope="session")
def cast(django_db_setup: None) -> Iterator[Cast]:
    """Make the people once; what they may do is each test's own repository."""
    alice, bob, carol, dave = (
        make.user(name) for name in ("alice", "bob", "carol", "dave")
    )
    acme = make.organization(owner=alice)
    robby, robot_token = make.robot(acme.namespace)
    backend = make.team(acme, bob)
    secrets = {
        person.username: make.access_token(person)
        for person in (alice, bob, carol, dave)
    }
    secrets[robby.username] = robot_token
    yield Cast(alice, bob, carol, dave, robby, acme, backend, secrets)
    left = backend.memberships.exclude(user=bob)
    assert not left, f"a test left members in everybody's team: {list(left)}"
    strangers = acme.teams.filter(memberships__user__in=[carol, dave])
    assert not strangers, f"a test left carol or dave in {list(strangers)}"


def _client(cast: Cast, registry: BerthServer, http: httpx.Client, who: Any) -> Any:
    return RegistryClient(http, registry.url, who.username, cast.secrets[who.username])


@pytest.fixture
def alice(cast: Cast, registry: BerthServer, http: httpx.Client) -> RegistryClient:
    return _client(cast, registry, http, cast.alice)


@pytest.fixture
def bob(cast: Cast, registry: BerthServer, http: httpx.Client) -> RegistryClient:
    return _client(cast, registry, http, cast.bob)


@pytest.fixture
def carol(cast: Cast, registry: BerthServer, http: httpx.Client) -> RegistryClient:
    return _client(cast, registry, http, cast.carol)


@pytest.fixture
def dave(cast: Cast, registry: BerthServer, http: httpx.Client) -> RegistryClient:
    return _client(cast, registry, http, cast.dave)


@pytest.fixture
def robby(cast: Cast, registry: BerthServer, http: httpx.Client) -> RegistryClient:
    return _client(cast, registry, http, cast.robby)


@pytest.fixture
def anonymous(registry: BerthServer, http: httpx.Client) -> RegistryClient:
    return RegistryClient(http, registry.url)


def _make_api(cast: Cast, visibility: str) -> Repository:
    repository = make.repository(
        cast.acme.namespace, make.unique("api"), visibility=visibility
    )
    make.grant(repository, cast.backend, "write")
    make.grant(repository, cast.carol, "read")
    make.grant(repository, cast.robby, "write")
    return repository


@pytest.fixture
def private_api(cast: Cast) -> Repository:
    """acme/api, private: bob and robby write, carol reads."""
    return _make_api(cast, "private")


@pytest.fixture
def unsound_api(private_api: Repository) -> Iterator[Repository]:
    """acme/api, private, for rows that fsck_registry would not pass; then it goes."""
    yield private_api
    Repository.objects.filter(pk=private_api.pk).delete()


@pytest.fixture
def public_api(cast: Cast) -> Repository:
    """acme/api, public: bob and robby write, everybody reads."""
    return _make_api(cast, "public")


@pytest.fixture
def api(private_api: Repository) -> str:
    """The full name of a private repository of acme that nobody has pushed to."""
    return private_api.full_name


@pytest.fixture
def other(cast: Cast) -> str:
    """The full name of a second private repository, of the same people."""
    return _make_api(cast, "private").full_name
