"""Shows the supervisor that this process runs: a byte every few seconds.

`make run` gives each process a pipe in BERTH_PULSE_FD and restarts one that wrote
before and is quiet now: it is stopped, or native code holds the interpreter. Whether
the work gets done is another question (heartbeats.py, task_health.py).
"""

import os
import threading
import time
from contextlib import suppress

from celery.signals import beat_init, worker_init
from django.conf import settings

PULSE_SECONDS = 5.0


@worker_init.connect
@beat_init.connect
def start_pulse(**signal: object) -> None:
    """Write from now on, if a supervisor is there to read."""
    pipe = settings.BERTH_PULSE_FD
    if pipe is not None:
        os.set_blocking(pipe, False)
        threading.Thread(
            target=_write_for_ever, args=(pipe,), name="pulse", daemon=True
        ).start()


def _write_for_ever(pipe: int) -> None:
    while True:
        with suppress(OSError):  # the supervisor is gone, or does not read for a while
            os.write(pipe, b".")
        time.sleep(PULSE_SECONDS)
