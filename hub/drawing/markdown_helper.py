"""The helper process that renders Markdown (hub/drawing/markdown_process.py).

The parser is loaded here and not in the web workers.
"""

import gc
import json
import os
import resource
import select
import signal
import sys

from hub.drawing.markdown import render_markdown
from hub.drawing.markdown_process import HEADER, read_frame
from hub.drawing.sources import SourceFiles

CPU_SECONDS = 0.75  # 100,000 characters of prose, code and tables take 0.4
WALL_SECONDS = 10.0  # on a machine that is busy with something else
MEMORY_BYTES = 384 * 1024 * 1024  # of addresses, which is more than what is used
OUTPUT_MAX_BYTES = 1024 * 1024
NICENESS = 5

# What is loaded when it is first used, so that no child has to.
_WARM_UP = "# a [b](#c)\n\nhttps://example.com :+1:\n\n```python\n1\n```\n"


def serve() -> None:
    """Render what comes in, one text after the other, until the input ends."""
    render_markdown(_WARM_UP)
    gc.freeze()
    while True:
        try:
            _, request = read_frame(sys.stdin.buffer)
        except EOFError:
            return
        html = _rendered_by_child(request)
        content = b"" if html is None else html
        sys.stdout.buffer.write(HEADER.pack(html is not None, len(content)) + content)
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
