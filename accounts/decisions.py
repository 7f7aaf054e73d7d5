"""The answer to "may they?", with its reason. Pure."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no, with a reason that a person can read, made only when asked for."""

    allowed: bool
    explain: Callable[[], str]

    def __bool__(self) -> bool:
        return self.allowed

    @property
    def reason(self) -> str:
        return self.explain()
