"""Statuses of images, shown beside their tags: asked for here, answered from above.

Apps that stand on this one connect to ``statuses_wanted`` and return, for a
``repository`` and its ``digests_of_tags``, the statuses of each tag. This app imports
none of them (CONTRIBUTING.md).
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.dispatch import Signal

from repositories.models import Repository

SHOWN = 3  # of one tag, the newest

statuses_wanted = Signal()


@dataclass(frozen=True, slots=True)
class TagStatus:
    """A receiver's report on an image: "deployed by Jenkins #42"."""

    text: str
    is_good: bool
    at: datetime
    context: str = ""
    url: str = ""


def statuses_of(
    repository: Repository, digests_of_tags: Mapping[str, str]
) -> dict[str, list[TagStatus]]:
    """Return the newest statuses of what these tags point to. One query per app."""
    found: dict[str, list[TagStatus]] = defaultdict(list)
    if not digests_of_tags:
        return found
    answers: list[tuple[Any, Any]] = statuses_wanted.send(
        sender=Repository, repository=repository, digests_of_tags=digests_of_tags
    )
    for _receiver, answer in answers:
        for tag, statuses in answer.items():
            found[tag] += statuses
    for statuses in found.values():
        statuses.sort(key=lambda status: status.at, reverse=True)
        del statuses[SHOWN:]
    return found
