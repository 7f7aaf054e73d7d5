"""The sprite of icons is made fast, since the first page of a process waits for it."""

from typing import Any
from zipfile import ZipFile

import pytest

from hub.drawing import icons


def test_the_archive_of_icons_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has 1,700 entries, which are listed each time that it is opened."""
    opened = []

    def count(*arguments: Any) -> ZipFile:
        opened.append(arguments)
        return ZipFile(*arguments)

    monkeypatch.setattr(icons, "ZipFile", count)
    assert "<path d=" in icons.sprite.__wrapped__()
    assert len(opened) == 1
