"""The checker of English finds faults in words for people, and none in code."""

from pathlib import Path

import pytest

from tools.check_english import faults_in

pytestmark = pytest.mark.once

FAULTS = [
    ("a.md", "Text.\n\nWhoever pushes is told so.\n", [3, 3]),
    ("a.html", "<p>\n{% translate 'Somebody else' %} <b>nobody</b></p>", [2, 2]),
    ("a.html", '{% include "b.html" with text=_("Try anew.") %}', [1]),
    ("a.py", 'def f():\n    """What it returns."""\n', [2]),
    ("a.py", 'def f():\n    """Say whether it returns."""\n', [2]),
    (
        "a.py",
        'def f():\n    """Return a row.\n\n    None as long as it waits.\n    """',
        [4],
    ),
    ("a.py", 'raise ValueError(f"{name} is none")', [1]),
]
CLEAN = [
    ("a.md", "Text with `nobody`.\n\n```\nwhoever\n```\n"),
    ("a.html", "{% if told %}<code>nobody</code>{{ somebody }}{# anew #}{% endif %}"),
    ("a.py", "def tell(told):\n    return told['nobody'] if told is None else lest\n"),
    ("a.py", '@property\ndef page(self):\n    """The page of the tag."""\n'),
    ("a.py", 'f"none: {whoever} is {nobody}"'),
]


@pytest.mark.parametrize(("name", "text", "lines"), FAULTS)
def test_faults_are_found(
    name: str, text: str, lines: list[int], tmp_path: Path
) -> None:
    """Each fault has its line."""
    (tmp_path / name).write_text(text)
    assert [line for line, _ in faults_in(tmp_path / name)] == lines


@pytest.mark.parametrize(("name", "text"), CLEAN)
def test_code_is_no_prose(name: str, text: str, tmp_path: Path) -> None:
    """Names, code and variables can have any word."""
    (tmp_path / name).write_text(text)
    assert list(faults_in(tmp_path / name)) == []
