"""A task that takes too long is ended, in the threads that the worker has."""

import threading
import time
from pathlib import Path

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from registry_site.task_deadlines import TaskLimits
from tests.servers import BerthServer, Process


def test_a_task_that_is_over_its_time_is_ended_and_no_other() -> None:
    watched = TaskLimits()
    ended: list[str] = []
    stop = threading.Event()

    def work(name: str, seconds: float | None) -> None:
        watched.begin(task_id=name, name=name, limit_seconds=seconds)
        try:
            while not stop.is_set():
                time.sleep(0.005)
        except SoftTimeLimitExceeded:
            ended.append(name)
        finally:
            watched.end(task_id=name)

    threads = [
        threading.Thread(target=work, args=task)
        for task in (("slow", 0.05), ("patient", 60), ("unlimited", None))
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 10
    over: list[str] = []
    while not over and time.monotonic() < deadline:
        time.sleep(0.05)
        over = watched.enforce()
    assert over == ["slow"]
    assert watched.enforce() == [], "once is enough"
    threads[0].join(10)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert ended == ["slow"]


WORKER_OF_ONE_THREAD = """
import registry_site, django
django.setup()
from django.core.management import call_command
from registry_site.management.commands import worker
from tests.site import slow_tasks
worker.TASKS_MAX = 1
call_command("worker")
"""


@pytest.mark.own_database
def test_a_worker_of_threads_ends_it_and_goes_on(tmp_path: Path) -> None:
    server = BerthServer(data_folder=tmp_path)
    server.manage("prepare")
    code = (
        "from tests.site.slow_tasks import answer, wait;"
        f"wait.delay({str(tmp_path / 'slow')!r});"
        f"answer.delay({str(tmp_path / 'quick')!r})"
    )
    server.manage("shell", "--no-imports", "-c", code)
    worker = Process(server, "worker")
    worker.arguments = ["-c", WORKER_OF_ONE_THREAD]
    with worker:  # one thread, so the second task waits for the first
        deadline = time.monotonic() + 60
        while not (tmp_path / "quick").exists():
            assert time.monotonic() < deadline, worker.log_tail()
            time.sleep(0.1)
    assert (tmp_path / "slow").read_text() == "ended"
    assert "slow_tasks.wait took too long and was ended" in worker.log_tail()
