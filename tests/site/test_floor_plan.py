"""Who may import whom (CONTRIBUTING.md): every import of every file is read."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import PROJECT_FOLDER

# An app, and the siblings that it may import, those inside functions too.
FLOOR_PLAN = {
    "database": set(),
    "accounts": {"database"},
    "repositories": {"accounts", "database"},
    "search": {"repositories", "accounts", "database"},
    "api": {"search", "repositories", "accounts", "database"},
    "hub": {"search", "repositories", "accounts", "database"},
    "distribution": {"hub", "search", "repositories", "accounts", "database"},
    "webhooks": {"hub", "api", "repositories", "accounts", "database"},
    "notifications": {"hub", "api", "repositories", "accounts", "database"},
    "demo": {
        "distribution",
        "webhooks",
        "search",
        "repositories",
        "accounts",
        "database",
    },
    "registry_site": {
        "distribution",
        "webhooks",
        "notifications",
        "hub",
        "api",
        "search",
        "repositories",
        "accounts",
        "database",
    },
}
# Modules that know nothing of Django, so that they can be read and tested alone.
PURE = [
    "accounts/actions.py",
    "accounts/actors.py",
    "accounts/decisions.py",
    "accounts/names.py",
    "accounts/snippets.py",
    "distribution/ranges.py",
    "distribution/scopes.py",
    "webhooks/http/addresses.py",
    "webhooks/delivery/retry.py",
    "webhooks/message.py",
    "webhooks/signing.py",
    "webhooks/targets.py",
    *sorted(
        path.relative_to(PROJECT_FOLDER).as_posix()
        for path in (PROJECT_FOLDER / "webhooks" / "formats").glob("*.py")
    ),
    "hub/drawing/charts.py",
    "search/query.py",
    *sorted(
        path.relative_to(PROJECT_FOLDER).as_posix()
        for path in (PROJECT_FOLDER / "repositories" / "oci").glob("*.py")
    ),
]


def imports_of(path: Path) -> Iterator[str]:
    """Yield the first part of every module that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("app", FLOOR_PLAN)
def test_an_app_imports_only_those_below_it(app: str) -> None:
    wrong = {
        f"{path.relative_to(PROJECT_FOLDER)} imports {sibling}"
        for path in (PROJECT_FOLDER / app).rglob("*.py")
        for sibling in imports_of(path)
        if sibling in FLOOR_PLAN and sibling not in FLOOR_PLAN[app] | {app}
    }
    assert not wrong


@pytest.mark.parametrize("path", PURE)
def test_a_pure_module_does_without_django(path: str) -> None:
    assert not set(imports_of(PROJECT_FOLDER / path)) & {"django", "celery"}


def test_no_product_file_imports_tests_or_tools() -> None:
    wrong = [
        path
        for app in FLOOR_PLAN
        for path in (PROJECT_FOLDER / app).rglob("*.py")
        if {"tests", "tools", "bench"} & set(imports_of(path))
    ]
    assert not wrong
