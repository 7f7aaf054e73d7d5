"""Scopes, as a table (AUTH-15)."""

import pytest

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
    assert [str(scope) for scope in parse_scopes(values)[0]] == expected


def test_scopes_have_an_end() -> None:
    """AUTH-42."""
    scopes, dropped = parse_scopes(f"repository:a/{n}:pull" for n in range(500))
    assert len(scopes) == SCOPES_MAX
    assert scopes[0].name == "a/0"
    assert dropped == 500 - SCOPES_MAX
