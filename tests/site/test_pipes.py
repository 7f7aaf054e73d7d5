"""The pipe through which a stream goes to Granian."""

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest
from django.http import StreamingHttpResponse

from registry_site.server import replies
from registry_site.server.pipes import Pipe
from registry_site.server.streams import STREAMS_MAX, streams


def test_a_client_that_left_ends_a_stream_before_the_pipe_is_full() -> None:
    """An export that takes its time would be computed to its end otherwise."""
    pipe = Pipe(lambda written: None)
    pipe.write_some(memoryview(b"first"))
    pipe.write_some(memoryview(b"second"))  # no one has opened the other end yet
    with open(pipe.path, "rb", buffering=0) as granians_end:
        assert granians_end.read(100) == b"firstsecond"
        pipe.write_some(memoryview(b"third"))
        assert granians_end.read(100) == b"third"
    with pytest.raises(BrokenPipeError):
        pipe.write_some(memoryview(b"fourth"))
    os.close(pipe.sender)


class Answers:
    """Granian's side of requests, which notes the statuses."""

    def __init__(self) -> None:
        self.statuses: list[int] = []

    def sent_counter(self) -> Callable[[int], None]:
        return lambda written: None

    def response_str(self, status: int, headers: Any, text: str) -> None:
        assert ("retry-after", "10") in headers
        self.statuses.append(status)


@pytest.mark.parametrize("is_remote", [True, False])
def test_streams_that_find_no_descriptor_hold_no_slot(
    is_remote: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else Berth would refuse all downloads of the kind until it is started again."""

    def no_descriptor() -> tuple[int, int]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "pipe", no_descriptor)
    answers = Answers()
    for _ in range(STREAMS_MAX + 1):
        response: Any = StreamingHttpResponse([], headers={"Content-Length": 3 << 20})
        response.is_remote = is_remote
        replies.send_response(answers, "GET", response, client="1", lingers=False)
    assert answers.statuses == [503] * (STREAMS_MAX + 1)
    slots: Any = streams() if is_remote else replies._streams
    assert slots.enter() if is_remote else slots.acquire(blocking=False)
    slots.leave() if is_remote else slots.release()
