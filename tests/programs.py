"""Programs that a test wants on the machine: skipped by name, or demanded by CI."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from tests.servers import PROJECT_FOLDER

TOOLS_FOLDER = PROJECT_FOLDER / ".tools" / "bin"  # what the project builds for itself


def is_ci() -> bool:
    """Tell whether nothing may be left out (`CI=true`, see .ci/run)."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def find_program(name: str) -> Path | None:
    """Return the program's path, from the project's own tools or from PATH."""
    search_path = f"{TOOLS_FOLDER}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    found = shutil.which(name, path=search_path)
    return Path(found) if found else None


def require_program(name: str) -> Path:
    """Return the program's path; without it skip the test, or in CI fail it."""
    path = find_program(name)
    if path is None:
        leave_out(f"{name} is not installed (make clients)")
    return path


def leave_out(reason: str) -> NoReturn:
    """Skip the test for a lack of the machine's, which CI does not forgive."""
    if is_ci():
        pytest.fail(f"CI leaves nothing out: {reason}", pytrace=False)
    pytest.skip(reason)
