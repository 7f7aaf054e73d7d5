"""Files of Berth are their owner's alone (BERTH_DATA)."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def make_private(folder: Path, write: Callable[[str], object]) -> None:
    """Let only the owner read the data folder, also one that was there before.

    Nothing below a folder of 0700 can be reached by others; what lies directly in it
    and the keys are closed as well, for those who move or mount it elsewhere.
    """
    try:
        folder.chmod(0o700)
        for path in [*folder.iterdir(), *folder.glob("keys/*")]:
            if not path.is_symlink():
                with suppress(FileNotFoundError):  # a draft of another start
                    path.chmod(0o700 if path.is_dir() else 0o600)
    except PermissionError as error:
        write(f"warning: BERTH_DATA: others may read it: {error}")


def keep_new_files_private() -> None:
    """Let only the owner read what this process and its children create."""
    os.umask(0o077)
