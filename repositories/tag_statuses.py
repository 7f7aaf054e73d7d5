"""What others say of an image, beside its tag: asked for here, answered from above.

Apps that stand on this one connect to ``remarks_wanted`` and return, for a
``repository`` and its ``digests_of_tags``, the remarks on each tag. This app knows none
of them (CONTRIBUTING.md).
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.dispatch import Signal

from repositories.models import Repository

SHOWN = 3  # of one tag, the newest

remarks_wanted = Signal()


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence of somebody who used the image: "deployed by Jenkins #42"."""

    text: str
    is_good: bool
    at: datetime
    context: str = ""
    url: str = ""


def remarks_on(
    repository: Repository, digests_of_tags: Mapping[str, str]
) -> dict[str, list[Remark]]:
    """Return the newest remarks on what these tags point to now. One query each app."""
    found: dict[str, list[Remark]] = defaultdict(list)
    if not digests_of_tags:
        return found
    answers: list[tuple[Any, Any]] = remarks_wanted.send(
        sender=Repository, repository=repository, digests_of_tags=digests_of_tags
    )
    for _receiver, answer in answers:
        for tag, remarks in answer.items():
            found[tag] += remarks
    for remarks in found.values():
        remarks.sort(key=lambda remark: remark.at, reverse=True)
        del remarks[SHOWN:]
    return found
