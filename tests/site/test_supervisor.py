"""The supervisor of `make run` keeps the processes of the Procfile running (E3).

With small processes in place of Berth's; tests/site/test_start.py has the real ones.

It holds P9 of reliability.md, too.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from registry_site import supervisor
from registry_site.supervisor import BACKOFF_SECONDS, Plan, read_procfile
from tests.servers import free_port

TIMEOUT_SECONDS = 60
HUNG_SECONDS = 3.0
END_SECONDS = 20.0  # what a user waits at most after Ctrl-C

WEB = """
import http.server, sys
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *words): pass
print("web serves", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Healthy).serve_forever()
"""
# Prints its process id and those of a child, and ignores SIGTERM if asked to.
WORKER = """
import os, signal, subprocess, sys, threading, time
def show_pulse():
    while True:
        os.write(int(os.environ["BERTH_PULSE_FD"]), b".")
        time.sleep(0.2)
if "pulse" in sys.argv:
    threading.Thread(target=show_pulse, daemon=True).start()
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"])
print("worker", os.getpid(), child.pid, flush=True)
while "talks" in sys.argv:
    print("x" * 200)
time.sleep(600)
"""


class Running:
    """A supervisor with a web process and a worker."""

    def __init__(self, folder: Path, *options: str, web: str = WEB) -> None:
        port = free_port()
        plan = Plan(
            folder=str(folder),
            commands={
                "web": [sys.executable, "-c", web, str(port)],
                "worker": [sys.executable, "-c", WORKER, *options],
            },
            host="127.0.0.1",
            port=port,
            is_tls=False,
            ready_text="it is ready\n",
            failed_text="it was never ready\n",
            hung_seconds=HUNG_SECONDS,
        )
        reading, writing = os.pipe()
        os.write(writing, json.dumps(asdict(plan)).encode())
        os.close(writing)
        self.log_path = folder / "log"
        self.output: int | None = None
        if "talks" in options:
            self.output, sink = os.pipe()  # a reader that never reads
            fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, 4096)
        else:
            sink = os.open(self.log_path, os.O_WRONLY | os.O_CREAT)
        self.process = subprocess.Popen(
            [sys.executable, "-P", supervisor.__file__, str(reading)],
            pass_fds=[reading],
            stdout=sink,
            stderr=sink,
        )
        os.close(reading)
        os.close(sink)

    def log(self) -> str:
        return self.log_path.read_text()

    def wait_for(self, words: str, count: int = 1) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self.log().count(words) < count:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def workers(self) -> list[list[int]]:
        """Return, for each start of the worker, its process id and its child's."""
        lines = [line for line in self.log().splitlines() if "| worker" in line]
        return [[int(word) for word in line.split()[-2:]] for line in lines]

    def end(self, *numbers: signal.Signals) -> float:
        """Send signals, a second apart; return how many seconds the end took."""
        began = time.monotonic()
        for place, number in enumerate(numbers):
            time.sleep(min(place, 1))
            self.process.send_signal(number)
        self.process.wait(TIMEOUT_SECONDS)
        return time.monotonic() - began


@pytest.fixture
def started(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    running = Running(tmp_path, *getattr(request, "param", ()))
    yield running
    if running.process.poll() is None:
        running.process.terminate()
        running.process.wait(TIMEOUT_SECONDS)
    if running.output is not None:
        os.close(running.output)


def is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, pids
        time.sleep(0.05)


def test_what_is_killed_is_started_again_and_the_rest_runs_on(started: Running) -> None:
    """Each process in turn; its children go with it, and its lines have its name."""
    started.wait_for("it is ready")
    started.wait_for("worker | worker")
    [first] = started.workers()
    os.kill(first[0], signal.SIGKILL)
    started.wait_for("worker was ended by SIGKILL; it starts again in 1 s")
    started.wait_for("worker | worker", 2)
    wait_until_gone(first)
    second = started.workers()[1]
    os.kill(second[0], signal.SIGKILL)
    started.wait_for("it starts again in 2 s")
    assert started.log().count("web    | web serves") == 1, "web was left alone"
    assert started.log().count("it is ready") == 1
    assert started.end(signal.SIGTERM) < END_SECONDS
    assert started.process.returncode == 0
    wait_until_gone([pid for start in started.workers() for pid in start])


@pytest.mark.parametrize(
    ("started", "numbers", "seconds"),
    [
        (("quick",), [signal.SIGINT], END_SECONDS),
        (("stubborn",), [signal.SIGTERM], END_SECONDS),
        (("stubborn",), [signal.SIGINT, signal.SIGINT], END_SECONDS / 2),
        (("talks",), [signal.SIGTERM], END_SECONDS),
    ],
    ids=["Ctrl-C", "ignores SIGTERM", "Ctrl-C twice", "output that nobody reads"],
    indirect=["started"],
)
def test_a_signal_ends_everything_in_time(
    started: Running, numbers: list[signal.Signals], seconds: float
) -> None:
    if started.output is None:
        started.wait_for("worker | worker")
        started.wait_for("it is ready")
    else:
        time.sleep(2)  # the pipe is full by now
    assert started.end(*numbers) < seconds
    if started.output is None:
        wait_until_gone([pid for start in started.workers() for pid in start])


def test_a_hung_process_ends_too(started: Running) -> None:
    started.wait_for("worker | worker")
    [pids] = started.workers()
    os.kill(pids[0], signal.SIGSTOP)
    assert started.end(signal.SIGTERM) < END_SECONDS
    wait_until_gone(pids)


@pytest.mark.parametrize("started", [("pulse",)], indirect=True)
def test_a_process_that_hangs_is_started_again(started: Running) -> None:
    """It is noticed by its pulse, which a supervisor that was stopped does not miss."""
    started.wait_for("worker | worker")
    time.sleep(1)  # it has shown its pulse
    for stopped in (started.process.pid, started.workers()[0][0]):
        os.kill(stopped, signal.SIGSTOP)
        if stopped == started.process.pid:
            time.sleep(HUNG_SECONDS + 1)
            os.kill(stopped, signal.SIGCONT)
            time.sleep(1)
            assert "hangs" not in started.log()
            assert started.log().count("worker | worker") == 1
    started.wait_for("worker hangs and is ended")
    started.wait_for("worker | worker", 2)
    assert started.log().count("web    | web serves") == 1, "web shows none, and serves"
    wait_until_gone(started.workers()[0])


def test_nothing_outlives_a_supervisor_that_is_killed(started: Running) -> None:
    started.wait_for("worker | worker")
    [pids] = started.workers()
    started.end(signal.SIGKILL)
    wait_until_gone(pids[:1])
    os.kill(pids[1], signal.SIGKILL)


def test_a_start_that_fails_ends_and_is_never_called_ready(tmp_path: Path) -> None:
    running = Running(tmp_path, web="print('no address'); raise SystemExit(3)")
    assert running.process.wait(TIMEOUT_SECONDS) == 3
    assert "web    | no address" in running.log()
    assert "web ended with status 3 before it was ready" in running.log()
    assert "it was never ready" in running.log(), "the only copy of a first password"
    assert "it is ready" not in running.log()


def test_waits_grow_and_have_an_end() -> None:
    process = supervisor.Supervised("worker", ["worker"])
    process.started_at = time.monotonic()
    waits = [process.wait_seconds() for _ in range(8)]
    assert waits == [*BACKOFF_SECONDS, BACKOFF_SECONDS[-1], BACKOFF_SECONDS[-1]]
    process.started_at -= supervisor.SETTLED_SECONDS + 1
    assert process.wait_seconds() == BACKOFF_SECONDS[0]


def test_the_procfile_is_read_as_others_read_it(tmp_path: Path) -> None:
    path = tmp_path / "Procfile"
    path.write_text('# processes\nweb: .venv/bin/python "a b" --x\n\nbeat: sleep 1\n')
    bin_folder = Path(sys.executable).parent
    assert read_procfile(path) == {
        "web": [str(bin_folder / "python"), "a b", "--x"],
        "beat": ["sleep", "1"],
    }
