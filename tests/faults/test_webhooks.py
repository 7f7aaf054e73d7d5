"""The whole of it as processes: server, worker, scheduler, both brokers, and kills.

P6, P7, H1, C24 - C27, and Redis gone, hanging or emptied: pushes go on, and everything
arrives at least once. bench/webhooks.py does the same with 10,000 events.
"""

import json
import random
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import httpx
import pytest

from registry_site.cache import REST_SECONDS
from tests import images
from tests.faults.conftest import own_database
from tests.pages import PageClient
from tests.servers import LoadedServer, Process
from tests.webhooks.receivers import Received, Receiver, run_receiver
from tests.webhooks.stack import (
    ADMIN,
    BROKERS,
    END_LOANS,
    PASSWORD,
    Stack,
    run_stack,
)

# What one measurement leaves to send is nothing that the next one measures.
FORGET_WEBHOOKS = """
from accounts.actors import SYSTEM
from webhooks.models import Webhook
from webhooks.registration import delete_webhook
for webhook in Webhook.objects.all():
    delete_webhook(webhook=webhook, actor=SYSTEM)
"""

BACKLOG = 40 * 15  # deliveries: webhooks and tags of the busy account


@cache
def tag_in(body: bytes) -> str:
    return str(json.loads(body)["data"]["tag"])


def tags_of(receiver: Receiver) -> Counter[str]:
    return Counter(tag_in(request.body) for request in list(receiver.received))


def wait_for_tags(receiver: Receiver, tags: set[str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while missing := tags - set(tags_of(receiver)):
        assert time.monotonic() < deadline, f"{len(missing)} are missing: {missing}"
        time.sleep(0.1)


@pytest.fixture(scope="module", params=BROKERS)
def stack(
    request: pytest.FixtureRequest,
    http: httpx.Client,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with run_stack(
        folder, request.param, http, own_database(), server_class=LoadedServer
    ) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as running:
        yield running


@pytest.fixture
def working(stack: Stack) -> Iterator[Stack]:
    with stack.worker:
        yield stack


def test_a_push_arrives_at_once(working: Stack, receiver: Receiver) -> None:
    repository = working.new_repository()
    working.hook(repository, f"{receiver.url}/ok")
    working.push_tags(repository, [])
    receiver.wait_for(1)  # the worker is awake now
    working.scheduler.kill()  # no sweep comes; how quick it is says bench/webhooks.py
    try:
        working.client.push(f"{repository}:v1", images.image())
        receiver.wait_for(2)
    finally:
        working.scheduler.start()
    assert set(tags_of(receiver)) == {"base", "v1"}


def test_a_failed_self_check_is_explained(working: Stack, receiver: Receiver) -> None:
    repository = working.new_repository()
    made = working.hook(repository, "http://10.1.2.3/")
    path = f"/repositories/{repository}/webhooks/{made['id']}"
    delivery = working.api("POST", f"{path}/test")
    deadline = time.monotonic() + 120
    while delivery["status"] != "failed":
        assert time.monotonic() < deadline, delivery
        time.sleep(0.1)
        delivery = working.api("GET", f"{path}/deliveries/{delivery['id']}")
    assert delivery["problem"] == "forbidden"
    assert "10.1.2.3" in delivery["reason"]


def test_workers_killed_at_each_point_lose_nothing(stack: Stack) -> None:
    """C24 - C27: one dies after the other, each with what those before it left."""
    with ExitStack() as leaving:
        receivers = {}
        for point in ("C24", "C25", "C26", "C27"):
            receivers[point] = leaving.enter_context(run_receiver())
            repository = stack.new_repository()
            stack.hook(repository, f"{receivers[point].url}/ok")
            doomed = Process(stack.server, "worker", BERTH_CRASH_AT=point)
            doomed.start()
            try:
                stack.push_tags(repository, ["v1", "v2", "v3"])
                assert doomed.process is not None
                status = doomed.process.wait(60)
            finally:
                doomed.kill()
            assert status == -signal.SIGKILL, point
        stack.run_code(END_LOANS)
        with stack.worker:
            for receiver in receivers.values():
                wait_for_tags(receiver, {"base", "v1", "v2", "v3"})
        for point, receiver in receivers.items():
            bodies: defaultdict[str, set[bytes]] = defaultdict(set)
            for sent in receiver.received:
                bodies[sent.headers["webhook-id"]].add(sent.body)
            assert len(bodies) == 4, (point, "an id for each, again when repeated")
            assert {len(same) for same in bodies.values()} == {1}, point


def test_a_worker_killed_at_random_loses_nothing(
    stack: Stack, receiver: Receiver
) -> None:
    """P6: 300 events, a kill every second or so; on Redis it is emptied, too."""
    repository = stack.new_repository()
    stack.hook(repository, f"{receiver.url}/ok")
    tags = [f"t{number}" for number in range(300)]
    pushing = threading.Thread(target=stack.push_tags, args=(repository, tags))
    stack.worker.start()
    pushing.start()
    lots = random.Random(1)
    kills = 0
    while pushing.is_alive():
        pushing.join(lots.uniform(2, 5))
        stack.worker.kill()
        kills += 1
        if stack.valkey is not None and kills == 2:
            stack.valkey.flush()
        stack.worker.start()
    stack.run_code(END_LOANS)
    try:
        wait_for_tags(receiver, {"base", *tags})
    finally:
        stack.worker.kill()
    ids = {(r.headers["webhook-id"], r.body) for r in receiver.received}
    assert len(ids) == len(tags) + 1, "one id for each event, with one body"


def test_what_happens_while_no_worker_runs_arrives_when_one_does(
    stack: Stack, receiver: Receiver
) -> None:
    """P7."""
    repository = stack.new_repository()
    stack.hook(repository, f"{receiver.url}/ok")
    tags = [f"t{number}" for number in range(100)]
    stack.push_tags(repository, tags)
    with stack.worker:
        wait_for_tags(receiver, {"base", *tags}, 60)


def test_receivers_that_hang_do_not_delay_those_that_work(working: Stack) -> None:
    """H1: a hundred that hang, each on its own host; p95 of the others below 5 s.

    They delay the others each time; a busy machine does so at times.
    """
    assert any(measure_beside_hanging(working) < 5 for _ in range(3))


def measure_beside_hanging(stack: Stack) -> float:
    with ExitStack() as leaving:
        leaving.callback(forget_webhooks, stack)
        slow = [stack.new_repository() for _ in range(2)]
        for place, path in zip(slow, ("hang", "drip"), strict=True):
            for _ in range(50):
                hanging = leaving.enter_context(run_receiver())
                stack.hook(place, f"{hanging.url}/{path}", tags="slow*")
        healthy = leaving.enter_context(run_receiver())
        quick = stack.new_repository()
        stack.hook(quick, f"{healthy.url}/ok")
        for place in slow:
            stack.push_tags(place, ["slow1"])
        sent_at: dict[str, float] = {}
        image = images.image()
        stack.client.push(f"{quick}:t0", image)
        for number in range(1, 41):
            sent_at[f"t{number}"] = time.time()
            stack.client.put_manifest(quick, f"t{number}", image)
            if number == 20:  # those that hang are asked again and again
                for place in slow:
                    stack.push_tags(place, ["slow2", "slow3"])
            time.sleep(0.2)
        wait_for_tags(healthy, set(sent_at))
        return p95_of(healthy, sent_at)


def forget_webhooks(stack: Stack) -> None:
    """Delete all webhooks, while no worker writes what came of their deliveries."""
    stack.worker.kill()
    stack.run_code(FORGET_WEBHOOKS)
    stack.worker.start()


def p95_of(receiver: Receiver, sent_at: dict[str, float]) -> float:
    """Return how long the tags took to the receiver, at their first arrival."""
    arrived_at: dict[str, float] = {}
    for request in list(receiver.received):
        arrived_at.setdefault(json.loads(request.body)["data"]["tag"], request.at)
    delays = sorted(arrived_at[tag] - at for tag, at in sent_at.items())
    return delays[int(len(delays) * 0.95)]


@pytest.mark.timeout(600)
def test_receivers_that_worked_and_then_hang_do_not_delay_the_others(
    working: Stack,
) -> None:
    """H1: a hundred with ten events each; one that works, and one that failed once.

    A path that works is not delayed by one of the same host that hangs, either. They
    delay the others each time; a busy machine does so at times.
    """
    assert any(measure_beside_moody(working) < 5 for _ in range(3))


def measure_beside_moody(working: Stack) -> float:
    with ExitStack() as leaving:
        leaving.callback(forget_webhooks, working)
        moody = [leaving.enter_context(run_receiver()) for _ in range(100)]
        mixed, stumbling = (leaving.enter_context(run_receiver()) for _ in range(2))
        places = [working.new_repository() for _ in range(2)]
        for number, receiver in enumerate(moody):
            working.hook(places[number % 2], f"{receiver.url}/moody", tags="[bs]*")
        quick = working.new_repository()
        for url in (f"{mixed.url}/ok", f"{stumbling.url}/stumble"):
            working.hook(quick, url)
        for number in range(10):
            working.hook(quick, f"{mixed.url}/hang/{number}")
        for place in places:
            working.push_tags(place, [])
        for receiver in moody:
            receiver.wait_for(1)
            receiver.is_hanging.set()
        for place in places:
            working.push_tags(place, [f"slow{number}" for number in range(10)])
        image = images.image()
        working.client.push(f"{quick}:t0", image)
        stumbling.wait_for(1)
        sent_at: dict[str, float] = {}
        for number in range(1, 41):
            sent_at[f"t{number}"] = time.time()
            working.client.put_manifest(quick, f"t{number}", image)
            time.sleep(0.2)
        wait_for_tags(stumbling, set(sent_at))
        deadline = time.monotonic() + 120
        while len(healthy_requests(mixed)) <= len(sent_at):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        mixed.received = healthy_requests(mixed)
        return max(p95_of(mixed, sent_at), p95_of(stumbling, sent_at))


def healthy_requests(receiver: Receiver) -> list[Received]:
    return [request for request in list(receiver.received) if request.path == "/ok"]


@pytest.mark.parametrize("stack", ["folder"], indirect=True)
def test_webhooks_are_not_behind_the_backlog_of_another_account(
    working: Stack, receiver: Receiver
) -> None:
    """However much waits for one account, it delays no other (A2)."""
    crowd, quiet = working.of_users("crowd", "quiet")
    with ExitStack() as leaving:
        leaving.callback(forget_webhooks, working)
        busy = leaving.enter_context(run_receiver())
        theirs, mine = crowd.new_repository(), quiet.new_repository()
        for _ in range(40):
            template = json.dumps({"x": "{{summary}} {{reference}} " * 500})
            options = {"template": template}
            crowd.hook(theirs, f"{busy.url}/ok", format="custom", options=options)
        quiet.hook(mine, f"{receiver.url}/ok")
        quiet.push_tags(mine, [])
        receiver.wait_for(1)
        crowd.push_tags(theirs, [f"v{number}" for number in range(14)])
        assert len(busy.received) < BACKLOG / 2, "it is a backlog"
        for number in range(3):
            before = len(busy.received)
            quiet.push_tags(mine, [f"v{number}"])
            receiver.wait_until(lambda n=number: f"v{n}" in tags_of(receiver))
            assert len(busy.received) - before < BACKLOG / 4
        assert len(busy.received) < BACKLOG, "it waits for much longer"


def use(stack: Stack, repository: str) -> float:
    """Pull, sign in by docker and in a browser, look; return how long the slowest took.

    README and sign-in page are what asks the cache.
    """
    url = stack.server.url

    def sign_in() -> None:
        with PageClient(url) as browser:
            form = {"login": ADMIN, "password": PASSWORD}
            assert browser.post("/accounts/login/", form).status_code == 302

    def docker_login() -> None:
        answer = httpx.get(f"{url}/v2/token", auth=(ADMIN, PASSWORD), timeout=60)
        assert answer.status_code == 200

    def pull() -> None:
        answer = stack.client.get(
            f"/v2/{repository}/manifests/base",
            token=stack.client.token(f"repository:{repository}:pull"),
        )
        assert answer.status_code == 200

    def look() -> None:
        assert "Read me" in stack.page(f"/{repository}")

    slowest = 0.0
    for step in (pull, docker_login, sign_in, look, pull, look):
        started = time.monotonic()
        step()
        slowest = max(slowest, time.monotonic() - started)
    return slowest


def settled(measure: Callable[[], float], limit_seconds: float) -> bool:
    """Tell whether it stays below the limit, by whatever else the machine does.

    Where it did not, it is measured again when Redis is asked anew: what waits for
    Redis waits each time, and a busy disk or processor does not.
    """
    for _ in range(3):
        if measure() < limit_seconds:
            return True
        time.sleep(REST_SECONDS + 1)
    return False


@pytest.mark.parametrize("stack", ["redis"], indirect=True)
def test_a_redis_that_is_gone_or_hangs_delays_nobody_and_loses_nothing(
    stack: Stack, receiver: Receiver
) -> None:
    """R1, R2, R3: pull, push and login go on; the sweep delivers afterwards."""
    assert stack.valkey is not None
    repository = stack.new_repository()
    stack.api("PATCH", f"/repositories/{repository}", {"readme": "# Read me"})
    stack.hook(repository, f"{receiver.url}/ok")
    before = [f"before{n}" for n in range(10)]
    usual = stack.push_tags(repository, before)
    use(stack, repository)
    usual_use = max(use(stack, repository) for _ in range(2))

    def hold(word: str) -> None:
        """Push and use, while Redis does not answer, about as quickly as before."""
        tags = [f"{word}{n}" for n in range(10)]
        assert settled(lambda: stack.push_tags(repository, tags), usual + 1)
        assert settled(lambda: use(stack, repository), usual_use + 1)

    with stack.valkey.hanging():
        hold("hang")
    stack.valkey.stop()
    hold("gone")
    stack.valkey.start()
    tags = {*before, *(f"{word}{n}" for word in ("hang", "gone") for n in range(10))}
    with stack.worker:
        wait_for_tags(receiver, tags)


@pytest.mark.parametrize("stack", ["redis"], indirect=True)
def test_a_redis_that_is_emptied_or_restarted_under_a_worker_delays_little(
    stack: Stack, receiver: Receiver
) -> None:
    """R3: with it go what Celery had noted there of its queues."""
    assert stack.valkey is not None
    repository = stack.new_repository()
    stack.hook(repository, f"{receiver.url}/ok")
    with stack.worker:
        stack.push_tags(repository, ["before"])
        wait_for_tags(receiver, {"before"})
        stack.valkey.flush()
        stack.push_tags(repository, ["emptied1", "emptied2"])
        wait_for_tags(receiver, {"emptied1", "emptied2"}, 60)
        stack.valkey.stop()
        stack.push_tags(repository, ["gone"])
        stack.valkey.start()
        stack.push_tags(repository, ["back"])
        wait_for_tags(receiver, {"gone", "back"}, 90)
