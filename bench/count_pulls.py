"""Measures what counting adds to a pull: one line appended to a file.

    python -m bench.count_pulls

Prints microseconds, the median and the slowest of ROUNDS. What is counted of it later
is not the pull's time.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

ROUNDS = 20
PULLS = 10_000

os.environ["DJANGO_SETTINGS_MODULE"] = "registry_site.settings"


def measure(folder: Path) -> list[float]:
    """Return the microseconds of one pull, in each round."""
    import django

    django.setup()
    from distribution.pulls import PullLog

    log = PullLog(folder)
    digest = f"sha256:{0:064}"
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(PULLS):
            log.note(repository_id=1, digest=digest, tag="v1", client="docker")
        rounds.append((time.perf_counter() - started) / PULLS * 1e6)
        log.close_file()
        for path in folder.iterdir():  # no one is to count them
            path.unlink()
    return rounds


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        os.environ["BERTH_DATA"] = folder
        rounds = measure(Path(folder) / "pulls")
        print(
            f"median {statistics.median(rounds):.1f} us, slowest {max(rounds):.1f} us; "
            f"load {os.getloadavg()[0]:.1f}"
        )


if __name__ == "__main__":
    main()
