"""Celery as an operator expects it: JSON, ids, known queues, one table of times."""

import inspect
import threading
from typing import Any

import pytest
from celery.exceptions import Ignore

from accounts import mail
from registry_site.celery import app
from registry_site.run_limits import RUNS_MAX, LimitedTask
from tests.site.test_floor_plan import FLOOR_PLAN

OWN = tuple(f"{room}." for room in FLOOR_PLAN)
QUEUES = {"deliveries", "statistics", "upkeep"}

app.loader.import_default_modules()
TASKS = sorted(name for name in app.tasks if name.startswith(OWN))


def test_messages_are_json_and_kept_until_the_work_is_done() -> None:
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == app.conf.result_serializer == "json"
    assert app.conf.task_acks_late
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.task_soft_time_limit < app.conf.task_time_limit
    assert app.conf.broker_connection_max_retries is None, "it waits for the broker"


@pytest.mark.parametrize("name", TASKS)
def test_a_task_takes_ids_and_goes_to_a_queue_that_is_there(name: str) -> None:
    task = app.tasks[name]
    parameters = inspect.signature(task.run).parameters.values()
    assert {parameter.annotation for parameter in parameters} <= {int, list[int] | int}
    assert all(parameter.name.endswith(("_id", "_ids")) for parameter in parameters)
    queue = app.amqp.router.route({}, name)["queue"].name
    assert queue in QUEUES == set(app.amqp.queues)


def test_the_table_of_times_names_tasks_that_are_there() -> None:
    named = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert named <= set(TASKS)
    asked_for = {"webhooks.tasks.deliver", "webhooks.tasks.relay_event"}
    assert set(TASKS) - named == asked_for, "nobody else calls the others"


def test_a_periodic_task_that_takes_long_leaves_threads_to_others(
    monkeypatch: Any,
) -> None:
    """A mail server that hangs took every thread of the worker, run after run."""
    begun, may_end = threading.Semaphore(0), threading.Event()

    def hang() -> None:
        begun.release()
        assert may_end.wait(60)

    monkeypatch.setattr(mail, "send_queued_mail", hang)
    task = app.tasks["accounts.tasks.send_queued_mail"]
    runs = [threading.Thread(target=task) for _ in range(RUNS_MAX)]
    for run in runs:
        run.start()
    try:
        for _ in runs:
            assert begun.acquire(timeout=60)
        state: str = task.apply().state  # as a worker does it
        assert state == "IGNORED", "which is no success of the task"
        with pytest.raises(Ignore):
            task()
    finally:
        may_end.set()
        for run in runs:
            run.join()
    assert task.apply().state == "SUCCESS"


def test_every_task_of_the_table_is_limited_and_no_other() -> None:
    named = {entry["task"] for entry in app.conf.beat_schedule.values()}
    limited = {
        name
        for name in TASKS
        if isinstance(task := app.tasks[name], LimitedTask) and task.is_periodic()
    }
    assert limited == named
