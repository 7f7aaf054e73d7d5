"""Labels and annotations of images (image-spec annotations.md).

Both are whatever a builder wrote. Only links to the web are made links of, and a text
is a text. Pure.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from accounts.text import reveal
from repositories.oci.documents import read_annotations

PREFIX = "org.opencontainers.image."
OLDER_PREFIX = "org.label-schema."  # the same words, before the OCI had them

# In the order in which a page shows them.
LINKS = ("source", "documentation", "url")
FACTS = ("licenses", "vendor", "version", "revision", "authors")
_OLDER = {"source": "vcs-url", "documentation": "usage", "revision": "vcs-ref"}


@dataclass(frozen=True, slots=True)
class About:
    """The facts that a page shows beside the README, by the names of the spec."""

    title: str
    description: str
    links: dict[str, str]
    facts: dict[str, str]


def about(labels: Mapping[str, str]) -> About:
    """Pick what a page shows beside an image out of its labels or annotations."""

    def word(name: str) -> str:
        older = OLDER_PREFIX + _OLDER.get(name, name)
        return reveal((labels.get(PREFIX + name) or labels.get(older) or "").strip())

    links = {name: word(name) for name in LINKS if is_web_address(word(name))}
    return About(
        title=word("title"),
        description=word("description"),
        links=links,
        facts={name: word(name) for name in FACTS if word(name)},
    )


def is_web_address(text: str) -> bool:
    """Return whether a link to this leads to the web, and nowhere else."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and text.isprintable()
        and " " not in text
    )


def annotations_of(payload: bytes) -> dict[str, str]:
    """Return the annotations of a manifest that was taken before."""
    return read_annotations(json.loads(payload))
