"""A site full of content that is made to be expensive: who waits, and for how long?

    python -m bench.pathological                     10,000 repositories
    python -m bench.pathological --repositories 500  a shorter run

Every repository has a README of the corpus in tests/hub. One has images with
as many platforms, layers, labels and variables as are taken, under 10,000 tags, and 50
webhooks whose templates repeat the longest value. While pages are read, someone pushes
there again and again, and someone else waits for a webhook of their own.

It prints the slowest and the largest page of each kind, the peak memory of each
process, and how long the other person's webhooks took, with and without the attack.
Limits: 1 second, 2 MB, 300 MB.
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
from pathlib import Path

import httpx

from tests import images
from tests.webhooks.receivers import Receiver, run_receiver
from tests.webhooks.stack import Stack, run_stack

PAGE_SECONDS = 1.0
PAGE_BYTES = 2_000_000
WORKER_BYTES = 300_000_000
TAGS = 10_000
HOOKS = 50
PUSHES = 20
EMOJI = "\N{GRINNING FACE}"
TEMPLATE = json.dumps({"x": "{{platforms}}" * 146})

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


def latencies(stack: Stack, receiver: Receiver, repository: str) -> list[float]:
    """Push one after the other; return how long each webhook took to arrive."""
    image = images.image()
    stack.client.push(f"{repository}:first", image)
    receiver.wait_for(1)
    seconds = []
    for number in range(PUSHES):
        before = len(receiver.received)
        started = time.time()
        tag = f"t{time.monotonic_ns()}-{number}"
        stack.client.put_manifest(repository, tag, image).raise_for_status()
        receiver.wait_for(before + 1)
        seconds.append(receiver.received[-1].at - started)
    return seconds


def attack(stack: Stack, name: str, index: images.Image, stop: threading.Event) -> None:
    """Push an index that 50 templates cannot render, until it is over."""
    number = 0
    while not stop.is_set():
        number += 1
        stack.client.put_manifest(name, f"attack-{number}", index)
        time.sleep(0.2)


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


def run(stack: Stack, receiver: Receiver, *, count: int, sample: int) -> bool:
    stack.run_code(FILL.format(count=count))
    name = stack.new_repository()
    image = huge_image()
    index = huge_index(image)
    stack.client.push(f"{name}:image", image)
    stack.client.push(f"{name}:index", index)
    stack.api("PATCH", f"/repositories/{name}", {"visibility": "public"})
    stack.run_code(TAG.format(name=name.partition("/")[2], tags=TAGS))
    victim = stack.new_repository()
    stack.hook(victim, f"{receiver.url}/ok")
    with stack.worker:
        quiet = latencies(stack, receiver, victim)
        for _ in range(HOOKS):
            options = {"template": TEMPLATE}
            url = f"{receiver.url}/never"
            stack.hook(name, url, format="custom", options=options)
        stop = threading.Event()
        attacker = threading.Thread(target=attack, args=(stack, name, index, stop))
        attacker.start()
        try:
            loud = latencies(stack, receiver, victim)
        finally:
            stop.set()
            attacker.join()
        pages = Pages(stack)
        read_pages(stack, pages, name, count, sample)
        is_good = pages.print()
        for title, process in (("web", stack.server.process), ("worker", stack.worker)):
            pid = process.pid if title == "web" else process.process.pid  # type: ignore[union-attr]
            peak = peaks(children_of(pid))
            shown = ", ".join(f"{size / 1e6:.0f}" for size in peak[:6])
            print(f"peak memory of {title}, MB: {shown}")
            is_good = is_good and peak[0] <= WORKER_BYTES
    for title, seconds in (("quiet", quiet), ("under attack", loud)):
        median, most = statistics.median(seconds) * 1000, max(seconds) * 1000
        print(f"webhook of another user, {title}: {median:.0f} ms, most {most:.0f} ms")
    return is_good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=300, help="READMEs that are read")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        httpx.Client(timeout=60) as http,
        run_receiver() as receiver,
        run_stack(Path(folder), "folder", http) as stack,
    ):
        is_good = run(stack, receiver, count=asked.repositories, sample=asked.sample)
    print("within the limits" if is_good else "BEYOND THE LIMITS")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
