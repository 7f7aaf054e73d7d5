"""Celery as an operator expects it: JSON, ids, known queues, one table of times."""

import inspect

import pytest

from registry_site.celery import app
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
    assert {parameter.annotation for parameter in parameters} <= {int}
    assert all(parameter.name.endswith("_id") for parameter in parameters)
    queue = app.amqp.router.route({}, name)["queue"].name
    assert queue in QUEUES == set(app.amqp.queues)


def test_the_table_of_times_names_tasks_that_are_there() -> None:
    named = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert named <= set(TASKS)
    asked_for = {"webhooks.tasks.deliver", "webhooks.tasks.relay_event"}
    assert set(TASKS) - named == asked_for, "nobody else calls the others"
