"""An image's history, as the lines of a Dockerfile that it came from. Pure.

A builder writes one step per line into the config, and says which steps made no layer;
the others belong to the layers one by one (image-spec config.md, history).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

INSTRUCTIONS = frozenset(
    [
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM"),
        *("HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "RUN", "SHELL"),
        *("STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    ]
)
_nop = re.compile(r"^/bin/sh -c #\(nop\)\s+")
_build_arguments = re.compile(r"^\|\d+ ")  # their values may hold spaces
_shell = re.compile(r"/bin/(?:ba)?sh (?:-[a-z]+ (?:[a-z]+ )?){0,4}?-[a-z]*c ")
_BUILDKIT = "# buildkit"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer as the manifest describes it."""

    digest: str
    size_bytes: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Step:
    """One line of history; ``number`` counts the layers, None made none."""

    instruction: str  # "RUN", "" if the line is none of a Dockerfile
    text: str
    number: int | None = None
    layer: Layer | None = None


def steps_of(
    layers: Sequence[Layer], history: Sequence[Mapping[str, Any]]
) -> list[Step]:
    """Put layers and history together; layers alone where they don't fit."""
    if sum(not step.get("empty_layer") for step in history) != len(layers):
        return [
            Step("", "", number, layer) for number, layer in enumerate(layers, start=1)
        ]
    steps = []
    number = 0
    for line in history:
        instruction, text = read_line(
            str(line.get("created_by") or line.get("comment") or "")
        )
        if line.get("empty_layer"):
            steps.append(Step(instruction, text))
        else:
            number += 1
            steps.append(Step(instruction, text, number, layers[number - 1]))
    return steps


def read_line(created_by: str) -> tuple[str, str]:
    """Return the instruction and the rest of what a builder says it ran."""
    line = created_by.strip()
    if line.endswith(_BUILDKIT) and line[: -len(_BUILDKIT)][-1:].isspace():
        line = line.removesuffix(_BUILDKIT).rstrip()
    if _nop.match(line):
        line = _nop.sub("", line)
    else:
        command = line.removeprefix("RUN ")
        if _build_arguments.match(command):
            shell = _shell.search(command)
        else:
            shell = _shell.match(command)
        if shell is not None:
            line = f"RUN {command[shell.end() :]}"
    instruction, _, text = line.partition(" ")
    if instruction in INSTRUCTIONS:
        return instruction, text.strip()
    return "", line
