"""What code, tests and docs cite is defined: ids, pages, files, stops of the drawings.

An id of the protocol (UP-6) is a row of docs/development/protocol.md, any other id (I1,
C06, A4) a row of docs/development/reliability.md. In Python, ids and paths count in
docstrings, in comments and in crash_point(); in pages everywhere but in code blocks.
"""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import pytest

from tests.distribution.test_protocol_ids import ID as PROTOCOL_ID
from tests.servers import PROJECT_FOLDER

DEVELOPMENT = PROJECT_FOLDER / "docs" / "development"
RELIABILITY_ID = re.compile(
    r"(?<![\w%-])(?:(?:DB|FS|[ABCDEFGHIKLNPRX])[1-9]\d?|C0[1-9])\b(?![-%])"
)
IDS = {"protocol.md": PROTOCOL_ID, "reliability.md": RELIABILITY_ID}
TEST_CELL = re.compile(r"`(tests/[\w/]+\.py)`")
WITHOUT_TEST = re.compile(r"none: .+|none yet|later: .+")
STOP = re.compile(r"([\w/]+\.py)\s+(\w+(?:\.\w+)?)\s*$", re.MULTILINE)
CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
NAMED_FILE = re.compile(
    r"(?<![\w/.*<>:@{}$~-])((?:[\w.-]+/)+[\w-]+\.(?:css|html|js|md|py|toml|yaml|yml))\b"
)
# Pages that are history: what they name need not exist any more.
HISTORY = {"CHANGELOG.md"}


def python_files() -> list[Path]:
    folders = [path.parent for path in PROJECT_FOLDER.glob("*/__init__.py")]
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def pages() -> list[Path]:
    docs = (PROJECT_FOLDER / "docs").rglob("*.md")
    found = sorted([*docs, *PROJECT_FOLDER.glob("*.md")])
    return [page for page in found if page.name not in HISTORY]


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def words_of(path: Path) -> str:
    """Return what a file says to people: all of a page, and a module's explanations."""
    text = text_of(path)
    if path.suffix == ".md":
        return CODE_BLOCK.sub("", text)
    return "\n".join(explanations(text))


def cited(
    names: re.Pattern[str],
    path: Path,
    wanted: Callable[[str], bool],
    *,
    until: str = "",
) -> set[str]:
    """Return the wanted names that a file cites in its words, up to a heading.

    It takes long to find the words of a module, and few modules have a wanted name
    anywhere in their text.
    """
    if not any(map(wanted, names.findall(text_of(path)))):
        return set()
    words = words_of(path)
    words = words.partition(until)[0] if until else words
    return set(filter(wanted, names.findall(words)))


def explanations(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ):
            yield ast.get_docstring(node) or ""
        elif (
            isinstance(node, ast.Call) and getattr(node.func, "id", "") == "crash_point"
        ):
            yield from (str(ast.literal_eval(argument)) for argument in node.args)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


@cache
def rows_of(document: str) -> dict[str, list[list[str]]]:
    """Return the rows that define ids, by id; one that is there twice has two."""
    rows: dict[str, list[list[str]]] = defaultdict(list)
    for line in (DEVELOPMENT / document).read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and IDS[document].fullmatch(cells[0]):
            rows[cells[0]].append(cells)
    return rows


@pytest.mark.parametrize("document", IDS)
def test_each_id_that_is_cited_is_defined(document: str) -> None:
    undefined: dict[str, set[str]] = defaultdict(set)
    rows = rows_of(document)
    for path in [*python_files(), *pages()]:
        for name in cited(IDS[document], path, lambda name: name not in rows):
            undefined[name].add(path.relative_to(PROJECT_FOLDER).as_posix())
    assert not undefined


@pytest.mark.parametrize("document", IDS)
def test_an_id_is_defined_once(document: str) -> None:
    assert len(rows_of(document)) > 100, "nothing was found, so the search is wrong"
    assert not [name for name, rows in rows_of(document).items() if len(rows) > 1]


@pytest.mark.parametrize("document", IDS)
def test_a_definition_names_a_test_that_cites_it(document: str) -> None:
    """Or says why there is none; a row may point to another one's test ("See E4")."""
    wrong = []
    for name, [cells] in rows_of(document).items():
        tests = TEST_CELL.findall(cells[-1])
        if not tests:
            if not WITHOUT_TEST.fullmatch(cells[-1]):
                wrong.append(name)
            continue
        names = {name, *PROTOCOL_ID.findall(cells[-2])}
        names |= {*RELIABILITY_ID.findall(cells[-2])}
        for test in tests:
            path = PROJECT_FOLDER / test
            cited = path.exists() and any(
                re.search(rf"(?<![\w%-]){one}\b", path.read_text()) for one in names
            )
            if not cited:
                wrong.append(f"{name}: {test}")
    assert not wrong


def test_each_crash_point_of_the_code_is_a_row() -> None:
    points = {
        name
        for path in python_files()
        for name in re.findall(r'crash_point\("(\w+)"\)', path.read_text())
        if "tests" not in path.parts
    }
    assert len(points) > 20, "nothing was found, so the search is wrong"
    assert points <= set(rows_of("reliability.md"))


def definitions(path: Path) -> set[str]:
    """Return the functions, classes and methods of a module."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}.{one.name}"
                for one in node.body
                if isinstance(one, ast.FunctionDef)
            }
    return names


def test_each_stop_of_the_drawings_exists() -> None:
    """A push, a pull, a search and a webhook in docs/development/architecture.md."""
    text = (DEVELOPMENT / "architecture.md").read_text()
    stops = [
        stop for drawing in CODE_BLOCK.findall(text) for stop in STOP.findall(drawing)
    ]
    assert len(stops) > 40, "nothing was found, so the search is wrong"
    missing = [
        f"{module} {name}"
        for module, name in stops
        if not (PROJECT_FOLDER / module).exists()
        or name not in definitions(PROJECT_FOLDER / module)
    ]
    assert not missing


def is_missing(cited_in: Path, name: str) -> bool:
    """Look from the project, from the file upwards, and where templates are."""
    folders = [
        *(one for one in cited_in.parents if one.is_relative_to(PROJECT_FOLDER)),
        PROJECT_FOLDER / "templates",
        PROJECT_FOLDER / "static",
    ]
    return not any((folder / name).exists() for folder in folders)


def test_each_file_that_is_cited_exists() -> None:
    missing: dict[str, set[str]] = defaultdict(set)
    for path in [*python_files(), *pages()]:
        until = "## Former names" if path.name == "architecture.md" else ""
        for name in cited(NAMED_FILE, path, partial(is_missing, path), until=until):
            missing[path.relative_to(PROJECT_FOLDER).as_posix()].add(name)
    assert not missing
