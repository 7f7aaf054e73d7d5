"""Measures the memory that a large blob costs the workers: at most 32 MiB each.

    python -m bench.memory               5 GB up (chunked PATCH, then PUT) and down
    python -m bench.memory --gigabytes 1

The blob is one zeroed block sent again and again, so that this program needs no memory
either. The peak counts (VmHWM), after some small requests have made the workers warm.
"""

import argparse
import hashlib
import shutil
from pathlib import Path

from bench import content, measures
from bench.content import MIB, LargeBlob
from bench.load import in_threads, temporary_folder
from bench.registries import REPOSITORY, Berth
from bench.wire import BUFFER_BYTES

PROMISED_MIB = 32  # for each worker


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.memory", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--folder", type=Path, help="where the data goes")
    options = parser.parse_args()
    blob = _zeros(round(options.gigabytes * 1e9 / MIB))
    folder = temporary_folder(options.folder)
    try:
        berth = Berth(folder / "berth")
        try:
            print(_measure(berth, blob))
        finally:
            berth.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(berth: Berth, blob: LargeBlob) -> str:
    _warm_up(berth)
    pids = berth.worker_pids()
    rows = [[f"worker {n}" for n in range(1, len(pids) + 1)]]
    before = [_peak_mib(pid) for pid in pids]
    with berth.connect() as connection:
        measures.put_large(connection, blob, chunked=True)
    after_push = [_peak_mib(pid) for pid in pids]
    with berth.connect() as connection:
        target = f"/v2/{REPOSITORY}/blobs/{blob.digest}"
        assert connection.drain(target, bytearray(BUFFER_BYTES)) == blob.size_bytes
    after_pull = [_peak_mib(pid) for pid in pids]
    added = [after - start for after, start in zip(after_pull, before, strict=True)]
    lines = ["| peak, MiB | before | after the push | after the pull | added |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for row in zip(*rows, before, after_push, after_pull, added, strict=True):
        name, *values = row
        lines.append(f"| {name} | {' | '.join(f'{value:.1f}' for value in values)} |")
    kept = "kept" if max(added) <= PROMISED_MIB else "NOT KEPT"
    lines.append(
        f"\n{blob.size_bytes / 1e9:.1f} GB; at most {PROMISED_MIB} MiB a worker: "
        f"{kept}."
    )
    return "\n".join(lines)


def _warm_up(berth: Berth) -> None:
    """Let every thread of every worker answer before memory is looked at."""

    def work(number: int) -> None:
        with berth.connect() as connection:
            for _ in range(4):
                measures.push_image(connection, content.small_image(), f"warm-{number}")

    berth.token()  # once, before the threads ask for it
    in_threads(16, work)


def _peak_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel does not say VmHWM")


def _zeros(size_mib: int) -> LargeBlob:
    block = bytes(MIB)
    digest = hashlib.sha256()
    for _ in range(size_mib):
        digest.update(block)
    return LargeBlob(block, size_mib, f"sha256:{digest.hexdigest()}")


if __name__ == "__main__":
    main()
