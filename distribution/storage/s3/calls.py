"""Calls of S3, each of which ends in time.

The client is the one of django-storages, made from its settings. botocore's own retries
know no deadline, so they are off: a call that S3 refuses for the moment is repeated for
RETRY_SECONDS, with full jitter; one that S3 does not answer within BERTH_S3_SECONDS is
not repeated. With both, a request has its 503 within five seconds.
"""

import os
import random
import threading
import time
from contextlib import nullcontext
from typing import Any

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    HTTPClientError,
    ReadTimeoutError,
)
from django.conf import settings
from storages.backends.s3 import S3Storage

from distribution.storage.base import (
    ObjectMissing,
    StoreAway,
    StoreError,
    StoreFull,
)
from distribution.storage.s3.breaker import Breaker

Answer = dict[str, Any]

CONNECT_SECONDS = 2.0
PATIENT_SECONDS = 60.0  # for what S3 may work on for long, such as a copy
RETRY_SECONDS = 0.9
FIRST_PAUSE_SECONDS = 0.05
CONNECTIONS_KEPT = 64
TRANSIENT = frozenset(
    {
        *("InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable"),
        *("SlowDown", "Throttling", "TooManyRequests"),
    }
)
ABSENT = frozenset({"404", "NoSuchKey", "NoSuchUpload", "NotFound", "InvalidRange"})
FULL = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"})


class Missing(ObjectMissing):
    """S3 has no such object or multipart upload."""


class Calls:
    """Makes calls for one bucket; threads share it."""

    def __init__(self, **options: Any) -> None:
        """``options`` override the settings of django-storages, by its names."""
        self._options = options
        self._lock = threading.Lock()
        self._clients: dict[float, Any] = {}
        self._process = os.getpid()
        storage = self._storage(settings.BERTH_S3_SECONDS)
        self.bucket: str = storage.bucket_name
        self.location: str = storage.location.strip("/")
        self.object_parameters: Answer = dict(storage.object_parameters)
        self.adds_checksums: bool = (
            settings.AWS_REQUEST_CHECKSUM_CALCULATION == "when_supported"
        )
        self.place = f"s3://{self.bucket}/{self.location}".rstrip("/")
        self.breaker = Breaker(self.place, settings.BERTH_THREADS * 3 // 4)

    def __call__(
        self,
        operation: str,
        *,
        is_patient: bool = False,
        is_of_request: bool = True,
        **parameters: Any,
    ) -> Answer:
        """Make a call, and again while S3 refuses it for the moment.

        Raises Missing, StoreFull, StoreAway or StoreError. ``is_of_request`` says that
        a thread waits for it that answers requests.
        """
        seconds = PATIENT_SECONDS if is_patient else settings.BERTH_S3_SECONDS
        stop = time.monotonic() + RETRY_SECONDS
        pause = FIRST_PAUSE_SECONDS
        while True:
            self.breaker.check()
            try:
                with self.breaker.waiting() if is_of_request else nullcontext():
                    call = getattr(self.client(seconds), operation)
                    answer: Answer = call(Bucket=self.bucket, **parameters)
            except (BotoCoreError, ClientError) as error:
                refused = self._error(operation, error)
                if not isinstance(refused, StoreAway):
                    self.breaker.succeeded()
                    raise refused from error
                wait = random.uniform(0, pause)  # noqa: S311  # jitter
                if is_late(error) or time.monotonic() + wait > stop:
                    self.breaker.failed()
                    raise refused from error
            else:
                self.breaker.succeeded()
                return answer
            time.sleep(wait)
            pause *= 2

    def client(self, seconds: float) -> Any:
        """Return a client that waits for an answer this long.

        A fork makes its own: connections cannot be shared (`manage.py serve`).
        """
        client = self._clients.get(seconds)
        if client is None or self._process != os.getpid():
            with self._lock:  # it reads credentials, maybe from a service
                if self._process != os.getpid():
                    self._clients, self._process = {}, os.getpid()
                client = self._clients.get(seconds)
                if client is None:
                    client = self._storage(seconds).connection.meta.client
                    self._clients[seconds] = client
        return client

    def _storage(self, seconds: float) -> Any:
        style = self._options.get("addressing_style", settings.AWS_S3_ADDRESSING_STYLE)
        config = Config(
            s3={"addressing_style": style},
            signature_version="s3v4",
            connect_timeout=min(CONNECT_SECONDS, seconds),
            read_timeout=seconds,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=CONNECTIONS_KEPT,
            tcp_keepalive=True,
            request_checksum_calculation=settings.AWS_REQUEST_CHECKSUM_CALCULATION,
            response_checksum_validation=settings.AWS_RESPONSE_CHECKSUM_VALIDATION,
        )
        return S3Storage(client_config=config, **self._options)

    def _error(self, operation: str, error: Exception) -> StoreError:
        """Return the store's error for what the client raised."""
        if not isinstance(error, ClientError):
            text = f"{self.place}: {operation}: {error}"
            is_away = isinstance(error, HTTPClientError | ConnectionError)
            return StoreAway(text) if is_away else StoreError(text)
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        text = f"{self.place}: {operation}: {code or status}"
        if code == "NoSuchBucket":
            return StoreError(f"{self.place}: there is no bucket {self.bucket}")
        if code in FULL or status == 507:
            return StoreFull(text)
        if code in TRANSIENT or status in {429, 500, 502, 503, 504}:
            return StoreAway(text)
        if code in ABSENT or (status == 404 and operation.startswith("head")):
            return Missing(text)
        return StoreError(text)


def is_late(error: Exception) -> bool:
    """Return whether S3 had its time already."""
    return isinstance(error, ConnectTimeoutError | ReadTimeoutError)
