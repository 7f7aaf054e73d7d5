"""Reports the operations of a blob store to a program that counts them.

    report_operations(observer)     observer(operation, has_failed), from now on
    observed(store)                 the store, whose methods report

Only web workers count. An operation that another one of the store calls counts too.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from distribution.storage.base import BlobStore, Staged, StagedWriter

# Methods of BlobStore; "commit" ends what "write" began.
OPERATIONS = (
    *("write", "commit", "fork", "read_staged", "finish", "discard"),
    *("open", "delete", "check"),
)

Observer = Callable[[str, bool], None]
Store = TypeVar("Store", bound=BlobStore)

_observers: list[Observer] = []


def report_operations(observer: Observer) -> None:
    """Call the observer after every operation of this process."""
    if observer not in _observers:
        _observers.append(observer)


def observed(store: Store) -> Store:
    """Return the store, whose operations are reported from now on."""
    for operation in OPERATIONS:
        if operation != "commit":
            method = getattr(store, operation)
            setattr(store, operation, _reporting(operation, method))
    begin_to_write = store.write

    def write(staged: Staged, offset_bytes: int) -> StagedWriter:
        return _ReportingWriter(begin_to_write(staged, offset_bytes))

    store.write = write  # type: ignore[method-assign]
    return store


class _ReportingWriter(StagedWriter):
    """Passes everything on; what fails while bytes come in is a failed write."""

    def __init__(self, writer: StagedWriter) -> None:
        self._writer = writer

    @property
    def size_bytes(self) -> int:  # type: ignore[override]
        return self._writer.size_bytes

    def add(self, piece: bytes) -> None:
        try:
            self._writer.add(piece)
        except Exception:
            _report("write", has_failed=True)
            raise

    def commit(self) -> Staged:
        try:
            staged = self._writer.commit()
        except Exception:
            _report("commit", has_failed=True)
            raise
        _report("commit", has_failed=False)
        return staged

    def close(self) -> None:
        self._writer.close()


def _reporting(operation: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def report(*arguments: Any, **named: Any) -> Any:
        try:
            result = method(*arguments, **named)
        except Exception:
            _report(operation, has_failed=True)
            raise
        _report(operation, has_failed=False)
        return result

    return report


def _report(operation: str, *, has_failed: bool) -> None:
    for observer in _observers:
        observer(operation, has_failed)
