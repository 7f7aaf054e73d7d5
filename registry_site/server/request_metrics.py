"""Counts the requests of this node: their number, time and bytes, and the store's work.

    worker 1 ── adds ──> block 1 ─┐
    worker 2 ── adds ──> block 2 ─┼─ sums ──> /metrics of any worker
    worker 3 ── adds ──> block 3 ─┘

The workers are forks of one process and share one piece of memory, with a block of
numbers for each worker. So each scrape reports all workers of the node. A counter stays
when its worker is killed, and the worker that takes its place continues it; gauges of a
worker that ended are set to 0. A request takes one lock of its own process and adds
three or four numbers. The files that prometheus_client has for several processes cost a
multiple of that, and stay behind for each process that ever ran.

Every label value comes from the lists below, and every number has its place from the
start: no client can make the memory or the answer grow.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from mmap import mmap
from time import perf_counter
from typing import Any

from django.conf import settings
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric

from distribution.endpoints import OTHER_ENDPOINT
from distribution.storage.observation import OPERATIONS
from distribution.urls import urlpatterns as protocol_routes

# Groups of pages by the first word of the path, or by "-/" and the second one.
PAGES_BY_PATH = {
    "search": "explore",
    "-/assets": "assets",
    "-/docs": "docs",
    "-/admin": "admin",
    "accounts": "sign_in",
    "invitations": "sign_in",
    "settings": "settings",
    "api": "api",
    "healthz": "probes",
    "readyz": "probes",
    "metrics": "metrics",
}
OTHER_PAGES = "pages"  # of namespaces and repositories, and all that is not found
ENDPOINTS = tuple(
    dict.fromkeys(
        [
            *(pattern.callback.endpoint for pattern in protocol_routes),  # type: ignore[attr-defined]
            OTHER_ENDPOINT,
            *PAGES_BY_PATH.values(),
            OTHER_PAGES,
        ]
    )
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")
STATUSES = (*(status.value for status in HTTPStatus if status >= 200), "other")
BUCKETS_SECONDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)

_ENDPOINT_PLACES = {name: place for place, name in enumerate(ENDPOINTS)}
_METHOD_PLACES = {name: place for place, name in enumerate(METHODS)}
_STATUS_PLACES = {status: place for place, status in enumerate(STATUSES)}
_UNREAD_ENDPOINT = _ENDPOINT_PLACES[OTHER_PAGES]  # of what failed before it was read
_OTHER_METHOD, _OTHER_STATUS = len(METHODS) - 1, len(STATUSES) - 1
_DURATIONS_WIDTH = len(BUCKETS_SECONDS) + 2  # one beyond the last bucket, and the sum

# Where the numbers of a block begin.
_REQUESTS = 0
_DURATIONS = _REQUESTS + len(ENDPOINTS) * len(METHODS) * len(STATUSES)
_RECEIVED = _DURATIONS + len(ENDPOINTS) * _DURATIONS_WIDTH
_SENT = _RECEIVED + len(ENDPOINTS)
_STORE_OPERATIONS = _SENT + len(ENDPOINTS)
_STORE_ERRORS = _STORE_OPERATIONS + len(OPERATIONS)
_UPLOADS = _STORE_ERRORS + len(OPERATIONS)
_WIDTH = _UPLOADS + 1
_NUMBER_BYTES = 8


class Blocks:
    """The numbers of all workers, in memory that forks share."""

    def __init__(self, workers: int) -> None:
        self._memory = mmap(-1, workers * _WIDTH * _NUMBER_BYTES)
        self._numbers = memoryview(self._memory).cast("d")
        self._own = self._numbers[:_WIDTH]
        self._lock = threading.Lock()  # of the threads of a worker

    def take(self, place: int) -> None:
        """Let this process add to the block of a worker, and drop its former gauges."""
        self._own = self._numbers[place * _WIDTH : (place + 1) * _WIDTH]
        self._lock = threading.Lock()
        self._own[_UPLOADS] = 0

    def add_answer(
        self, endpoint: int, request: int, seconds: float, sent: int
    ) -> None:
        """Add an answer: its number, its time, its bytes."""
        durations = _DURATIONS + endpoint * _DURATIONS_WIDTH
        bucket = durations + bisect_left(BUCKETS_SECONDS, seconds)
        total = durations + _DURATIONS_WIDTH - 1
        own = self._own
        with self._lock:
            own[request] += 1
            own[bucket] += 1
            own[total] += seconds
            if sent:
                own[_SENT + endpoint] += sent

    def add(self, place: int, amount: float = 1) -> None:
        """Add to one number."""
        with self._lock:
            self._own[place] += amount

    def sums(self) -> list[float]:
        """Return the numbers of all workers together."""
        blocks = range(0, len(self._numbers), _WIDTH)
        found = (self._numbers[at : at + _WIDTH].tolist() for at in blocks)
        return [sum(column) for column in zip(*found, strict=True)]


blocks = Blocks(settings.BERTH_WORKERS)


def group_of_page(path: str) -> str:
    """Return the group that a path outside of the protocol belongs to."""
    if path == "/":
        return "explore"
    _, first, second, *_ = (*path.split("/", 3), "", "")
    return PAGES_BY_PATH.get(f"-/{second}" if first == "-" else first, OTHER_PAGES)


def count_store_operation(operation: str, has_failed: bool) -> None:
    """Count what the blob store was asked for, and whether it could not do it."""
    place = OPERATIONS.index(operation)
    blocks.add(_STORE_OPERATIONS + place)
    if has_failed:
        blocks.add(_STORE_ERRORS + place)


class MeasuredProtocol:
    """Granian's side of a request, which counts the answer that goes through it.

    The time ends when Granian has the answer: what the client needs to read it is not
    part of it. Of two answers, the first one counts.
    """

    __slots__ = ("_endpoint", "_is_answered", "_method", "_proto", "_started")

    def __init__(self, proto: Any) -> None:
        self._started = perf_counter()
        self._proto = proto
        self._endpoint, self._method = _UNREAD_ENDPOINT, _OTHER_METHOD
        self._is_answered = False

    def count_as(self, endpoint: str, method: str) -> None:
        """Count it as a request with this method to this endpoint from now on."""
        self._endpoint = _ENDPOINT_PLACES[endpoint]
        self._method = _METHOD_PLACES.get(method, _OTHER_METHOD)

    def __aiter__(self) -> Any:
        return self._proto.__aiter__()

    def count_received(self, size_bytes: int) -> None:
        """Count bytes of the body."""
        blocks.add(_RECEIVED + self._endpoint, size_bytes)

    def sent_counter(self) -> Callable[[int], None]:
        """Return what counts the bytes of a stream, without a hold on the request."""
        return partial(blocks.add, _SENT + self._endpoint)

    def count_upload(self, change: int) -> None:
        """Count an upload that has begun (1) or is over (-1)."""
        blocks.add(_UPLOADS, change)

    def response_empty(self, status: int, headers: Any) -> None:
        self._proto.response_empty(status, headers)
        self._answered(status, 0)

    def response_bytes(self, status: int, headers: Any, body: Any) -> None:
        self._proto.response_bytes(status, headers, body)
        self._answered(status, len(body))

    def response_str(self, status: int, headers: Any, text: str) -> None:
        self._proto.response_str(status, headers, text)
        self._answered(status, len(text.encode()))

    def response_file(self, status: int, headers: Any, path: str) -> None:
        self._proto.response_file(status, headers, path)
        self._answered(status, 0)

    def response_file_range(
        self, status: int, headers: Any, path: str, start: int, end: int
    ) -> None:
        self._proto.response_file_range(status, headers, path, start, end)
        self._answered(status, end - start)

    def response_stream(self, status: int, headers: Any) -> Any:
        transport = self._proto.response_stream(status, headers)
        self._answered(status, 0)
        return transport

    def _answered(self, status: int, sent_bytes: int) -> None:
        if self._is_answered:
            return
        self._is_answered = True
        request = _request_place(
            self._endpoint, self._method, _STATUS_PLACES.get(status, _OTHER_STATUS)
        )
        seconds = perf_counter() - self._started
        blocks.add_answer(self._endpoint, request, seconds, sent_bytes)


def _request_place(endpoint: int, method: int, status: int) -> int:
    return (endpoint * len(METHODS) + method) * len(STATUSES) + status


# --- for Prometheus


def request_metrics() -> Iterator[Metric]:
    """Yield each family once, with the numbers of all workers of this node."""
    sums = blocks.sums()
    yield _requests(sums)
    yield _durations(sums)
    yield _counter(
        "berth_http_received_bytes",
        "Bytes of request bodies.",
        "endpoint",
        _by(ENDPOINTS, sums, _RECEIVED),
    )
    yield _counter(
        "berth_http_sent_bytes",
        "Bytes of answers, without headers.",
        "endpoint",
        _by(ENDPOINTS, sums, _SENT),
    )
    yield GaugeMetricFamily(
        "berth_http_uploads_in_progress",
        "Requests whose blob is arriving.",
        value=sums[_UPLOADS],
    )
    yield _counter(
        "berth_store_operations",
        "Operations of the blob store by web workers.",
        "operation",
        _by(OPERATIONS, sums, _STORE_OPERATIONS),
    )
    yield _counter(
        "berth_store_errors",
        "Operations that the store failed.",
        "operation",
        _by(OPERATIONS, sums, _STORE_ERRORS),
    )


def _requests(sums: Sequence[float]) -> CounterMetricFamily:
    """Return the requests; a combination that never occurred is left out."""
    family = CounterMetricFamily(
        "berth_http_requests",
        "Answered requests.",
        labels=["endpoint", "method", "status"],
    )
    place = _REQUESTS
    for endpoint in ENDPOINTS:
        for method in METHODS:
            for status in STATUSES:
                if sums[place]:
                    family.add_metric([endpoint, method, str(status)], sums[place])
                place += 1
    return family


def _durations(sums: Sequence[float]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(
        "berth_http_request_duration_seconds",
        "Seconds from the headers of a request to its answer.",
        labels=["endpoint"],
    )
    for place, endpoint in enumerate(ENDPOINTS):
        start = _DURATIONS + place * _DURATIONS_WIDTH
        *counts, total = sums[start : start + _DURATIONS_WIDTH]
        family.add_metric([endpoint], list(_cumulative(counts)), total)
    return family


def _cumulative(counts: Iterable[float]) -> Iterator[tuple[str, float]]:
    reached = 0.0
    for bound, count in zip((*BUCKETS_SECONDS, "+Inf"), counts, strict=True):
        reached += count
        yield str(bound), reached


def _counter(
    name: str, what: str, label: str, numbers: Mapping[str, float]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, what, labels=[label])
    for value, number in numbers.items():
        family.add_metric([value], number)
    return family


def _by(values: Sequence[str], sums: Sequence[float], start: int) -> dict[str, float]:
    return dict(zip(values, sums[start : start + len(values)], strict=True))
