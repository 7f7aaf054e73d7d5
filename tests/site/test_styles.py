"""Styles: every class that a style has is used somewhere, and the other way round."""

import ast
import re
from collections.abc import Iterator

from hub.drawing.assets import STYLES, asset
from hub.drawing.highlight import CLASSES_OF_CODE
from tests.servers import PROJECT_FOLDER

TEMPLATES = sorted((PROJECT_FOLDER / "templates").rglob("*.html"))
SCRIPTS = sorted((PROJECT_FOLDER / "static/js").glob("*.js"))
# Rooms that write HTML or the attributes of a form's widget.
PYTHON = sorted(
    path
    for room in ("hub", "distribution", "notifications", "registry_site", "webhooks")
    for path in (PROJECT_FOLDER / room).rglob("*.py")
)
FROM_LIBRARIES = {
    "htmx-request": "htmx, while a request is under way",
    "htmx-swapping": "htmx, on what it is about to remove",
    "htmx-added": "htmx, on what it has just inserted",
    "task-list-item": "mdit-py-plugins, on an item of a task list",
}
# Classes without a style of their own, and what they are for.
FOR_OTHERS = {
    "task-list-item-checkbox": "the class of mdit-py-plugins, which readers may expect",
}
CLASS = re.compile(r"-?[A-Za-z_][\w-]*")


def test_every_class_of_a_style_is_used() -> None:
    """A style whose class nothing names is dead, and is deleted."""
    names, prefixes = _used()
    unused = {
        name
        for name in _styled()
        if name not in names | FROM_LIBRARIES.keys()
        and not any(name.startswith(prefix) for prefix in prefixes)
    }
    assert not unused


def test_every_class_of_a_page_has_a_style() -> None:
    """A class that no style names is misspelled, or left over."""
    styled = _styled()
    attributes = [
        value
        for path in TEMPLATES
        for value in re.findall(r'\bclass="([^"]*)"', _without_tags(path.read_text()))
    ]
    attributes += _classes_of_python()
    names = {name for value in attributes for name in value.split()}
    heads = {name.partition("{")[0] for name in names}
    plain = {head for head in heads if CLASS.fullmatch(head) and head[-1] != "-"}
    assert plain - FOR_OTHERS.keys() <= styled
    for prefix in {head for head in heads if re.fullmatch(r"\w[\w-]*-", head)}:
        assert any(name.startswith(prefix) for name in styled), prefix


def test_every_style_is_in_the_stylesheet() -> None:
    folder = PROJECT_FOLDER / "static/css"
    assert sorted(STYLES) == sorted(path.stem for path in folder.iterdir())


def _styled() -> set[str]:
    css = asset("berth.css").content.decode()
    css = re.sub(r'/\*.*?\*/|"[^"]*"|@layer [\w., ]+', "", css, flags=re.DOTALL)
    return set(re.findall(rf"\.({CLASS.pattern})", css))


def _used() -> tuple[set[str], set[str]]:
    """Return the names that pages use, and the beginnings of those they compose.

    A composed one ends in a variable: ``role-{{ role }}`` uses all of ``role-…``.
    """
    words: set[str] = set()
    for path in TEMPLATES:
        source = path.read_text()
        for value in re.findall(r'\bclass="([^"]*)"', _without_tags(source)):
            words.update(value.split())
        for tag in re.findall(r"{%.*?%}", source, flags=re.DOTALL):
            words.update(re.findall(r'"([\w -]+)"', tag))
    for value in _classes_of_python():
        words.update(re.sub(r"{[^}]*}", "{}", value).split())
    for path in SCRIPTS:
        words.update(re.findall(r'className = "([\w-]+)"', path.read_text()))
    heads = {word.partition("{")[0] for word in words}
    names = {head for head in heads if CLASS.fullmatch(head) and head[-1] != "-"}
    prefixes = {head for head in heads if re.fullmatch(r"\w[\w-]*-", head)}
    return names, prefixes


def _without_tags(source: str) -> str:
    """Leave what template tags enclose; a variable in a class becomes ``{}``."""
    source = re.sub(r"{%.*?%}", " ", source, flags=re.DOTALL)
    return re.sub(r"{{.*?}}", "{}", source, flags=re.DOTALL)


def _classes_of_python() -> Iterator[str]:
    """Yield what Python writes into ``class``; a variable in it becomes ``{}``."""
    for path in PYTHON:
        source = path.read_text()
        yield from re.findall(r'"class"(?:\] =|:) f?"([^"]*)"', source)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from re.findall(r'\bclass="([^"]*)"', node.value)
                is_joined = re.fullmatch(r" [a-z]+-[a-z]+", node.value)
                if is_joined and path.parent.name == "templatetags":
                    yield node.value
    yield from (name for _, name in CLASSES_OF_CODE)
