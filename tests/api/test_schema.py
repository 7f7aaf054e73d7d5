"""The API keeps what its own description promises, to everybody (schemathesis).

A server of its own is asked, since much is made, changed and deleted. All checks are
on. BERTH_TEST_SCHEMA_EXAMPLES=200 asks for longer.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import conftest
from tests.programs import is_ci
from tests.servers import BerthServer

EXAMPLES = os.environ.get("BERTH_TEST_SCHEMA_EXAMPLES", "3")
# The administrator, whom no check of rights stops, asks on PostgreSQL, which refuses
# more, and tries every edge of every field there. The others ask on SQLite.
PHASES = (
    {"administrator": "coverage,fuzzing"}
    if conftest.TEST_DATABASE == "postgres"
    else {"anonymous": "fuzzing", "member": "fuzzing"}
)
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")

# A user who owns an organization with a repository, and tokens of both people.
MAKE_PEOPLE = """
from accounts.actors import COMMAND_LINE
from accounts.authentication import actor_of
from accounts.models import AccessToken, User
from accounts.organizations import create_organization
from accounts.tokens import issue_access_token
from accounts.users import create_user
from repositories.lifecycle import create_repository
member = create_user(username="member", password=None, actor=COMMAND_LINE)
acme = create_organization(name="acme", owner=member, actor=actor_of(member))
create_repository(
    namespace=acme.namespace, name="api", actor=actor_of(member), visibility="public"
)
for user in (member, User.objects.get(username="admin")):
    token, secret = issue_access_token(
        user=user, name="schema", actions="admin", actor=COMMAND_LINE
    )
    # An id that nobody comes upon: it would revoke the token that it asks with.
    AccessToken.objects.filter(pk=token.pk).update(id=8_123_456_789_012 + token.pk)
    print(secret)
"""

# A request may keep to the schema and still name what is not there, or is not allowed
# by more than a schema says (a reserved name, a time that is over): 400 says so.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409"]
"""


@pytest.fixture(scope="module")
def server(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BerthServer]:
    server = BerthServer(
        data_folder=tmp_path_factory.mktemp("berth"),
        database_url=conftest.own_database("schema"),
        BERTH_ADMIN_PASSWORD="a password for a server that is asked a lot",
        BERTH_WORKERS="1",
        BERTH_RATES="exports=none",  # each is asked for more often than people may
    )
    server.manage("prepare")
    with server:
        yield server


@pytest.fixture(scope="module")
def tokens(server: BerthServer) -> dict[str, str]:
    printed = server.manage("shell", "--no-imports", "-c", MAKE_PEOPLE).split()
    return {"member": printed[-2], "administrator": printed[-1], "anonymous": ""}


def repeatable() -> list[str]:
    """What is asked in CI is asked again when somebody looks after it."""
    return ["--generation-deterministic" if is_ci() else "--generation-database=none"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("who", PHASES)
def test_the_api_keeps_what_its_schema_promises(
    server: BerthServer, tokens: dict[str, str], tmp_path: Path, who: str
) -> None:
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    token = tokens[who]
    done = subprocess.run(
        [
            *(SCHEMATHESIS, f"--config-file={configuration}", "--no-color", "run"),
            f"{server.url}/api/schema/",
            *([f"--header=Authorization: Bearer {token}"] if token else []),
            *("--checks=all", f"--phases={PHASES[who]}", "--no-shrink"),
            # One worker: CPython 3.11 cannot parse in two threads at once (gh-106905).
            *(f"--max-examples={EXAMPLES}", "--continue-on-failure", "--workers=1"),
            *("--request-timeout=60", "--warnings=off", *repeatable()),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "default"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:]


def test_the_schema_is_valid(server: BerthServer) -> None:
    """Without a warning: every operation has its fields, parameters and name."""
    server.manage("spectacular", "--validate", "--fail-on-warn", "--file", os.devnull)
