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
import json
import os
import struct
import subprocess  # only this program, with no words of anybody
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from hub.drawing.sources import SourceFiles

WAIT_SECONDS = 2.0  # for a turn; what is cached waits for none
HELPER = "hub.drawing.markdown_helper"
HEADER = struct.Struct(">?I")  # whether it was rendered, and how many bytes follow
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
        helper.stdin.write(HEADER.pack(True, len(request)) + request)
        helper.stdin.flush()
        is_rendered, content = read_frame(helper.stdout)
        if not is_rendered:
            raise TooCostly
        return content.decode()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._helper is None or self._owner != os.getpid():
            self._helper = subprocess.Popen(  # noqa: S603 - this program
                [sys.executable, "-m", HELPER],
                cwd=_FOLDER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={"PATH": os.environ.get("PATH", "")},
                start_new_session=True,  # Ctrl-C is for the web worker
            )
            self._owner = os.getpid()
        return self._helper


def read_frame(pipe: IO[bytes]) -> tuple[bool, bytes]:
    """Return the next flag and content. Raises EOFError."""
    header = pipe.read(HEADER.size)
    if len(header) < HEADER.size:
        raise EOFError
    flag, size = HEADER.unpack(header)
    content = pipe.read(size)
    if len(content) < size:
        raise EOFError
    return flag, content


renderer = Renderer()
atexit.register(renderer.stop)
