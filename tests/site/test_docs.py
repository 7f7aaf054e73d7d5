"""The documentation names everything that a user can set, run or be told."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.actions import ACTIONS_OF_ROLE, Role
from accounts.events import AccountEvent
from distribution import errors
from registry_site.docs_pages import html_of_page, titles_of_pages
from repositories.models import Event
from tests.servers import PROJECT_FOLDER
from tools.screenshots import PICTURE_LIMIT_BYTES, SHOTS

DOCS = PROJECT_FOLDER / "docs"


def headings(name: str, level: str) -> set[str]:
    """Return the words that have a heading of this level in a page."""
    text = (DOCS / name).read_text()
    return set(re.findall(rf"^{level} (\S+)$", text, re.MULTILINE))


def settings_read() -> set[str]:
    """Return the variables that the settings read from the environment."""
    text = (PROJECT_FOLDER / "registry_site" / "settings.py").read_text()
    return set(re.findall(r"read\(\s*env\.\w+,\s*\"([A-Z0-9_]+)\"", text))


def commands() -> set[str]:
    return {
        path.stem
        for path in PROJECT_FOLDER.glob("*/management/commands/*.py")
        if path.stem != "__init__"
    }


def error_codes() -> set[str]:
    def codes(parent: type[errors.RegistryError]) -> Iterator[str]:
        yield parent.code
        for child in parent.__subclasses__():
            yield from codes(child)

    return set(codes(errors.RegistryError))


@pytest.mark.parametrize(
    ("page", "level", "there_are"),
    [
        ("settings.md", "###", settings_read()),
        ("commands.md", "###", commands()),
        ("errors.md", "##", error_codes()),
    ],
)
def test_a_page_has_a_heading_for_each(
    page: str, level: str, there_are: set[str]
) -> None:
    assert there_are, "nothing was found, so the search is wrong"
    assert headings(page, level) == there_are


def test_the_audit_log_explains_every_kind() -> None:
    explained = set(re.findall(r"`(\w+\.\w+)`", (DOCS / "audit.md").read_text()))
    there_are = {*Event.Kind.values, *AccountEvent.values}
    assert explained - {"manage.py"} == there_are


def test_the_table_of_roles_is_the_one_that_counts() -> None:
    text = (DOCS / "permissions.md").read_text()
    roles: dict[Role, set[str]] = {role: set() for role in Role}
    for action, *marks in re.findall(
        r"^\| `(\w+)` \|[^|]+\|([^|]+)\|([^|]+)\|([^|]+)\|$", text, re.MULTILINE
    ):
        for role, mark in zip(Role, marks, strict=True):
            if mark.strip():
                roles[role].add(action)
    assert roles == {role: set(map(str, ACTIONS_OF_ROLE[role])) for role in Role}


def test_every_make_command_is_explained() -> None:
    makefile = (PROJECT_FOLDER / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE)) - {"help"}
    explained = set(re.findall(r"`make (\w+)`", (DOCS / "commands.md").read_text()))
    assert targets == explained


def test_the_first_page_links_to_each_page() -> None:
    """And so the hub shows each, since its list of pages is read from the first one."""
    assert titles_of_pages().keys() == {path.stem for path in DOCS.glob("*.md")}


@pytest.mark.parametrize(
    "page", sorted([*DOCS.rglob("*.md"), *PROJECT_FOLDER.glob("*.md")])
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_pictures_are_there_are_shown_and_are_small() -> None:
    """Every picture that a page shows, and none that no page shows."""
    pages = [*DOCS.rglob("*.md"), *PROJECT_FOLDER.glob("*.md")]
    shown = {
        (page.parent / target).resolve()
        for page in pages
        for pair in re.findall(
            r"""!\[[^\]]+\]\(([^)]+)\)|(?:src|srcset)="([^"]+)\"""", page.read_text()
        )
        for target in pair
        if target
    }
    there_are = set((DOCS / "images").glob("*"))
    assert there_are == shown
    for picture in there_are:
        assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n", picture
        assert picture.stat().st_size <= PICTURE_LIMIT_BYTES, picture
    assert {f"{shot.name}.png" for shot in SHOTS} == {one.name for one in there_are}


def test_pictures_are_described() -> None:
    """Whoever does not see a picture is told what is on it."""
    for page in [*DOCS.rglob("*.md"), *PROJECT_FOLDER.glob("*.md")]:
        text = page.read_text()
        assert "![](" not in text, page
        for tag in re.findall(r"<img [^>]*>", text):
            assert re.search(r'alt="[^"]+"', tag), f"{page.name}: {tag}"


def test_each_spec_id_of_a_route_stands_beside_it() -> None:
    """distribution/urls.py names every endpoint of the distribution-spec."""
    text = (PROJECT_FOLDER / "distribution" / "urls.py").read_text()
    found = set(re.findall(r"end-\d+[abc]?", text))
    assert found == {
        *("end-1", "end-2", "end-3", "end-4a", "end-4b", "end-4c", "end-5", "end-6"),
        *("end-7a", "end-7b", "end-8a", "end-8b", "end-9", "end-10", "end-11"),
        *("end-12a", "end-12b", "end-13", "end-14"),
    }


def test_pages_of_the_hub_link_to_each_other(settings: Any) -> None:
    """A README's relative link would lead to the source of an image."""
    settings.BERTH_URL = "https://registry.example.com"
    html = html_of_page("index", titles_of_pages())
    assert 'href="https://registry.example.com/-/docs/getting-started"' in html
