"""The worker does its work over the embedded broker, a folder (I7)."""

import time
from datetime import timedelta

import httpx
import pytest
from django.utils import timezone

from tests.faults.conftest import ADMIN, MakeServer, admin_of
from tests.servers import BerthServer, Process

TIMEOUT_SECONDS = 60


def run_code(server: BerthServer, code: str) -> str:
    return server.manage("shell", "--no-imports", "-c", code).strip()


def test_a_task_is_carried_out_by_a_worker_started_later(
    make_server: MakeServer, http: httpx.Client
) -> None:
    """P7: what is asked for while no worker runs waits, and is done once."""
    server = make_server()
    server.manage("prepare")
    with server:
        client = admin_of(server, http)
        location = client.start_upload(f"{ADMIN}/app")
        long_ago = timezone.now() - timedelta(days=30)
        run_code(
            server,
            "from distribution.models import Upload;"
            f"Upload.objects.update(touched_at='{long_ago.isoformat()}')",
        )
        run_code(
            server,
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


ASK = "from {0} import {1}; {1}.delay()"
RUNS = """
from registry_site.models import TaskRun
print(*TaskRun.objects.values_list("task", flat=True))
"""


def wait_for_run(server: BerthServer, task: str) -> list[str]:
    """Wait until a task has run; return the tasks that have."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while task not in (ran := run_code(server, RUNS).split()):
        assert time.monotonic() < deadline, f"{task} did not run: {ran}"
    return ran


def test_a_worker_takes_the_tasks_of_its_queues_only(make_server: MakeServer) -> None:
    server = make_server()
    server.manage("prepare")
    with pytest.raises(RuntimeError, match="there is no queue 'mails'"):
        server.manage("worker", "-Q", "statistics,mails")
    run_code(server, ASK.format("distribution.tasks", "expire_uploads"))  # upkeep
    run_code(server, ASK.format("repositories.tasks", "recount_pulls"))
    with Process(server, "worker", "-Q", "statistics"):
        ran = wait_for_run(server, "repositories.tasks.recount_pulls")
        assert "distribution.tasks.expire_uploads" not in ran
    with Process(server, "worker", "-Q", "deliveries,upkeep"):
        wait_for_run(server, "distribution.tasks.expire_uploads")
