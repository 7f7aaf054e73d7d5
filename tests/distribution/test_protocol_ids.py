"""Every rule of the protocol's checklist is shown by a test that quotes its id.

The ids are those of the checklist that the tests were written from: what the
distribution-spec and the clients demand (G- to SRCH-), and the threads of other
registries' users (R-). A rule without a test stands in WITHOUT_TEST, with the reason.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.servers import PROJECT_FOLDER

ID = re.compile(r"\b(?:AUTH|BLOB|CAT|DEL|E|G|H|MAN|MNT|RATE|REF|SRCH|TAG|UP|R)-\d+\b")


def numbered(prefix: str, *ranges: tuple[int, int]) -> list[str]:
    return [f"{prefix}-{n}" for first, last in ranges for n in range(first, last + 1)]


IDS = [
    *numbered("G", (1, 5)),
    *numbered("H", (1, 9)),
    *numbered("E", (1, 4)),
    *numbered("AUTH", (1, 6), (10, 15), (20, 23), (30, 32), (40, 42)),
    *numbered("BLOB", (1, 6)),
    *numbered("UP", (1, 14)),
    *numbered("MNT", (1, 7)),
    *numbered("MAN", (1, 17)),
    *numbered("TAG", (1, 5)),
    *numbered("REF", (1, 8)),
    *numbered("DEL", (1, 7)),
    "CAT-1",
    *numbered("SRCH", (1, 5)),
    *numbered("RATE", (1, 5)),
    *(f"R-{n:02}" for n in range(1, 53)),
]

WITHOUT_TEST = {
    "H-8": "Warning headers are optional, and none is sent",
    "BLOB-5": "blobs are sent by the registry itself; there is no redirect yet",
    "RATE-1": "there are no limits yet, and absent headers say so",
    "RATE-2": "there are no limits yet",
    "RATE-3": "there are no limits yet; the numbers are the Hub's",
    "RATE-4": "there are no limits yet",
}


def quoted_ids(folder: Path) -> dict[str, list[str]]:
    """Return the tests that quote each id in their docstring."""
    tests: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for name in ID.findall(ast.get_docstring(node) or ""):
                    tests[name].append(f"{path.name}::{node.name}")
    return tests


TESTS = quoted_ids(PROJECT_FOLDER / "tests")


@pytest.mark.parametrize("name", [name for name in IDS if name not in WITHOUT_TEST])
def test_every_rule_is_shown_by_a_test(name: str) -> None:
    assert TESTS[name], f"no test's docstring quotes {name}"


def test_only_known_rules_are_quoted() -> None:
    unknown = {name: tests for name, tests in TESTS.items() if name not in IDS}
    assert not unknown


def test_what_has_a_test_is_not_excused() -> None:
    assert set(WITHOUT_TEST) <= set(IDS)
    assert not [name for name in WITHOUT_TEST if TESTS.get(name)]
