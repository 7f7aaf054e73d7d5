"""A site full of content that is made to be expensive: who waits, and for how long?

    python -m bench.pathological                     10,000 repositories
    python -m bench.pathological --repositories 500  a shorter run
    python -m bench.pathological --repositories 0    webhooks alone

Every repository has a README of the corpus in tests/hub. One has images with
as many platforms, layers, labels and variables as are taken, under 10,000 tags.

Then people with up to 50 webhooks each push again and again, and someone else waits
for a webhook of their own. ATTACKS are the webhooks: templates that repeat the longest
value, large payloads, receivers that hang or fail, few accounts or many.

It prints the slowest and the largest page of each kind, the peak memory of each
process, and how long the other person's webhooks took, in quiet and in each attack.
Limits: 1 second, 2 MB, 300 MB; of webhooks, p95 within a second of that in quiet.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from tests import images
from tests.webhooks.receivers import Receiver, run_receiver
from tests.webhooks.stack import Stack, run_stack

PAGE_SECONDS = 1.0
PAGE_BYTES = 2_000_000
WORKER_BYTES = 300_000_000
TAGS = 10_000
PUSHES = 40
LEAD_SECONDS = 5.0  # of an attack before it is measured
DELAY_SECONDS = 1.0
PATIENCE_SECONDS = 120
EMOJI = "\N{GRINNING FACE}"

FILL = """
from accounts.models import Namespace
from repositories.models import Repository
from tests.hub.pathological_readmes import READMES
owner = Namespace.objects.get(name="admin")
texts = list(READMES.values())
for start in range(0, {count}, 100):
    Repository.objects.bulk_create(
        Repository(
            namespace=owner,
            name=f"readme-{{number}}",
            visibility="public",
            readme=f"{{number}}\\n\\n{{texts[number % len(texts)]}}"[:100_000]
            .encode("utf-8", "replace").decode().replace("\\0", ""),
        )
        for number in range(start, min(start + 100, {count}))
    )
"""
TAG = """
from django.utils import timezone
from repositories.models import Repository, Tag
row = Repository.objects.get(namespace__name="admin", name="{name}")
manifests = list(row.manifests.filter(tags__isnull=False).distinct())
Tag.objects.bulk_create(
    Tag(
        repository=row,
        name=f"t{{number}}",
        manifest=manifests[number % len(manifests)],
        moved_at=timezone.now(),
    )
    for number in range({tags})
)
"""
FORGET_BACKLOG = """
from accounts.actors import SYSTEM
from webhooks.models import Webhook
from webhooks.registration import delete_webhook
for webhook in Webhook.objects.exclude(owner__username="bystander"):
    delete_webhook(webhook=webhook, actor=SYSTEM)
"""


def huge_image() -> images.Image:
    labels = {f"{number}": EMOJI * 900 for number in range(200)}
    config = {
        "os": "linux",
        "architecture": "amd64",
        "config": {"Labels": labels, "Env": [f"E{n}={'<' * 900}" for n in range(200)]},
        "history": [{"created_by": "&" * 900} for _ in range(300)],
    }
    return images.image(
        *[b"the same layer"] * 300,
        config=json.dumps(config, ensure_ascii=False).encode(),
        annotations={f"org.example.{number}": "<" * 900 for number in range(500)},
    )


def huge_index(child: images.Image) -> images.Image:
    entries = [
        child.descriptor(platform={"os": f"{number}{EMOJI * 245}"})
        for number in range(1800)
    ]
    body = {"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": entries}
    payload = json.dumps(body, ensure_ascii=False).encode()
    return images.Image(payload, images.OCI_INDEX, (), (child,))


def children_of(pid: int) -> set[int]:
    """Return a process and all below it."""
    parents: dict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(fields[1])].append(int(path.parent.name))
    found, waiting = set(), [pid]
    while waiting:
        one = waiting.pop()
        found.add(one)
        waiting += parents[one]
    return found


def peaks(pids: set[int]) -> list[int]:
    """Return the most bytes that each process has had in memory, largest first."""
    found = []
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        peak = next((x for x in status.splitlines() if x.startswith("VmHWM")), "")
        if peak:
            found.append(int(peak.split()[1]) * 1024)
    return sorted(found, reverse=True)


class Pages:
    """Reads pages and notes the slowest and the largest of each kind."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.bytes: dict[str, int] = defaultdict(int)

    def read(self, kind: str, path: str) -> None:
        started = time.monotonic()
        answer = self.stack.client.http.get(
            f"{self.stack.server.url}{path}",
            headers={"Authorization": f"Bearer {self.stack.client.secret}"},
        )
        self.seconds[kind].append(time.monotonic() - started)
        assert answer.status_code == 200, (path, answer.status_code)
        self.bytes[kind] = max(self.bytes[kind], len(answer.content))

    def print(self) -> bool:
        """Print a table; return whether all of it is within the limits."""
        print(f"{'page':28} {'asked':>5} {'median':>8} {'slowest':>8} {'largest':>10}")
        is_good = True
        for kind, seconds in self.seconds.items():
            slowest, largest = max(seconds), self.bytes[kind]
            is_good = is_good and slowest <= PAGE_SECONDS and largest <= PAGE_BYTES
            median = statistics.median(seconds)
            print(
                f"{kind:28} {len(seconds):5} {median:6.3f} s {slowest:6.3f} s "
                f"{largest / 1000:7,.0f} kB"
            )
        return is_good


@dataclass(frozen=True)
class Attack:
    """People who push, each with webhooks that are asked each time."""

    template: str
    path: str
    accounts: int = 1
    hooks: int = 50  # of each account
    pause_seconds: float = 0.2  # between two pushes of one account


LONG = json.dumps({"x": "{{platforms}}" * 146})  # beyond what a payload may have
LARGE = json.dumps({"x": "{{platforms}}" * 6})
SMALL = json.dumps({"x": "{{tag}}"})
ATTACKS = {
    "templates that are too long": Attack(LONG, "ok"),
    "large payloads": Attack(LARGE, "ok"),
    "large payloads, few webhooks": Attack(LARGE, "ok", hooks=5),
    "small payloads": Attack(SMALL, "ok", pause_seconds=0.02),
    "receivers that hang": Attack(LARGE, "hang"),
    "receivers that fail": Attack(SMALL, "status/503"),
    "twenty accounts": Attack(LARGE, "ok", accounts=20, hooks=10, pause_seconds=2),
}


def latencies(stack: Stack, receiver: Receiver, repository: str) -> list[float]:
    """Push one after the other; return how long each webhook took to arrive."""
    image = images.image()
    before = len(receiver.received)
    stack.client.push(f"{repository}:first-{time.monotonic_ns()}", image)
    receiver.wait_for(before + 1, timeout_seconds=PATIENCE_SECONDS)
    seconds = []
    for number in range(PUSHES):
        before = len(receiver.received)
        started = time.time()
        tag = f"t{time.monotonic_ns()}-{number}"
        stack.client.put_manifest(repository, tag, image).raise_for_status()
        receiver.wait_for(before + 1, timeout_seconds=PATIENCE_SECONDS)
        seconds.append(receiver.received[-1].at - started)
    return seconds


@contextmanager
def attacked(
    attack: Attack, stacks: list[Stack], receiver: Receiver
) -> Iterator[list[int]]:
    """Push as the attack says until it is over; yield a list that counts the pushes."""
    stop, pushes, threads = threading.Event(), [0], []
    for stack in stacks[: attack.accounts]:
        name = stack.new_repository()
        image = huge_image()
        index = huge_index(image)
        stack.client.push(f"{name}:first", index)
        for _ in range(attack.hooks):
            stack.hook(
                name,
                f"{receiver.url}/{attack.path}",
                format="custom",
                options={"template": attack.template},
            )
        push = partial(push_on, attack, stack, name, index, stop, pushes)
        threads.append(threading.Thread(target=push))
    for thread in threads:
        thread.start()
    try:
        yield pushes
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def push_on(
    attack: Attack,
    stack: Stack,
    name: str,
    index: images.Image,
    stop: threading.Event,
    pushes: list[int],
) -> None:
    while not stop.wait(attack.pause_seconds):
        tag = f"attack-{time.monotonic_ns()}"
        if stack.client.put_manifest(name, tag, index).is_success:
            pushes[0] += 1


def measure_webhooks(stack: Stack, receiver: Receiver, wanted: str) -> bool:
    """Print how long webhooks of one account take in each attack by others."""
    names = [f"crowd-{number}" for number in range(20)]
    stack, *attackers = stack.of_users("bystander", *names)
    victim = stack.new_repository()
    stack.hook(victim, f"{receiver.url}/ok")
    print(f"{'webhooks of another account':32} {'median':>9} {'p95':>9} {'most':>9}")
    quiet = latencies(stack, receiver, victim)
    limit = p95_of(quiet) + DELAY_SECONDS
    is_good = True
    print_latencies("no one pushes", quiet, "")
    for title, attack in ATTACKS.items():
        if wanted not in title:
            continue
        with run_receiver() as hostile, attacked(attack, attackers, hostile) as pushes:
            time.sleep(LEAD_SECONDS)
            seconds = latencies(stack, receiver, victim)
            note = f"  {pushes[0]} pushes, {len(hostile.received)} requests"
            print_latencies(title, seconds, note)
        is_good = is_good and p95_of(seconds) <= limit
        stack.worker.kill()
        stack.run_code(FORGET_BACKLOG)
        stack.worker.start()
        latencies(stack, receiver, victim)
    return is_good


def p95_of(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.95)]


def print_latencies(title: str, seconds: list[float], note: str) -> None:
    figures = (statistics.median(seconds), p95_of(seconds), max(seconds))
    shown = " ".join(f"{figure * 1000:6.0f} ms" for figure in figures)
    print(f"{title:32} {shown}{note}", flush=True)


def read_pages(stack: Stack, pages: Pages, name: str, count: int, sample: int) -> None:
    # Each web worker makes these once: the process that renders, and the document.
    for _ in range(10):
        pages.read("first README", "/admin/readme-0")
        pages.read("first OpenAPI document", "/api/schema/")
    for kind, seconds in pages.seconds.items():
        print(f"{kind}, once for each web worker: {max(seconds):.1f} s")
    pages.seconds.clear()
    chooser = random.Random(1)
    for number in chooser.sample(range(count), min(sample, count)):
        path = f"/admin/readme-{number}"
        pages.read("README, first time", path)
        pages.read("README, again", path)
    for _ in range(5):
        pages.read("tags", f"/{name}/-/tags")
        pages.read("tags by size", f"/{name}/-/tags?sort=size")
        pages.read("tags by version", f"/{name}/-/tags?sort=version")
        pages.read("image", f"/{name}:image")
        pages.read("index", f"/{name}:index")
        pages.read("repository", f"/{name}")
        pages.read("profile", "/admin")
        pages.read("explore", "/")
        pages.read("search", "/search?q=readme")
        pages.read("API: tags", f"/api/v1/repositories/{name}/tags?page_size=200")
        pages.read("API: repositories", "/api/v1/repositories?page_size=200")
        pages.read("API: OpenAPI document", "/api/schema/")


def measure_pages(stack: Stack, *, count: int, sample: int) -> bool:
    stack.run_code(FILL.format(count=count))
    name = stack.new_repository()
    image = huge_image()
    stack.client.push(f"{name}:image", image)
    stack.client.push(f"{name}:index", huge_index(image))
    stack.api("PATCH", f"/repositories/{name}", {"visibility": "public"})
    stack.run_code(TAG.format(name=name.partition("/")[2], tags=TAGS))
    pages = Pages(stack)
    read_pages(stack, pages, name, count, sample)
    return pages.print()


def measure_memory(stack: Stack) -> bool:
    is_good = True
    for title, process in (
        ("web", stack.server.process),
        ("worker", stack.worker.process),
    ):
        assert process is not None
        peak = peaks(children_of(process.pid))
        shown = ", ".join(f"{size / 1e6:.0f}" for size in peak[:6])
        print(f"peak memory of {title}, MB: {shown}")
        is_good = is_good and peak[0] <= WORKER_BYTES
    return is_good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=300, help="READMEs that are read")
    parser.add_argument("--attack", default="", help="a part of the names in ATTACKS")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        httpx.Client(timeout=60) as http,
        run_receiver() as receiver,
        run_stack(Path(folder), "folder", http) as stack,
        stack.worker,
    ):
        results = [measure_webhooks(stack, receiver, asked.attack)]
        if asked.repositories:
            count, sample = asked.repositories, asked.sample
            results.append(measure_pages(stack, count=count, sample=sample))
        results.append(measure_memory(stack))
    is_good = all(results)
    print("within the limits" if is_good else "BEYOND THE LIMITS")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
