"""Names, tags and references (distribution-spec, Pulling manifests)."""

import re
from dataclasses import dataclass

COMPONENT_PATTERN = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
NAME_MAX_LENGTH = 255  # clients refuse host/name beyond it (G-1)
DEFAULT_NAMESPACE = "library"  # D-13: host/hello-world is library/hello-world

_name = re.compile(rf"{COMPONENT_PATTERN}(?:/{COMPONENT_PATTERN})*")
_tag = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


class NameMalformed(ValueError):
    """A text that is no repository name."""


@dataclass(frozen=True, slots=True)
class RepositoryName:
    """A repository's name as a client wrote it, and as it is kept.

    ``text`` is what answers repeat, since clients compare names (D-13).
    """

    text: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return self.text

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"


def parse_repository_name(text: str) -> RepositoryName:
    """Return the name that the text spells (G-1, D-13), else NameMalformed."""
    if len(text) > NAME_MAX_LENGTH:
        raise NameMalformed(f"a name has at most {NAME_MAX_LENGTH} characters")
    if not _name.fullmatch(text):
        raise NameMalformed(
            f"'{text}' is not a repository name: use lowercase letters and digits, "
            "separated by '-', '_', '.' or '/'"
        )
    namespace, slash, name = text.partition("/")
    if not slash:
        return RepositoryName(text, DEFAULT_NAMESPACE, namespace)
    return RepositoryName(text, namespace, name)


def is_tag(text: str) -> bool:
    """Return whether the text keeps to the grammar of tags (G-2)."""
    return _tag.fullmatch(text) is not None


def is_digest_reference(reference: str) -> bool:
    """Return whether a reference is a digest: a tag has no colon (G-4)."""
    return ":" in reference
