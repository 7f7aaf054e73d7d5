"""Is the process alive, and can it do its work?

    /healthz       the process answers; nothing else is asked
    /readyz        pushes and pulls work, else 503
    /readyz/pulls  pulls work, else 503: for a load balancer that keeps reads going
                   while a disk is full

A part that hangs is reported after ANSWER_SECONDS. One thread waits for it, however
often it is asked.
"""

import logging
import threading
from collections.abc import Callable

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse

from accounts.outages import RETRY_AFTER_SECONDS, was_disk_full
from distribution.storage import blob_store
from distribution.storage.base import StoreError
from registry_site.disks import written_disks

log = logging.getLogger(__name__)

ANSWER_SECONDS = 5.0
OK, FULL, READ_ONLY, UNAVAILABLE = "ok", "full", "read-only", "unavailable"
NEEDED_BY_PUSHES = {"blobs": "blobs", "database": "database", "data": "database"}


def live(request: HttpRequest) -> JsonResponse:
    """Answer while the process does; nothing else is asked."""
    return JsonResponse({"status": OK})


def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 if pushes and pulls work, else 503 and what does not."""
    return _answer(needs_pushes=True)


def ready_for_pulls(request: HttpRequest) -> JsonResponse:
    """Answer 200 if pulls work, else 503."""
    return _answer(needs_pushes=False)


def _answer(*, needs_pushes: bool) -> JsonResponse:
    parts = {"database": database_part.state(), "blobs": store_part.state()}
    pulls_work = UNAVAILABLE not in parts.values()
    for disk in written_disks(with_blobs=parts["blobs"] != UNAVAILABLE):
        part = NEEDED_BY_PUSHES.get(disk.name)
        if disk.is_full and part is not None and parts[part] == OK:
            parts[part] = FULL
    if connection.vendor == "postgresql" and was_disk_full():  # a disk elsewhere
        parts["database"] = FULL if parts["database"] == OK else parts["database"]
    pushes_work = set(parts.values()) == {OK}
    status = OK if pushes_work else "degraded" if pulls_work else UNAVAILABLE
    is_ready = pushes_work or (pulls_work and not needs_pushes)
    return JsonResponse(
        {
            "status": status,
            **parts,
            "pulls": OK if pulls_work else UNAVAILABLE,
            "pushes": OK if pushes_work else "refused",
        },
        status=200 if is_ready else 503,
        headers=None if is_ready else {"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


class Part:
    """Something that answers, fails or hangs."""

    def __init__(self, name: str, ask: Callable[[], str]) -> None:
        self._name = name
        self._ask = ask
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._state = OK
        self.problem = ""  # of the last answer, for administrators

    def state(self) -> str:
        """Return its state, UNAVAILABLE if it does not answer in time."""
        with self._lock:
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(
                    target=self._run, name=f"ready-{self._name}", daemon=True
                )
                self._asking.start()
            asking = self._asking
        asking.join(ANSWER_SECONDS)
        if asking.is_alive():
            self.problem = f"the {self._name} does not answer"
            log.error("%s", self.problem)
            return UNAVAILABLE
        return self._state

    def _run(self) -> None:
        try:
            self._state = self._ask()
            self.problem = "" if self._state == OK else f"{self._name}: {self._state}"
        except (Error, StoreError, OSError) as error:
            log.error("the %s cannot be used: %s", self._name, str(error).strip())
            self._state = UNAVAILABLE
            self.problem = str(error).strip()
        finally:
            connection.close()  # this thread's


def _ask_database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


def _ask_store() -> str:
    blob_store().verify()
    return OK if blob_store().is_writable() else READ_ONLY


database_part = Part("database", _ask_database)
store_part = Part("blob store", _ask_store)
