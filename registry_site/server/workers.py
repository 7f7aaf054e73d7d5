"""Starts Granian with worker processes that answer in the pool's own threads.

Granian's RSGI runs every request as a coroutine of an event loop. Berth's views are
plain functions, and handing each to another thread would cost a third of the speed.
So the worker gives Granian a scheduler that calls ``answer`` right in the thread of the
pool, and no event loop at all: see bodies.CallbackLoop and decision 0011.
"""

import resource
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from granian import Granian
from granian._granian import CallbackScheduler, RSGIWorker
from granian._signals import set_sync_signals
from granian.constants import HTTPModes, Interfaces, RuntimeModes, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.common import WORKERS_METHODS
from granian.server.mp import WorkerProcess

from registry_site.server.hung_workers import LOOK_SECONDS, Counts, HungWorkers

_counts = Counts(settings.BERTH_WORKERS)
BACKLOG = 4096  # connections that the kernel keeps while a worker is busy
CONNECTIONS_MAX = 16_384  # of a worker; each is a file
FILES_BESIDE = 512  # databases, blobs, logs


def serve(*, host: str, port: int, certificate: Path | None, key: Path | None) -> None:
    """Serve until SIGINT or SIGTERM; raises RuntimeError where it cannot listen."""
    server = Granian(
        "registry_site.server.exchange:answer",
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,  # what every client speaks to a registry
        http1_settings=HTTP1Settings(
            header_read_timeout=int(settings.BERTH_REQUEST_SECONDS * 1000)
        ),
        workers=settings.BERTH_WORKERS,
        backlog=BACKLOG,
        backpressure=_connections_max(),
        runtime_mode=RuntimeModes.st,
        ssl_cert=certificate,
        ssl_key=key,
        ssl_protocol_min=SSLProtocols.tls12,
        respawn_failed_workers=True,
        workers_kill_timeout=30,
        log_level=LogLevels.error,
        websockets=False,
    )
    HungWorkers(_counts).watch(server)
    server.serve(spawn_target=_run_worker)


def _connections_max() -> int:
    """Raise the limit of open files as far as it goes; return what it allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = CONNECTIONS_MAX + FILES_BESIDE
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(128, min(CONNECTIONS_MAX, hard - FILES_BESIDE))


@WorkerProcess.wrap_target  # type: ignore[untyped-decorator]
def _run_worker(
    worker_id: int,
    answer: Any,
    listener: Any,
    channel: Any,
    loop: Any,
    runtime_mode: RuntimeModes,
    runtime_threads: int,
    runtime_blocking_threads: int,
    blocking_threads: int,
    idle_seconds: int,
    backpressure: int,
    task_impl: Any,
    http_mode: HTTPModes,
    http1_settings: HTTP1Settings,
    http2_settings: Any,
    websockets: bool,
    static_path: Any,
    log_format: Any,
    ssl_context: tuple[Any, ...],
    scope_options: dict[str, Any],
    metrics: Any,
) -> None:
    from database.waits import limit_waits
    from registry_site.server.bodies import CallbackLoop
    from registry_site.server.connections import Connections
    from registry_site.server.deadlines import deadlines
    from registry_site.server.request_metrics import blocks

    has_ended = threading.Event()
    signals: Any = set_sync_signals()  # type: ignore[no-untyped-call]
    signals.add_cb(has_ended.set)
    blocks.take(worker_id - 1)
    deadlines.start()
    limit_waits(is_web=True)
    Connections(settings.BERTH_LISTEN[1]).start()
    make_worker: Any = RSGIWorker  # its stub lacks a parameter
    worker = make_worker(
        worker_id,
        listener,
        channel,
        runtime_threads,
        runtime_blocking_threads,
        settings.BERTH_THREADS,
        idle_seconds,
        backpressure,
        http_mode,
        http1_settings,
        http2_settings,
        websockets,
        static_path,
        *ssl_context,
        metrics,
    )
    callbacks = CallbackLoop()
    scheduler = CallbackScheduler(callbacks, answer, None, None, None)  # type: ignore[call-arg]
    scheduler._schedule_fn = answer  # type: ignore[attr-defined]
    start = getattr(worker, WORKERS_METHODS[runtime_mode][False])
    start(scheduler, callbacks, signals)
    while not has_ended.wait(LOOK_SECONDS):
        _counts[worker_id - 1] += 1
