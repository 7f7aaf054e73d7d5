"""Prints the floor plan as the tests see it: rooms, lines, arrows and circles.

    .venv/bin/python -m tools.floor_plan [FOLDER]

A room is a package at the top of the repository. Lines are those of its Python files,
migrations included. An arrow leads from a room to another one that it imports, inside
functions too. tests/site/test_floor_plan.py checks what this program prints.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT_FOLDER = Path(__file__).parents[1]
OUTSIDE = {"tests", "tools", "bench"}  # packages that are no part of the product
BIGGEST_SHARE = 0.18  # of the product's lines may be in one room


@dataclass(frozen=True, slots=True)
class Room:
    """A package at the top, its size and what it imports."""

    name: str
    lines_count: int
    arrows: frozenset[str]  # to other rooms


def modules_of(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, and what it takes from one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def imports_of(path: Path) -> set[str]:
    """Return the first part of every module that a file imports."""
    return {module.partition(".")[0] for module in modules_of(path)}


def measure_rooms(folder: Path) -> list[Room]:
    """Return the rooms of a checkout, the largest first."""
    names = {path.parent.name for path in folder.glob("*/__init__.py")} - OUTSIDE
    rooms = []
    for name in names:
        files = sorted((folder / name).rglob("*.py"))
        imports = {other for path in files for other in imports_of(path)}
        lines_count = sum(len(path.read_text().splitlines()) for path in files)
        rooms.append(Room(name, lines_count, frozenset(imports & names - {name})))
    return sorted(rooms, key=lambda room: -room.lines_count)


def find_circles(rooms: list[Room]) -> list[set[str]]:
    """Return the groups of rooms that import each other, directly or by others."""
    reached = {room.name: set(room.arrows) for room in rooms}
    for _ in rooms:
        for arrows in reached.values():
            arrows.update(*(reached[other] for other in list(arrows)))
    groups = {
        frozenset(other for other in arrows if name in reached[other])
        for name, arrows in reached.items()
    }
    return [set(group) for group in groups if group]


def write_table(rooms: list[Room]) -> Iterator[str]:
    """Yield the lines of a table in Markdown, and of a summary below it."""
    all_lines = sum(room.lines_count for room in rooms)
    yield "| room | lines | share | imports |"
    yield "| --- | ---: | ---: | --- |"
    for room in rooms:
        share = room.lines_count / all_lines
        arrows = ", ".join(f"`{name}`" for name in sorted(room.arrows))
        yield f"| `{room.name}` | {room.lines_count:,} | {share:.1%} | {arrows} |"
    arrows_count = sum(len(room.arrows) for room in rooms)
    yield ""
    yield (
        f"{len(rooms)} rooms, {all_lines:,} lines, {arrows_count} arrows, "
        f"{len(find_circles(rooms))} circles; the largest room has "
        f"{rooms[0].lines_count / all_lines:.1%}."
    )


if __name__ == "__main__":
    checkout = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT_FOLDER
    print("\n".join(write_table(measure_rooms(checkout))))
