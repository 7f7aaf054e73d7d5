"""Events as files: JSON lines for programs, CSV for spreadsheets.

Rows are read in batches by their id and written as they come, so that a log of any
length takes the memory of one batch. No cursor stays open on the database, so a slow
reader keeps no snapshot, and connection pools can be used.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from typing import Any

from django.db.models import QuerySet

from api.repositories.serializers import AuditEventSerializer
from repositories.models import Event

BATCH_ROWS = 500
# What spreadsheets take for a formula when a cell begins with it (CWE-1236).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
FIELDS = AuditEventSerializer.Meta.fields

Rows = Iterable[dict[str, Any]]


def export_events(
    events: QuerySet[Event],
    file_format: str,
    serializer: type[AuditEventSerializer],
) -> Iterator[str]:
    """Yield the text of the file, newest event first."""
    write = FORMATS[file_format][1]
    if file_format == "csv":
        yield _csv_text([FIELDS])
    for batch in _batches(events.order_by("-pk")):
        yield write(serializer(batch, many=True).data)


def _batches(events: QuerySet[Event]) -> Iterator[list[Event]]:
    batch = list(events[:BATCH_ROWS])
    while batch:
        yield batch
        if len(batch) < BATCH_ROWS:
            return
        batch = list(events.filter(pk__lt=batch[-1].pk)[:BATCH_ROWS])


def _write_json_lines(rows: Rows) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def _write_csv(rows: Rows) -> str:
    return _csv_text([_cell(row[name]) for name in FIELDS] for row in rows)


def _csv_text(rows: Iterable[Iterable[str]]) -> str:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    """Return text that a spreadsheet shows and does not run."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


# By what ?format= says: the media type, and what writes some rows.
FORMATS: dict[str, tuple[str, Callable[[Rows], str]]] = {
    "jsonl": ("application/jsonl", _write_json_lines),
    "csv": ("text/csv", _write_csv),
}
