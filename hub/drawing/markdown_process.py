"""Renders Markdown in a process that can be stopped.

Python runs one thread at a time: a text that keeps the parser busy for a minute would
stop every request of a web worker for that minute. So the web worker starts one helper
process, and the helper forks a child for each text:

    web worker --text--> helper --fork--> child   at most CPU_SECONDS, MEMORY_BYTES,
       (a thread waits)                            OUTPUT_MAX_BYTES, and lower priority

The kernel counts the child's processor time and ends it; a busy machine changes
nothing about what is rendered. The helper keeps the parser loaded, so that a fork takes
milliseconds. It reads texts from its standard input and ends with it.
"""

import atexit
import gc
import json
import os
import resource
import select
import signal
import struct
import subprocess  # only this program, with no words of anybody
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from hub.drawing.markdown import render_markdown
from hub.drawing.sources import SourceFiles

CPU_SECONDS = 0.75  # 100,000 characters of prose, code and tables take 0.4
WALL_SECONDS = 10.0  # on a machine that is busy with something else
MEMORY_BYTES = 384 * 1024 * 1024  # of addresses, which is more than what is used
OUTPUT_MAX_BYTES = 1024 * 1024
WAIT_SECONDS = 2.0  # for a turn; what is cached waits for none
NICENESS = 5
_HEADER = struct.Struct(">?I")  # whether it was rendered, and how many bytes follow
_FOLDER = Path(__file__).resolve().parent.parent.parent


class TooCostly(Exception):
    """The text takes more time, memory or room than a page has for it."""


class Busy(Exception):
    """Other texts are rendered at the moment."""


class Renderer:
    """The helper of one web worker; started when it is needed, and again if it ends."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._helper: subprocess.Popen[bytes] | None = None
        self._owner = 0  # the process that started it: a fork has none

    def render(
        self, text: str, *, image_proxy: str = "", source: SourceFiles | None = None
    ) -> str:
        """Return Markdown as clean HTML. Raises TooCostly and Busy."""
        request = json.dumps(
            {
                "text": text,
                "image_proxy": image_proxy,
                "source": asdict(source) if source else None,
            }
        ).encode()
        if not self._turn.acquire(timeout=WAIT_SECONDS):
            raise Busy
        try:
            for _ in range(2):  # the helper may have been ended from outside
                try:
                    return self._ask(request)
                except (EOFError, OSError):
                    self.stop()
            raise Busy
        finally:
            self._turn.release()

    def stop(self) -> None:
        """End the helper."""
        helper, self._helper = self._helper, None
        if helper is None or self._owner != os.getpid():
            return
        for pipe in (helper.stdin, helper.stdout):
            if pipe is not None:
                with suppress(OSError):  # it has ended by itself
                    pipe.close()
        helper.kill()
        helper.wait()

    def _ask(self, request: bytes) -> str:
        helper = self._started()
        assert helper.stdin is not None and helper.stdout is not None, "both are pipes"
        helper.stdin.write(_HEADER.pack(True, len(request)) + request)
        helper.stdin.flush()
        is_rendered, content = _read(helper.stdout)
        if not is_rendered:
            raise TooCostly
        return content.decode()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._helper is None or self._owner != os.getpid():
            self._helper = subprocess.Popen(  # noqa: S603 - this program
                [sys.executable, "-m", __name__],
                cwd=_FOLDER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={"PATH": os.environ.get("PATH", "")},
                start_new_session=True,  # Ctrl-C is for the web worker
            )
            self._owner = os.getpid()
        return self._helper


def _read(pipe: IO[bytes]) -> tuple[bool, bytes]:
    header = pipe.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise EOFError
    flag, size = _HEADER.unpack(header)
    content = pipe.read(size)
    if len(content) < size:
        raise EOFError
    return flag, content


renderer = Renderer()
atexit.register(renderer.stop)


# --- the helper


# What is loaded when it is first used, so that no child has to.
_WARM_UP = "# a [b](#c)\n\nhttps://example.com :+1:\n\n```python\n1\n```\n"


def serve() -> None:
    """Render what comes in, one text after the other, until the input ends."""
    render_markdown(_WARM_UP)
    gc.freeze()
    while True:
        try:
            _, request = _read(sys.stdin.buffer)
        except EOFError:
            return
        html = _rendered_by_child(request)
        content = b"" if html is None else html
        sys.stdout.buffer.write(_HEADER.pack(html is not None, len(content)) + content)
        sys.stdout.buffer.flush()


def _rendered_by_child(request: bytes) -> bytes | None:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _be_child(request, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = b""
        while select.select([pipe], [], [], WALL_SECONDS)[0]:
            piece = os.read(pipe.fileno(), 65536)
            content += piece
            if not piece or len(content) > OUTPUT_MAX_BYTES:
                break
        else:
            piece = b"?"
    if piece:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return content if status == 0 and not piece else None


def _be_child(request: bytes, writing: int) -> None:
    """Render within the limits and end, in whatever way."""
    try:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)  # which ends the process
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.nice(NICENESS)
        asked = json.loads(request)
        source = SourceFiles(**asked["source"]) if asked["source"] else None
        html = render_markdown(
            asked["text"], image_proxy=asked["image_proxy"], source=source
        )
        left = html.encode("utf-8", "replace")
        if len(left) > OUTPUT_MAX_BYTES:
            os._exit(1)
        while left:
            left = left[os.write(writing, left) :]
    except BaseException:  # a fault of the parser is no reason to show nothing
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    serve()
