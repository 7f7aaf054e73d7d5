"""The pipe through which a stream goes to Granian."""

import os

import pytest

from registry_site.server.pipes import Pipe


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
