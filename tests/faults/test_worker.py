"""The worker does its work over the embedded broker, a folder (I7)."""

import time
from datetime import timedelta

import httpx
import pytest
from django.utils import timezone

from tests.faults.conftest import ADMIN, MakeServer, admin_of
from tests.faults.oracle import rows
from tests.servers import BerthServer, LoadedServer, Process

TIMEOUT_SECONDS = 60


@pytest.fixture(scope="module")
def prepared(make_server: MakeServer) -> LoadedServer:
    made = make_server()
    made.modules = ("celery.apps.worker",)
    made.manage("prepare")
    return made


def run_code(server: BerthServer, code: str) -> str:
    return server.manage("shell", "--no-imports", "-c", code).strip()


def test_a_task_is_carried_out_by_a_worker_started_later(
    prepared: LoadedServer, http: httpx.Client
) -> None:
    """P7: what is asked for while no worker runs waits, and is done once."""
    with prepared as server:
        client = admin_of(server, http)
        location = client.start_upload(f"{ADMIN}/app")
        long_ago = timezone.now() - timedelta(days=30)
        run_code(
            server,
            "from distribution.models import Upload;"
            f"Upload.objects.update(touched_at='{long_ago.isoformat()}');"
            "from distribution.tasks import expire_uploads; expire_uploads.delay()",
        )
        assert client.get(location).status_code == 204
        with Process(server, "worker") as worker:
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while client.get(location).status_code != 404:
                assert worker.is_running(), "the worker ended"
                assert time.monotonic() < deadline, "the worker did nothing"
                time.sleep(0.2)
            assert worker.process is not None
            worker.process.terminate()
            assert worker.process.wait(TIMEOUT_SECONDS) == 0


RUNS = "SELECT task FROM registry_site_taskrun"
ASK = """
from distribution.tasks import expire_uploads  # for the queue upkeep
from registry_site.models import TaskRun
from repositories.tasks import recount_pulls
TaskRun.objects.all().delete()
expire_uploads.delay()
recount_pulls.delay()
"""


def wait_for_run(server: BerthServer, task: str) -> set[str]:
    """Wait until a task has run; return the tasks that have."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while task not in (ran := {name for (name,) in rows(server, RUNS)}):
        assert time.monotonic() < deadline, f"{task} did not run: {ran}"
        time.sleep(0.1)
    return ran


def test_a_worker_takes_the_tasks_of_its_queues_only(prepared: LoadedServer) -> None:
    server = prepared
    with pytest.raises(RuntimeError, match="there is no queue 'mails'"):
        server.manage("worker", "-Q", "statistics,mails")
    run_code(server, ASK)
    with Process(server, "worker", "-Q", "statistics"):
        ran = wait_for_run(server, "repositories.tasks.recount_pulls")
        assert "distribution.tasks.expire_uploads" not in ran
    with Process(server, "worker", "-Q", "deliveries,upkeep"):
        wait_for_run(server, "distribution.tasks.expire_uploads")
