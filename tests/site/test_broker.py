"""The folder that is the broker of one machine."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from kombu import Connection

import registry_site.celery  # noqa: F401  # names the transport
from registry_site.broker import ABANDONED_SECONDS


class Folder:
    """A broker of its own, with a queue that is bound as the real ones are."""

    def __init__(self, path: Path) -> None:
        self.queue, self.control = path / "queue", path / "control"
        self.queue.mkdir()
        self.control.mkdir()

    @contextmanager
    def line(self) -> Iterator[Any]:
        kind: Any = copy(settings.CELERY_TASK_QUEUES[0])
        options = {
            "data_folder_in": str(self.queue),
            "data_folder_out": str(self.queue),
            "control_folder": str(self.control),
            "polling_interval": 0.01,
        }
        with Connection("folder://", transport_options=options) as connection:
            line = connection.SimpleQueue(kind)
            yield line
            line.close()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_messages_of_a_folder_come_whole_once_and_in_order(folder: Folder) -> None:
    """Two writers and three readers; nothing is lost, doubled or half read."""
    count = 200
    got: list[int] = []
    done = threading.Event()

    def write(start: int) -> None:
        with folder.line() as line:
            for number in range(start, start + count):
                line.put({"n": number, "padding": "x" * 5000}, serializer="json")

    def read() -> None:
        with folder.line() as line:
            while not done.is_set():
                try:
                    message = line.get(timeout=0.05)
                except line.Empty:
                    continue
                got.append(message.payload["n"])
                message.ack()

    readers = [threading.Thread(target=read) for _ in range(3)]
    writers = [threading.Thread(target=write, args=(n * count,)) for n in range(2)]
    for thread in (*readers, *writers):
        thread.start()
    deadline = time.monotonic() + 30
    while len(got) < 2 * count and time.monotonic() < deadline:
        time.sleep(0.05)
    done.set()
    for thread in (*readers, *writers):
        thread.join()
    assert sorted(got) == list(range(2 * count))
    assert list(folder.queue.iterdir()) == []
    assert list(folder.control.iterdir()) == [], "a table, which two could make at once"


def test_a_message_that_cannot_be_read_is_left_out(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    """A power cut leaves empty files under their names; the worker goes on."""
    queue = settings.CELERY_TASK_QUEUES[0].name
    for place, content in enumerate((b"", b"{", b"\xff\xfe", b"\0" * 50)):
        (folder.queue / f"{place:020}_x.{queue}.msg").write_bytes(content)
    with folder.line() as line:
        line.put({"n": 1}, serializer="json")
        message = line.get(timeout=5)
        assert message.payload == {"n": 1}
        message.ack()
    assert list(folder.queue.iterdir()) == []
    assert caplog.text.count("cannot be read") == 4


def test_drafts_that_nobody_finished_are_removed(folder: Folder) -> None:
    old, new = folder.queue / ".old", folder.queue / ".new"
    for draft in (old, new):
        draft.write_text("half")
    os.utime(old, times=(0, time.time() - 2 * ABANDONED_SECONDS))
    with folder.line():
        assert sorted(folder.queue.iterdir()) == [new]
