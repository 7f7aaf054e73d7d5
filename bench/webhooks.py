"""From a push to its webhook: how long it takes, and that nothing is lost.

    python -m bench.webhooks             the latency when idle, on both brokers
    python -m bench.webhooks --kill      10,000 events, the worker killed at random, on
                                         Redis the broker emptied; how many are missing

Both print a table. The time is from the moment before the manifest's PUT is sent to the
moment at which the receiver has the request.
"""

import argparse
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests import images
from tests.webhooks.receivers import Receiver, run_receiver
from tests.webhooks.stack import BROKERS, END_LOANS, Stack, run_stack

PUSHES = 40
EVENTS = 10_000
PUSHERS = 4
KILL_SECONDS = (4, 12)
ARRIVE_SECONDS = 600


def latency(stack: Stack, receiver: Receiver) -> str:
    """Push one after the other, each when the one before has arrived."""
    repository = stack.new_repository()
    stack.hook(repository, f"{receiver.url}/ok")
    image = images.image()
    with stack.worker:
        stack.client.push(f"{repository}:warm", image)
        receiver.wait_for(1)
        seconds = []
        for number in range(PUSHES):
            time.sleep(0.3)
            started = time.time()
            stack.client.put_manifest(repository, f"t{number}", image)
            receiver.wait_for(number + 2)
            seconds.append(receiver.received[-1].at - started)
    cuts = statistics.quantiles(seconds, n=20)
    return (
        f"median {statistics.median(seconds) * 1000:4.0f} ms, "
        f"p95 {cuts[18] * 1000:4.0f} ms, of {PUSHES}"
    )


def kills(stack: Stack, receiver: Receiver) -> str:
    """Push all, kill the worker again and again, and count what is missing."""
    repository = stack.new_repository()
    stack.hook(repository, f"{receiver.url}/ok")
    stack.push_tags(repository, [])
    share = EVENTS // PUSHERS
    pushers = [
        threading.Thread(
            target=stack.push_tags,
            args=(repository, [f"t{who}-{number}" for number in range(share)]),
        )
        for who in range(PUSHERS)
    ]
    lots = random.Random(1)
    killed = emptied = 0
    started = time.monotonic()
    stack.worker.start()
    for pusher in pushers:
        pusher.start()
    while any(pusher.is_alive() for pusher in pushers):
        time.sleep(lots.uniform(*KILL_SECONDS))
        stack.worker.kill()
        killed += 1
        if stack.valkey is not None and killed % 3 == 0:
            stack.valkey.flush()
            emptied += 1
        stack.worker.start()
    pushed_after = time.monotonic() - started
    stack.run_code(END_LOANS)
    missing = {f"t{who}-{n}" for who in range(PUSHERS) for n in range(share)}
    count = len(missing)
    read = 0
    deadline = time.monotonic() + ARRIVE_SECONDS
    while missing and time.monotonic() < deadline:
        fresh = receiver.received[read:]
        read += len(fresh)
        missing -= {json.loads(request.body)["data"]["tag"] for request in fresh}
        time.sleep(0.5)
    arrived_after = time.monotonic() - started
    stack.worker.kill()
    ids = {request.headers["webhook-id"] for request in receiver.received}
    return (
        f"{count} events, {killed} kills, {emptied} times emptied: "
        f"{len(missing)} missing, {len(ids)} ids, "
        f"{len(receiver.received) - len(ids)} repeated; "
        f"pushed in {pushed_after:.0f} s, arrived after {arrived_after:.0f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kill", action="store_true", help="also kill the worker")
    measure: Callable[[Stack, Receiver], str]
    measure = kills if parser.parse_args().kill else latency
    for broker in BROKERS:
        with (
            tempfile.TemporaryDirectory(prefix="berth-bench-") as folder,
            httpx.Client(timeout=60) as http,
            run_receiver() as receiver,
            run_stack(Path(folder), broker, http) as stack,
        ):
            before = os.getloadavg()[0]
            measured = measure(stack, receiver)
            after = os.getloadavg()[0]
            print(f"{broker:8} {measured}; load {before:.1f} to {after:.1f}")


if __name__ == "__main__":
    main()
