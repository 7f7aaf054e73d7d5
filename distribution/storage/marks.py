"""The marker of a store: which installation its blobs belong to.

    {"format": 1, "installation": "<uuid>"}

A folder has it as a file, a bucket as an object, both named ``berth-store``.
"""

import json
import uuid

from distribution.storage.base import Mark, StoreError, WrongStore

MARKER = "berth-store"
FORMAT = 1  # of what lies beside the marker; a later version that changes it counts up
MARKER_MAX_BYTES = 4096


def marker_text(identifier: str) -> bytes:
    """Return what the marker of an installation's store contains."""
    text = json.dumps({"format": FORMAT, "installation": identifier})
    return f"{text}\n".encode()


def parse_marker(text: bytes, *, marker: str, store: str) -> Mark:
    """Return what a marker says; raises StoreError with the place of both."""
    if not text:
        return Mark("")  # earlier versions made an empty file
    try:
        fields = json.loads(text)
        number, identifier = int(fields["format"]), str(fields["installation"])
        if number <= FORMAT:
            return Mark(str(uuid.UUID(identifier)))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{marker} cannot be read: restore it from a backup, or remove "
            "it and run 'manage.py adopt_store'"
        ) from error
    raise WrongStore(
        f"the blob store {store} has format {number}, and this version of "
        f"Berth supports {FORMAT}: run the version that wrote it"
    )


def check_mark(mark: Mark, expected: str | None, *, store: str) -> None:
    """Raise WrongStore unless the marker has the identifier that is expected."""
    if expected is None or mark.identifier != expected:
        raise WrongStore(
            f"the blob store {store} does not belong to this database "
            f"(store {mark.identifier or 'without identifier'}, database "
            f"{expected or 'without identifier'}); run 'manage.py prepare', "
            "which says what to do"
        )
