"""Tasks for a worker whose tasks may take a second (test_task_deadlines.py)."""

import time
from pathlib import Path

from celery.exceptions import SoftTimeLimitExceeded

from registry_site import task_deadlines
from registry_site.celery import app

task_deadlines.LOOK_SECONDS = 0.2
app.conf.task_soft_time_limit = 1


@app.task
def wait(path: str) -> None:
    """Wait for nothing, and write down why it was over."""
    try:
        while True:
            time.sleep(0.01)
    except SoftTimeLimitExceeded:
        Path(path).write_text("ended")


@app.task
def answer(path: str) -> None:
    Path(path).write_text("done")
