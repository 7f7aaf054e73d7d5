"""Programs run as a user runs them, with folders of their own and nothing inherited.

docker = Command("docker", folder, DOCKER_HOST=...)
docker("push", name)                 what it printed; the test fails if it fails
docker.refused("pull", name)         what it complained; the test fails if it works
"""

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from accounts.models import Robot, User
from tests.programs import TOOLS_FOLDER, require_program

TIMEOUT_SECONDS = 240  # below pytest's, so that a hanging program shows its output

# Nobody listens here, and Go asks no proxy for localhost: so nothing but this machine
# is within reach of the program.
NO_PROXY = "http://127.0.0.1:9"


class Command:
    """A program, the arguments that always come first, and an environment."""

    def __init__(
        self, program: str, folder: Path, *first: str, **environment: str
    ) -> None:
        """Find the program, or leave the test out."""
        self.words = (str(require_program(program)), *first)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "LC_ALL": "C.UTF-8",
            "HTTP_PROXY": NO_PROXY,
            "HTTPS_PROXY": NO_PROXY,
            **environment,
        }

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """Run it to a good end and return what it printed."""
        done = self._run(arguments, stdin)
        if done.returncode != 0:
            _fail(f"ended with {done.returncode}", done)
        return done.stdout

    def told(self, *arguments: str) -> str:
        """Run it to a good end and return what it said while at work, too."""
        done = self._run(arguments, "")
        if done.returncode != 0:
            _fail(f"ended with {done.returncode}", done)
        return done.stdout + done.stderr

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """Run it to a bad end and return everything that it said."""
        done = self._run(arguments, stdin)
        if done.returncode == 0:
            _fail("was not refused", done)
        return done.stdout + done.stderr

    def _run(
        self, arguments: tuple[str, ...], stdin: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.words, *arguments],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )


def python_for(folder: Path, script: str) -> Command:
    """Return a script that can import oras and dxf; it takes arguments as sys.argv."""
    python = TOOLS_FOLDER.parent / "python" / "bin" / "python"
    # Python asks a proxy for localhost, too, unless it is told otherwise.
    return Command(str(python), folder, "-c", script, NO_PROXY="localhost,127.0.0.1")


def _fail(verdict: str, done: subprocess.CompletedProcess[str]) -> NoReturn:
    pytest.fail(
        f"{shlex.join(done.args)} {verdict}:\n{done.stdout}\n{done.stderr}",
        pytrace=False,
    )


As = Callable[[User | Robot], Command]  # a program, logged in as someone
AsAnyone = Callable[[User | Robot | None], Command]  # or, given None, not logged in
