"""Histories as docker, BuildKit, podman and others write them."""

from typing import Any

import pytest

from repositories.oci.history import Layer, read_line, steps_of


@pytest.mark.parametrize(
    ("created_by", "expected"),
    [
        ('/bin/sh -c #(nop)  CMD ["sh"]', ("CMD", '["sh"]')),
        ("/bin/sh -c #(nop) ADD file:ab in / ", ("ADD", "file:ab in /")),
        ("/bin/sh -c apt-get update", ("RUN", "apt-get update")),
        ("RUN /bin/sh -c make # buildkit", ("RUN", "make")),
        ("RUN |1 V=3 /bin/sh -c make # buildkit", ("RUN", "make")),
        ("|2 A=1 B=x /bin/sh -c make", ("RUN", "make")),
        ("/bin/bash -o pipefail -c make", ("RUN", "make")),
        ("COPY . /srv # buildkit", ("COPY", ". /srv")),
        ("WORKDIR /srv", ("WORKDIR", "/srv")),
        ("bazel build ...", ("", "bazel build ...")),
        ("", ("", "")),
    ],
)
def test_a_line_is_one_of_a_dockerfile(
    created_by: str, expected: tuple[str, str]
) -> None:
    assert read_line(created_by) == expected


@pytest.mark.timeout(30)  # what begins again at every space takes an hour
def test_a_long_line_is_read_in_one_pass() -> None:
    spaces = " " * 2_000_000
    assert read_line(f"RUN x{spaces}y") == ("RUN", f"x{spaces}y")
    assert read_line(f"RUN x{spaces}# buildkit") == ("RUN", "x")
    assert read_line(f"RUN x{spaces}# buildkit.") == ("RUN", f"x{spaces}# buildkit.")
    assert read_line("RUN x# buildkit") == ("RUN", "x# buildkit")


LAYERS = [Layer(f"sha256:{n}", n, "tar") for n in (1, 2)]


def test_steps_without_a_layer_are_told_apart() -> None:
    history: list[dict[str, Any]] = [
        {"created_by": "ADD x /"},
        {"created_by": "ENV A=1", "empty_layer": True},
        {"comment": "imported"},
    ]
    steps = steps_of(LAYERS, history)
    assert [step.number for step in steps] == [1, None, 2]
    assert [step.layer for step in steps] == [LAYERS[0], None, LAYERS[1]]
    assert steps[2].text == "imported"


@pytest.mark.parametrize("history", [[], [{}], [{}, {}, {}], [{"empty_layer": True}]])
def test_a_history_that_does_not_fit_is_not_guessed_at(
    history: list[dict[str, Any]],
) -> None:
    steps = steps_of(LAYERS, history)
    assert [(step.number, step.layer) for step in steps] == [
        (1, LAYERS[0]),
        (2, LAYERS[1]),
    ]
