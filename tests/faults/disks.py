"""Small disks that can be filled: a tmpfs of its own size on a folder."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.programs import find_program, leave_out


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """Mount a tmpfs with these options (`size=1m`, `nr_inodes=20`) on the folder."""
    if os.geteuid() != 0 or find_program("mount") is None:
        leave_out("mounting a small disk wants root")
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        leave_out(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily: a server that is being stopped may still have a file open.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
