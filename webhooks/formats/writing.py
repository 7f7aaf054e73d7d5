"""Writes payloads as JSON, up to a size that every receiver and database can take.

What a webhook sends is made of what people push and of templates that people write.
The size is counted while the text grows, so a payload that would be too large costs no
more than one that just fits.
"""

import json
from typing import Any

PAYLOAD_MAX_BYTES = 256 * 1024  # GitHub and Stripe stay far below; Argo CD reads 1 MiB


class PayloadTooLarge(ValueError):
    """A payload that is larger than PAYLOAD_MAX_BYTES."""

    def __init__(self) -> None:
        super().__init__(
            f"the payload would be larger than {PAYLOAD_MAX_BYTES:,} bytes; a custom "
            "template that uses long values less often is shorter"
        )


class Budget:
    """Counts the bytes of one payload while it is made."""

    def __init__(self, bytes_max: int = PAYLOAD_MAX_BYTES) -> None:
        self._left = bytes_max

    def take(self, size: int) -> None:
        """Count so many bytes more; raise PayloadTooLarge when none are left."""
        self._left -= size
        if self._left < 0:
            raise PayloadTooLarge


def write_json(value: Any) -> str:
    """Return a value as JSON in ASCII, which every database can keep.

    Raises PayloadTooLarge.
    """
    budget = Budget()
    pieces = []
    for piece in json.JSONEncoder(allow_nan=False).iterencode(value):
        budget.take(len(piece))
        pieces.append(piece)
    return "".join(pieces)
