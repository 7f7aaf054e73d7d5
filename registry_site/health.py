"""Is the process alive, and can it do its work?"""

import logging

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from distribution.storage import blob_store
from distribution.storage.base import StoreError

log = logging.getLogger(__name__)


def live(request: HttpRequest) -> JsonResponse:
    """Answer as long as the process does; nothing else is asked."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 if the database and the blob store can be used, else 503."""
    parts = {"database": _database_is_ready(), "blobs": _store_is_ready()}
    is_ready = all(parts.values())
    words = {name: "ok" if works else "unavailable" for name, works in parts.items()}
    return JsonResponse(
        {"status": "ok" if is_ready else "unavailable", **words},
        status=200 if is_ready else 503,
    )


def _database_is_ready() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        log.exception("the database does not answer")
        return False
    return True


def _store_is_ready() -> bool:
    try:
        blob_store().check()
    except StoreError:
        log.exception("the blob store cannot be used")
        return False
    return True
