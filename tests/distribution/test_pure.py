"""Scopes and ranges, as tables (AUTH-15, BLOB-3)."""

import pytest

from distribution.ranges import RangeUnsatisfiable, parse_range
from distribution.scopes import SCOPES_MAX, parse_scopes


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["repository:a/b:pull"], ["repository:a/b:pull"]),
        (["repository:a/b:pull,push"], ["repository:a/b:pull,push"]),
        (
            ["repository:a/b:pull repository:c/d:pull"],
            ["repository:a/b:pull", "repository:c/d:pull"],
        ),
        (
            ["repository:a/b:pull", "repository:c/d:push"],
            ["repository:a/b:pull", "repository:c/d:push"],
        ),
        (
            ["repository:a/b:pull", "repository:a/b:push,pull"],
            ["repository:a/b:pull,push"],
        ),
        (["repository(plugin):a/b:pull"], ["repository:a/b:pull"]),
        (["repository:host:5000/a/b:pull"], ["repository:host:5000/a/b:pull"]),
        (["registry:catalog:*"], ["registry:catalog:*"]),
        (["repository:a/b:"], ["repository:a/b:"]),
        (["", "  ", "repository", "repository:", ":a:pull", "REPOSITORY:a:pull"], []),
    ],
)
def test_scopes_are_read_together(values: list[str], expected: list[str]) -> None:
    """AUTH-10, AUTH-12, AUTH-15, R-17."""
    assert [str(scope) for scope in parse_scopes(values)] == expected


def test_scopes_have_an_end() -> None:
    """AUTH-42."""
    assert len(parse_scopes(f"repository:a/{n}:pull" for n in range(500))) == SCOPES_MAX


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=500-1499", (500, 500)),
        ("bytes=10-", (10, 990)),
        ("bytes=-10", (990, 10)),
        ("bytes=-5000", (0, 1000)),
        ("bytes=999-999", (999, 1)),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("items=0-9", None),
        ("bytes=" + "9" * 40 + "-", None),
    ],
)
def test_a_range_is_start_and_length(
    header: str, expected: tuple[int, int] | None
) -> None:
    """BLOB-3: several ranges, and what cannot be read, give the whole."""
    assert parse_range(header, 1000) == expected


@pytest.mark.parametrize(
    ("header", "size_bytes"),
    [
        ("bytes=1000-", 1000),
        ("bytes=5000-10000", 1000),
        ("bytes=500-0", 1000),
        ("bytes=-0", 1000),
        ("bytes=0-0", 0),
        ("bytes=-1", 0),
    ],
)
def test_a_range_outside_is_unsatisfiable(header: str, size_bytes: int) -> None:
    with pytest.raises(RangeUnsatisfiable):
        parse_range(header, size_bytes)
