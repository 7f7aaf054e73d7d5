"""Every rule of docs/development/protocol.md is shown by a test that quotes its id.

A rule is a row of the page whose first cell is its id. A rule without a test stands in
WITHOUT_TEST, with the reason.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.servers import PROJECT_FOLDER

PAGE = PROJECT_FOLDER / "docs" / "development" / "protocol.md"
ID = re.compile(
    r"\b(?:AUTH|BLOB|CAT|COND|DEL|DJ?|E|G|H|MAN|MNT|RATE|REF|SRCH|TAG|UP|R)-\d+\b"
)
IDS = re.findall(rf"^\| ({ID.pattern}) \|", PAGE.read_text(), re.MULTILINE)

WITHOUT_TEST = {
    "H-8": "Warning headers are optional, and none is sent",
    "BLOB-5": "blobs are sent by the registry itself; there is no redirect yet",
    "RATE-1": "pulls are not limited, and absent headers say so",
    "RATE-2": "pulls are not limited",
    "RATE-3": "pulls are not limited",
    "RATE-4": "requests per second are not limited",
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
