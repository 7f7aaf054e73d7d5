"""Messages in a folder: kombu's filesystem transport, made safe for several processes.

kombu writes a message under its final name, so that a reader may find it half written,
and reads the folder again for every message. Here a message appears whole, by a rename,
and belongs to the process that removes its file. The message of a killed worker is
gone; the tasks that matter are found again in the database.
"""

import logging
import os
import time
import uuid
from collections import deque
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

log = logging.getLogger(__name__)

ABANDONED_SECONDS = 3600  # a draft this old is no one's


class Channel(filesystem.Channel):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._listed: dict[str, deque[str]] = {}
        for draft in Path(self.data_folder_out).glob(".*"):
            with suppress(FileNotFoundError):
                if time.time() - draft.stat().st_mtime > ABANDONED_SECONDS:
                    draft.unlink()

    def _put(  # type: ignore[override]  # as its parent does
        self, queue: str, payload: Any, **kwargs: Any
    ) -> None:
        folder = Path(self.data_folder_out)
        name = f"{time.time_ns():020}_{uuid.uuid4().hex}"
        draft = folder / f".{name}"
        draft.write_text(dumps(payload))
        draft.replace(folder / f"{name}.{queue}.msg")

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        names = self._listed.setdefault(queue, deque())
        if not names:
            names.extend(self._names_of(queue))
        while names:
            path = Path(self.data_folder_in) / names.popleft()
            try:
                text = path.read_bytes()
                path.unlink()
            except FileNotFoundError:
                continue  # someone else's now
            try:
                return loads(text.decode())
            except ValueError:  # a power cut, or a disk that is full
                log.error("a message of %d bytes cannot be read, left out", len(text))
        raise Empty

    def _names_of(self, queue: str) -> list[str]:
        return sorted(
            name
            for name in os.listdir(self.data_folder_in)  # noqa: PTH208  # every 0.1 s
            if name.partition(".")[2] == f"{queue}.msg" and not name.startswith(".")
        )


class Transport(filesystem.Transport):
    Channel = Channel
