"""Runs the processes of the Procfile and starts again the ones that end.

    a process ends            its whole group is killed, and it is started again after
                              1, 2, 4 … 30 seconds; 60 seconds of service reset that
    a process hangs           it is killed after HUNG_SECONDS without a byte in its pipe
                              (pulse.py), and started again
    web ends before it was    the start has failed: everything stops, and the status of
    ever ready                web is returned
    SIGINT, SIGTERM, SIGHUP   every process receives SIGTERM; what is left after
                              STOP_SECONDS is killed. A second SIGINT kills at once
    the supervisor is killed  Linux sends SIGTERM to each process (PR_SET_PDEATHSIG)

It is a process of the standard library alone, since it stays while Berth runs:
`manage.py run` prepares everything and then becomes it (start_supervisor).

Signals are flags that the loop reads, and lines are written by a thread of their own.
So neither a signal in the middle of a line nor a terminal that is paused delays an end
(docs/decisions/0009-supervisor.md).
"""

import http.client
import json
import os
import queue
import selectors
import shlex
import signal
import ssl
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NoReturn

LOOK_SECONDS = 0.1  # between two looks at the processes
STOP_SECONDS = 14.0  # from SIGTERM to SIGKILL; a delivery may take ten and be recorded
BACKOFF_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
HUNG_SECONDS = 60.0  # a dozen bytes that did not come
LOOK_MAX_SECONDS = 1.0  # of a longer look: the supervisor itself was stopped then
PULSE_VARIABLE = "BERTH_PULSE_FD"
SETTLED_SECONDS = 60.0  # a process that ran this long starts again without a wait
LINE_MAX_BYTES = 64 * 1024
LINES_WAITING = 10_000  # for a terminal that is paused; further lines are left out
READY_ASKED_SECONDS = 0.25
ANSWER_SECONDS = 5.0
FIRST = "web"  # the process that decides whether a start has succeeded
COLORS = (36, 33, 35, 32, 34)
VENV = ".venv/bin/"  # in the Procfile: the environment that this command runs in

# Ask Linux for SIGTERM when the supervisor is gone, then become the command.
_TIE = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """A process to run, and how to find out that it serves.

    ``ready_text`` is printed once web answers; ``failed_text`` if it never does.
    """

    folder: str
    commands: dict[str, list[str]]
    host: str
    port: int
    is_tls: bool
    ready_text: str
    failed_text: str
    hung_seconds: float = HUNG_SECONDS


def start_supervisor(plan: Plan) -> NoReturn:
    """Become the supervisor; the plan goes by a pipe, since it may have a password."""
    reading, writing = os.pipe()
    content = json.dumps(asdict(plan)).encode()
    assert len(content) < 64 * 1024, "a pipe holds no more"
    os.write(writing, content)
    os.close(writing)
    os.set_inheritable(reading, True)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", __file__, str(reading)])  # noqa: S606


def web_answers(host: str, port: int, is_tls: bool) -> bool:
    """Return whether the server answers on the address that it listens on."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    connection: http.client.HTTPConnection
    if is_tls:
        context = ssl.create_default_context()
        context.check_hostname = False  # the certificate is not for this address
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            host, port, timeout=ANSWER_SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def read_procfile(path: Path) -> dict[str, list[str]]:
    """Return each process's name and command, in the order of the file."""
    commands = {}
    for line in path.read_text().splitlines():
        name, colon, command = line.partition(":")
        if colon and not line.startswith("#"):
            first, *rest = shlex.split(command)
            if first.startswith(VENV):
                first = str(Path(sys.executable).parent / first.removeprefix(VENV))
            commands[name.strip()] = [first, *rest]
    return commands


class Output:
    """Writes lines with the name of the process that they come from.

    Lines wait in memory for a terminal or a pipe that takes none; the ones beyond
    LINES_WAITING are counted and left out.
    """

    def __init__(self, names: list[str], descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._width = max(len(name) for name in names)
        self._colors: dict[str, int] = {}
        if os.isatty(descriptor):
            self._colors = {
                name: COLORS[place % len(COLORS)] for place, name in enumerate(names)
            }
        self._waiting: queue.Queue[bytes] = queue.Queue(LINES_WAITING)
        self._left_out = 0
        threading.Thread(target=self._write, name="output", daemon=True).start()

    def line(self, name: str, text: bytes) -> None:
        """Write one line of a process."""
        prefix = f"{name:{self._width}} | "
        if name in self._colors:
            prefix = f"\033[{self._colors[name]}m{prefix}\033[0m"
        self._put(prefix.encode() + text + b"\n")

    def text(self, text: str) -> None:
        """Write some lines without a name."""
        self._put(text.encode())

    def drain(self, seconds: float) -> None:
        """Wait until everything is written, but no longer than that."""
        deadline = time.monotonic() + seconds
        while self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    def _put(self, text: bytes) -> None:
        if self._left_out and self._waiting.qsize() < LINES_WAITING // 2:
            said = f"… {self._left_out} lines were left out\n".encode()
            self._left_out = 0
            self._put(said)
        try:
            self._waiting.put_nowait(text)
        except queue.Full:
            self._left_out += 1

    def _write(self) -> None:
        while True:
            text = self._waiting.get()
            with suppress(OSError):  # the reader of a pipe is gone; serving continues
                while text:
                    text = text[os.write(self._descriptor, text) :]
            self._waiting.task_done()


@dataclass
class Supervised:
    """One process of the Procfile, whichever time it is started."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    start_at: float = 0.0  # by the monotonic clock; when it is not running
    unfinished: dict[int, bytes] = field(default_factory=dict)  # lines, by pipe
    pulse: int | None = None  # the pipe that its bytes come from
    quiet_seconds: float | None = None  # since the last byte; None before the first

    def wait_seconds(self) -> float:
        """Return how long to wait before the next start, and count this end."""
        if time.monotonic() - self.started_at > SETTLED_SECONDS:
            self.failures = 0
        wait = BACKOFF_SECONDS[min(self.failures, len(BACKOFF_SECONDS) - 1)]
        self.failures += 1
        return wait


class Supervisor:
    """Runs the commands of a plan until a signal ends it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._processes = [Supervised(*command) for command in plan.commands.items()]
        self._output = Output(list(plan.commands))
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._was_ready = threading.Event()

    def run(self) -> int:
        """Run everything; return the exit status of the command."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: self._signals.append(number))
        threading.Thread(target=self._announce, name="announce", daemon=True).start()
        status = None
        while status is None and not self._signals:
            for supervised in self._processes:
                if supervised.process is None:
                    if time.monotonic() >= supervised.start_at:
                        self._start(supervised)
                elif supervised.process.poll() is not None:
                    status = self._note_end(supervised) if status is None else status
                else:
                    self._end_if_hung(supervised)
            began = time.monotonic()
            self._read(LOOK_SECONDS)
            self._count_quiet(min(time.monotonic() - began, LOOK_MAX_SECONDS))
        self._stop()
        if not self._was_ready.is_set():
            self._output.text(self._plan.failed_text)
        self._output.drain(1.0)
        return status or 0

    def _announce(self) -> None:
        plan = self._plan
        while not web_answers(plan.host, plan.port, plan.is_tls):
            time.sleep(READY_ASKED_SECONDS)
        self._was_ready.set()
        self._output.text(plan.ready_text)

    def _start(self, supervised: Supervised) -> None:
        reading, writing = os.pipe()
        pulse, pulse_writing = os.pipe()
        try:
            supervised.process = subprocess.Popen(  # noqa: S603  # of the Procfile
                [sys.executable, "-ISc", _TIE, str(os.getpid()), *supervised.command],
                cwd=self._plan.folder,
                env={
                    **os.environ,
                    "PYTHONUNBUFFERED": "1",
                    PULSE_VARIABLE: str(pulse_writing),
                },
                pass_fds=[pulse_writing],
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone
            )
        except OSError as error:  # no process or no memory is left
            os.close(reading)
            os.close(pulse)
            self._say(f"{supervised.name} cannot be started: {error.strerror}")
            supervised.start_at = time.monotonic() + supervised.wait_seconds()
            return
        finally:
            os.close(writing)
            os.close(pulse_writing)
        supervised.started_at = time.monotonic()
        os.set_blocking(pulse, False)
        supervised.pulse, supervised.quiet_seconds = pulse, None
        os.set_blocking(reading, False)
        self._selector.register(reading, selectors.EVENT_READ, supervised)

    def _count_quiet(self, seconds: float) -> None:
        """Read the bytes of all processes that show that they run."""
        for supervised in self._processes:
            if supervised.pulse is None:
                continue
            try:
                has_pulse = bool(os.read(supervised.pulse, 4096))
            except BlockingIOError:
                has_pulse = False
            if has_pulse:
                supervised.quiet_seconds = 0.0
            elif supervised.quiet_seconds is not None:
                supervised.quiet_seconds += seconds

    def _end_if_hung(self, supervised: Supervised) -> None:
        process, quiet_seconds = supervised.process, supervised.quiet_seconds
        if process is not None and (quiet_seconds or 0.0) > self._plan.hung_seconds:
            self._say(f"{supervised.name} hangs and is ended")
            supervised.quiet_seconds = None
            _signal_group(process, signal.SIGKILL)

    def _note_end(self, supervised: Supervised) -> int | None:
        """Plan the next start; return a status if there is to be none."""
        process = supervised.process
        assert process is not None
        supervised.process = None
        if supervised.pulse is not None:
            os.close(supervised.pulse)
            supervised.pulse = None
        _signal_group(process, signal.SIGKILL)  # workers of a server that was killed
        self._read(0)
        how = _how_it_ended(process.returncode)
        if supervised.name == FIRST and not self._was_ready.is_set():
            self._say(f"{supervised.name} {how} before it was ready")
            return process.returncode if process.returncode > 0 else 1
        wait = supervised.wait_seconds()
        self._say(f"{supervised.name} {how}; it starts again in {wait:.0f} s")
        supervised.start_at = time.monotonic() + wait
        return None

    def _read(self, seconds: float) -> None:
        """Write the lines that arrived, and wait so long for the first of them."""
        if not self._selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._selector.select(seconds):
            supervised: Supervised = key.data
            piece = b""
            with suppress(BlockingIOError):
                piece = os.read(key.fd, LINE_MAX_BYTES)
                *lines, rest = (supervised.unfinished.pop(key.fd, b"") + piece).split(
                    b"\n"
                )
                if rest and (not piece or len(rest) >= LINE_MAX_BYTES):
                    lines, rest = [*lines, rest], b""
                supervised.unfinished[key.fd] = rest
                for line in lines:
                    self._output.line(supervised.name, line)
                if not piece:
                    self._selector.unregister(key.fd)
                    del supervised.unfinished[key.fd]
                    os.close(key.fd)

    def _stop(self) -> None:
        """End every process, within STOP_SECONDS and a moment."""
        left = [p.process for p in self._processes if p.process is not None]
        for process in left:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while any(process.poll() is None for process in left):
            is_hurried = self._signals.count(signal.SIGINT) > 1
            if time.monotonic() > deadline or is_hurried:
                break
            self._read(LOOK_SECONDS)
        for process in left:
            _signal_group(process, signal.SIGKILL)
        for process in left:
            with suppress(subprocess.TimeoutExpired):  # it hangs in the kernel
                process.wait(1.0)
        self._read(0)

    def _say(self, text: str) -> None:
        self._output.text(f"{text}\n")


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the process and everything that it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _how_it_ended(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[1]), "rb") as handed_over:
        sys.exit(Supervisor(Plan(**json.load(handed_over))).run())
