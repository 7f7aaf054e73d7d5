"""Who may import whom (docs/development/architecture.md): every import is read."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import PROJECT_FOLDER
from tools.floor_plan import (
    BIGGEST_SHARE,
    Room,
    find_circles,
    imports_of,
    measure_rooms,
    modules_of,
    write_table,
)

DOMAIN = {"database", "accounts", "repositories", "search"}
# A room, and the others that it may import, those inside functions too.
FLOOR_PLAN: dict[str, set[str]] = {
    "database": set(),
    "accounts": {"database"},
    "repositories": {"database", "accounts"},
    "search": {"database", "accounts", "repositories"},
    "api": DOMAIN,
    "hub": DOMAIN,
    "distribution": {*DOMAIN, "hub"},
    "webhooks": {*DOMAIN, "hub", "api"},
    "notifications": {*DOMAIN, "hub", "api"},
    "demo": {*DOMAIN, "distribution", "webhooks"},
    "registry_site": {
        *DOMAIN,
        *("hub", "api", "distribution", "webhooks", "notifications"),
    },
}
ROOMS_OF_PAGES = {"hub", "api", "registry_site"}
# What else answers people or programs; admin.py holds Django's own pages.
DOORS = re.compile(
    r"\w+/(?:(?:views|api)/.+|(?:admin|forms|page_urls|pages|urls|views)\.py)"
)
KITS = ("django.contrib.messages", "django.forms", "drf_spectacular", "rest_framework")
ARCHITECTURE = PROJECT_FOLDER / "docs" / "development" / "architecture.md"
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


def files_of(room: str) -> Iterator[Path]:
    yield from sorted((PROJECT_FOLDER / room).rglob("*.py"))


def is_page(module: str) -> bool:
    """Tell whether a module is a view or a form, or what only those stand on."""
    room, *parts = module.split(".")
    if room in FLOOR_PLAN:
        is_door = bool({"api", "forms", "pages", "views"} & set(parts))
        return room in ROOMS_OF_PAGES or is_door
    return any(module == kit or module.startswith(f"{kit}.") for kit in KITS)


def sentence_of(room: str) -> str:
    """Return what the package says is in the room."""
    path = PROJECT_FOLDER / room / "__init__.py"
    return ast.get_docstring(ast.parse(path.read_text())) or ""


@pytest.mark.parametrize("room", FLOOR_PLAN)
def test_a_room_imports_only_those_below_it(room: str) -> None:
    wrong = {
        f"{path.relative_to(PROJECT_FOLDER)} imports {other}"
        for path in files_of(room)
        for other in imports_of(path)
        if other in FLOOR_PLAN and other not in FLOOR_PLAN[room] | {room}
    }
    assert not wrong


def test_rooms_form_no_circle_and_none_is_too_large() -> None:
    """What tools/floor_plan.py prints; the largest room is under 18 % of the lines."""
    rooms = measure_rooms(PROJECT_FOLDER)
    assert {room.name for room in rooms} == FLOOR_PLAN.keys()
    assert find_circles(rooms) == []
    assert rooms[0].lines_count < BIGGEST_SHARE * sum(
        room.lines_count for room in rooms
    )
    assert any("0 circles" in line for line in write_table(rooms))


def test_a_circle_is_found_also_by_way_of_others() -> None:
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}
    rooms = [Room(name, 1, frozenset(others)) for name, others in arrows.items()]
    assert find_circles(rooms) == [{"a", "b", "c"}]


def test_every_package_of_the_product_is_on_the_plan() -> None:
    packages = {path.parent.name for path in PROJECT_FOLDER.glob("*/__init__.py")}
    assert packages - {"tests", "tools", "bench"} == FLOOR_PLAN.keys()


def test_no_module_is_hidden_by_a_package_of_its_name() -> None:
    """Python imports the package, and the module would be dead."""
    assert [
        str(path.relative_to(PROJECT_FOLDER))
        for room in FLOOR_PLAN
        for path in (PROJECT_FOLDER / room).rglob("*.py")
        if path.with_suffix("").is_dir()
    ] == []


def test_the_domain_knows_no_pages_and_no_api() -> None:
    """No verb imports a view, a form, messages of a page or REST framework."""
    wrong = {
        f"{name} imports {module}"
        for room in FLOOR_PLAN.keys() - ROOMS_OF_PAGES
        for path in files_of(room)
        if not DOORS.fullmatch(name := path.relative_to(PROJECT_FOLDER).as_posix())
        for module in modules_of(path)
        if is_page(module)
    }
    assert not wrong


@pytest.mark.parametrize("path", PURE)
def test_a_pure_module_does_without_django(path: str) -> None:
    assert not imports_of(PROJECT_FOLDER / path) & {"django", "celery"}


def test_no_product_file_imports_tests_or_tools() -> None:
    wrong = [
        path
        for room in FLOOR_PLAN
        for path in files_of(room)
        if {"tests", "tools", "bench"} & imports_of(path)
    ]
    assert not wrong


@pytest.mark.parametrize("room", FLOOR_PLAN)
def test_a_package_says_in_one_sentence_what_is_in_the_room(room: str) -> None:
    sentence = sentence_of(room)
    assert re.fullmatch(r"[A-Z].*[^.]\.", sentence), "one line, which ends with a dot"
    assert not re.search(r"\. [A-Z]", sentence), "one sentence"


def test_the_page_of_the_architecture_repeats_the_sentences() -> None:
    rows = dict(
        re.findall(r"^\| `(\w+)` \| (.+) \|$", ARCHITECTURE.read_text(), re.MULTILINE)
    )
    assert rows == {room: sentence_of(room) for room in FLOOR_PLAN}


def test_the_drawing_has_every_room_above_those_it_imports() -> None:
    drawing = ARCHITECTURE.read_text().split("```")[1]
    rows = [
        words for row in drawing.splitlines() if (words := re.findall(r"\w{3,}", row))
    ]
    height = {room: -number for number, row in enumerate(rows) for room in row}
    assert sorted(height) == sorted(FLOOR_PLAN)
    wrong = {
        f"{room} imports {other}"
        for room, others in FLOOR_PLAN.items()
        for other in others
        if height[other] >= height[room]
    }
    assert not wrong
