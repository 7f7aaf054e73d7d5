"""Run the OCI conformance program against a fresh Berth, and read its results twice.

    A    the coming version of the specification, tokens cached by the program
    A'   the same, a token for every request
    B    with sparse manifests, in a namespace that takes them

The program's exit status hides skipped cases and broken configurations, so what counts
here is its report: every API and every data set is Pass, nothing is skipped that is not
listed below with a reason, and there are at least as many cases as there were before.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.programs import find_program, is_ci
from tests.servers import BerthServer

TIMEOUT_SECONDS = 600
NAMESPACE = "admin"
SPARSE_NAMESPACE = "library"

# An access token and not a password: one run logs in thousands of times, and a password
# is slow to check on purpose.
MAKE_TOKEN = f"""
from accounts.actors import COMMAND_LINE
from accounts.models import User
from accounts.tokens import issue_access_token
user = User.objects.get(username="{NAMESPACE}")
print(issue_access_token(
    user=user, name="conformance", actions="admin", actor=COMMAND_LINE
)[1])
"""

# Cases that the program may leave out, and why. The name is that of the report.
MAY_BE_SKIPPED: dict[str, str] = {}
# Sets that are off on purpose in runs without sparse data.
OFF_WITHOUT_SPARSE = {"Sparse Manifests"}


@dataclass(frozen=True)
class Run:
    """One run of the program, and how many cases it has at least."""

    name: str
    namespace: str
    floor: int
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def is_sparse(self) -> bool:
        return self.variables.get("OCI_DATA_SPARSE") == "true"


RUNS = [
    Run("A", NAMESPACE, 793),
    Run("A-without-cache", NAMESPACE, 793, {"OCI_CACHE_AUTH": "false"}),
    Run("B-sparse", SPARSE_NAMESPACE, 830, {"OCI_DATA_SPARSE": "true"}),
]


def main() -> int:
    """Run all and print what a reader and a machine want to know."""
    program = find_program("conformance")
    if program is None:
        print("the conformance program is not installed (make clients; needs Go)")
        return 1 if is_ci() else 0
    passed, problems = 0, []
    with tempfile.TemporaryDirectory(prefix="berth-conformance-") as folder:
        server = BerthServer(
            data_folder=Path(folder),
            BERTH_ADMIN_USERNAME=NAMESPACE,
            BERTH_SPARSE_NAMESPACES=SPARSE_NAMESPACE,
        )
        server.manage("prepare")
        token = server.manage("shell", "--verbosity=0", "-c", MAKE_TOKEN).strip()
        with server:
            for run in RUNS:
                results = Path(folder) / "results" / run.name
                output = execute(program, server, run, token, results)
                found, cases = read_results(run, results)
                passed += cases - len(found)
                problems += found
                print(f"run {run.name}: {cases} cases, {len(found)} problems")
                if found:
                    print(output[-4000:])
    for problem in problems:
        print(problem)
    print(f"{passed} passed, {len(problems)} failed")
    return 1 if problems else 0


def execute(
    program: Path, server: BerthServer, run: Run, token: str, results: Path
) -> str:
    """Run the program and return what it printed; its exit status says too little."""
    results.mkdir(parents=True)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("OCI_")}
    done = subprocess.run(
        [str(program)],
        cwd=results,
        env={
            **inherited,
            "OCI_VERSION": "dev",
            "OCI_REGISTRY": server.url.removeprefix("http://"),
            "OCI_TLS": "disabled",
            "OCI_REPO1": f"{run.namespace}/conformance-{run.name.lower()}/one",
            "OCI_REPO2": f"{run.namespace}/conformance-{run.name.lower()}/two",
            "OCI_USERNAME": NAMESPACE,
            "OCI_PASSWORD": token,
            "OCI_RESULTS_DIR": str(results),
            **run.variables,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return done.stdout


def read_results(run: Run, results: Path) -> tuple[list[str], int]:
    """Return what is not as it should be, and the number of cases."""
    problems = []
    report: Any = yaml.safe_load((results / "results.yaml").read_text())
    off = set() if run.is_sparse else OFF_WITHOUT_SPARSE
    for part in ("apis", "data"):
        if not report.get(part):
            problems.append(f"{run.name}: the report has no '{part}'")
        for name, status in (report.get(part) or {}).items():
            if status != "Pass" and name not in off:
                problems.append(f"{run.name}: {name} is {status}")
    cases = 0
    for case in ElementTree.parse(results / "junit.xml").iter("testcase"):
        cases += 1
        name = case.get("name", "")
        if case.find("failure") is not None or case.find("error") is not None:
            problems.append(f"{run.name}: {name} failed")
        is_off = any(name.startswith(f"OCI Conformance Test/{o}") for o in off)
        skipped = case.find("skipped")
        if skipped is not None and name not in MAY_BE_SKIPPED and not is_off:
            problems.append(f"{run.name}: {name} was skipped: {skipped.get('message')}")
    if cases < run.floor:
        problems.append(f"{run.name}: only {cases} cases, expected {run.floor}")
    return problems, cases


if __name__ == "__main__":
    sys.exit(main())
