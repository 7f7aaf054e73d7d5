"""Digests: an algorithm and what it made of some bytes (image-spec descriptor.md)."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

# The registered algorithms, both of which a registry must take (G-3).
ENCODED_LENGTHS = {"sha256": 64, "sha512": 128}
CANONICAL_ALGORITHM = "sha256"

_digest = re.compile(r"([a-z0-9]+(?:[+._-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)")
_lower_hex = re.compile(r"[0-9a-f]+")


class DigestMalformed(ValueError):
    """A text that is no digest, or one of an algorithm that is not registered."""


@dataclass(frozen=True, slots=True)
class Digest:
    """A parsed digest; ``str()`` gives back exactly what was parsed."""

    algorithm: str
    encoded: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"


def parse_digest(text: str) -> Digest:
    """Return the digest that the text spells, else DigestMalformed."""
    match = _digest.fullmatch(text)
    if match is None:
        raise DigestMalformed(f"'{text[:200]}' is not a digest")
    algorithm, encoded = match.groups()
    length = ENCODED_LENGTHS.get(algorithm)
    if length is None:
        raise DigestMalformed(f"digest algorithm '{algorithm[:40]}' is not supported")
    if len(encoded) != length or not _lower_hex.fullmatch(encoded):
        raise DigestMalformed(
            f"a {algorithm} digest has {length} lowercase hexadecimal digits"
        )
    return Digest(algorithm, encoded)


def digest_of(content: bytes, algorithm: str = CANONICAL_ALGORITHM) -> Digest:
    """Return the digest of bytes at hand."""
    return Digest(algorithm, new_hash(algorithm, content).hexdigest())


def new_hash(algorithm: str = CANONICAL_ALGORITHM, content: bytes = b"") -> Any:
    """Return a hashlib object for a registered algorithm."""
    return hashlib.new(algorithm, content, usedforsecurity=True)
