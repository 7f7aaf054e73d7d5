"""Files for GitHub and pre-commit match the Makefile and the pinned versions."""

import re
import tomllib
from collections.abc import Iterator

import yaml

from tests.servers import PROJECT_FOLDER

WORKFLOWS = PROJECT_FOLDER / ".github" / "workflows"
PACKAGE_OF_HOOK = {
    "https://github.com/astral-sh/ruff-pre-commit": "ruff",
    "https://github.com/adamchainz/djade-pre-commit": "djade",
    "https://github.com/codespell-project/codespell": "codespell",
}


def commands_of_workflows() -> Iterator[str]:
    """Yield every line of shell that a workflow runs."""
    for path in WORKFLOWS.glob("*.yml"):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in job["steps"]:
                yield from step.get("run", "").splitlines()


def test_workflows_run_only_commands_of_the_makefile() -> None:
    makefile = (PROJECT_FOLDER / "Makefile").read_text()
    verbs = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    commands = list(commands_of_workflows())
    assert {"make check", "make conformance", "make docs", "make test"} <= set(commands)
    for command in commands:
        assert command.removeprefix("make ") in verbs, command


def test_workflows_test_the_oldest_python() -> None:
    project = tomllib.loads((PROJECT_FOLDER / "pyproject.toml").read_text())["project"]
    jobs = yaml.safe_load((WORKFLOWS / "ci.yml").read_text())["jobs"]
    versions = jobs["test"]["strategy"]["matrix"]["python"]
    assert project["requires-python"] == f">={versions[0]}"
    assert len(versions) > 1


def test_hooks_have_the_pinned_versions() -> None:
    config = yaml.safe_load((PROJECT_FOLDER / ".pre-commit-config.yaml").read_text())
    pinned = (PROJECT_FOLDER / "requirements" / "dev.txt").read_text()
    versions = dict(re.findall(r"^(\S+)==(\S+)", pinned, re.MULTILINE))
    assert {
        PACKAGE_OF_HOOK[hook["repo"]]: hook["rev"].removeprefix("v")
        for hook in config["repos"]
    } == {package: versions[package] for package in PACKAGE_OF_HOOK.values()}


def test_the_changelog_begins_with_unreleased_and_this_version() -> None:
    project = tomllib.loads((PROJECT_FOLDER / "pyproject.toml").read_text())["project"]
    changelog = (PROJECT_FOLDER / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (\S+)", changelog, re.MULTILINE)
    assert headings[:2] == ["Unreleased", project["version"]]
