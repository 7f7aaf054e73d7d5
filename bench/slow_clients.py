"""Measure what clients that stop in the middle cost everyone else.

    python -m bench.slow_clients                   2,000 connections of each sort
    python -m bench.slow_clients --connections 100

Eight ordinary clients pull, push, open a page and ask /healthz, each in a connection of
its own, first alone and then beside each sort of slow client. The slow clients are in a
process of their own and open a connection again when Berth closes it. Every answer is
checked. What is printed is Markdown: the 95th percentile of each request in
milliseconds.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import statistics
import time
from contextlib import suppress
from multiprocessing.synchronize import Event
from pathlib import Path

from bench import content, measures
from bench.content import MANIFEST_TYPE
from bench.load import in_threads, temporary_folder
from bench.registries import REPOSITORY, Berth
from bench.wire import Connection
from tests.site.slow_clients import (
    Slow,
    Sort,
    half_body,
    half_chunks,
    half_headers,
    silence,
    unread,
)

CLIENTS = 8
SECONDS = 20.0
WARM_UP_SECONDS = 3.0
TASKS = ("pull", "push", "page", "/healthz")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.slow_clients", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--folder", type=Path, help="where the data goes")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder = temporary_folder(options.folder)
    berth = Berth(folder / "berth")
    try:
        image = content.small_image()
        with berth.connect() as connection:
            measures.push_image(connection, image, "hot")
            large = content.large_blob(20)
            measures.put_large(connection, large, chunked=False)
        print(
            "| beside | open at the end |", " | ".join(f"{t} p95" for t in TASKS), "|"
        )
        print("| --- | ---: |", " | ".join("---:" for _ in TASKS), "|")
        _measure(berth, image, WARM_UP_SECONDS)
        _print_row("nobody", 0, _measure(berth, image, options.seconds))
        for name, sorts in _sorts(berth, large.digest).items():
            with _Crowd(berth.port, sorts, options.connections) as crowd:
                times = _measure(berth, image, options.seconds)
                _print_row(name, crowd.open_count(), times)
    finally:
        berth.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _sorts(berth: Berth, digest: str) -> dict[str, list[Sort]]:
    bearer = f"Authorization: Bearer {berth.token()}\n"
    with berth.connect() as connection:
        path = f"/v2/{REPOSITORY}/blobs/uploads/"
        upload = connection.request("POST", path, expect=202).location
    manifest = f"/v2/{REPOSITORY}/manifests/slow"
    return {
        "silence and half headers": [silence, half_headers],
        "half forms": [half_body("/v2/token"), half_body("/accounts/login/")],
        "half manifests": [half_body(manifest, "PUT", bearer)],
        "half uploads": [
            half_body(upload, "PATCH", bearer),
            half_chunks(upload, "PATCH", bearer),
        ],
        "unread blobs": [unread(f"/v2/{REPOSITORY}/blobs/{digest}", bearer)],
    }


def _measure(
    berth: Berth, image: content.SmallImage, seconds: float
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {task: [] for task in TASKS}
    berth.token()
    deadline = time.perf_counter() + seconds

    def work(number: int) -> None:
        while time.perf_counter() < deadline:
            for task in TASKS:
                started = time.perf_counter()
                _do(task, berth, image, number)
                times[task].append(time.perf_counter() - started)

    in_threads(CLIENTS, work)
    return times


def _do(task: str, berth: Berth, image: content.SmallImage, number: int) -> None:
    with berth.connect() as connection:
        if task == "pull":
            connection.request(
                "GET",
                f"/v2/{REPOSITORY}/manifests/hot",
                headers={"Accept": MANIFEST_TYPE},
                expect=200,
            )
            for digest, blob in image.blobs:
                path = f"/v2/{REPOSITORY}/blobs/{digest}"
                assert connection.request("GET", path, expect=200).body == blob
        elif task == "push":
            measures.push_image(connection, content.small_image(), f"client-{number}")
        else:
            with Connection(berth.port) as anonymous:
                target = "/" if task == "page" else task
                anonymous.request("GET", target, expect=200)


class _Crowd:
    """Slow clients in a process of their own."""

    def __init__(self, port: int, sorts: list[Sort], count: int) -> None:
        context = multiprocessing.get_context("fork")
        self._is_over = context.Event()
        self._are_there = context.Event()
        self._open = context.Value("i", 0)
        self._process = context.Process(
            target=_crowd,
            args=(port, sorts, count, self._are_there, self._is_over, self._open),
        )

    def __enter__(self) -> "_Crowd":
        self._process.start()
        assert self._are_there.wait(120), "the slow clients did not get in"
        time.sleep(WARM_UP_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._process.join()

    def open_count(self) -> int:
        return int(self._open.value)


def _crowd(
    port: int,
    sorts: list[Sort],
    count: int,
    are_there: Event,
    is_over: Event,
    open_count: "multiprocessing.sharedctypes.Synchronized[int]",
) -> None:
    os.nice(5)  # what they cost themselves is not measured
    with Slow(port, sorts, count) as slow:
        are_there.set()
        while not is_over.wait(1.0):
            open_count.value = slow.open_count()
            for number in slow.closed():
                with suppress(OSError):
                    slow.reopen(number)


def _print_row(name: str, open_count: int, times: dict[str, list[float]]) -> None:
    cells = [
        f"{statistics.quantiles(times[task], n=20)[-1] * 1000:,.0f}" for task in TASKS
    ]
    print(f"| {name} | {open_count:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
