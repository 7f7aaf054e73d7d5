"""Ask the database each question of a decision once, while nothing changes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import time_machine
from django.utils import timezone

from database.sql import Rows, fetch_rows
from repositories.rights import decisions


@contextmanager
def each_asked_once() -> Iterator[None]:
    """Let equal statements of the rule with equal parameters be run once.

    A decision is still made for every action and every tag. One that asked something
    else for another action would ask it here, too. The time stands still, since it is
    a parameter.
    """
    answers: dict[tuple[Any, ...], Rows] = {}

    def fetch(sql: str, parameters: Sequence[Any]) -> Rows:
        question = (sql, *parameters)
        if question not in answers:
            answers[question] = fetch_rows(sql, parameters)
        return answers[question]

    with (
        time_machine.travel(timezone.now(), tick=False),
        patch.object(decisions, "fetch_rows", fetch),
    ):
        yield
