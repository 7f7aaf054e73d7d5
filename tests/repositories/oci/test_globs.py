"""Globs mean what Python's fnmatch makes of them, and cost nothing to speak of."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repositories.oci import globs
from repositories.oci.globs import matches


@pytest.mark.parametrize(
    ("glob", "text", "is_matched"),
    [
        ("*", "", True),
        ("release-*", "release-1", True),
        ("release-*", "Release-1", False),
        ("v?", "v1", True),
        ("v?", "v", False),
        ("v[0-9]", "v5", True),
        ("v[!0-9]", "v5", False),
        ("[]a]", "]", True),
        ("[!]a]", "b", True),
        ("[", "[", True),
        ("[a", "[a", True),
        ("a-[a-]", "a--", True),
        ("*a*b*c", "xaybzc", True),
        ("**", "a", True),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_a_glob_matches(glob: str, text: str, is_matched: bool) -> None:
    assert matches(glob, text) is is_matched


@given(st.text(alphabet="ab*?[]!-", max_size=12), st.text(alphabet="ab-]", max_size=12))
def test_it_means_what_python_means(glob: str, text: str) -> None:
    if "--" not in glob:  # a set with two hyphens is read in more than one way
        assert matches(glob, text) == fnmatchcase(text, glob)


@pytest.mark.parametrize(
    ("glob", "text"),
    [
        ("*a" * 63 + "b", "a" * 128),
        ("*" * 127 + "b", "a" * 128),
        ("*?" * 63 + "b", "a" * 128),
        ("*[ab]" * 25 + "c", "ab" * 64),
    ],
)
def test_the_steps_are_no_more_than_the_pairs(
    glob: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A glob that many texts nearly match has no exponential cost."""
    steps: list[int] = []
    real = globs._is_matched

    def count(part: object, letter: str) -> bool:
        steps.append(1)
        return real(part, letter)

    monkeypatch.setattr(globs, "_is_matched", count)
    assert not matches(glob, text)
    assert len(steps) <= (len(glob) + 1) * (len(text) + 1)
