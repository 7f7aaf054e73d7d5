"""Measure Berth beside other registries, on this machine in the same minute.

    python -m bench.run                       everything; some minutes, some gigabytes
    python -m bench.run --quick               small sizes, to see that it runs
    python -m bench.run --only manifest       lines whose name begins so (--list)
    python -m bench.run --folder /dev/shm     data in memory: the disk plays no part

All registries run at once and idle but for the one that is measured. Each line goes
through them in turn, some rounds over, and the best round of each counts, since
whatever else the machine does can only take away. What is printed is Markdown.
"""

import argparse
import os
import platform
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from bench import docker
from bench.load import CONNECTIONS, WRK, temporary_folder
from bench.measures import MEASURES, QUICK, Measure, Sizes, prepared
from bench.registries import PEERS, Berth, Registry, Unavailable, without_fsync
from bench.wire import UnexpectedAnswer


@dataclass(frozen=True)
class Line:
    """A line of the table; None where nothing was measured."""

    title: str
    unit: str
    values: dict[str, float | None]
    less_is_better: bool = False

    def ratio(self) -> str:
        """Return how many times better Berth is than the best peer."""
        ours = self.values.get(Berth.name)
        peers = [v for name, v in self.values.items() if v and name != Berth.name]
        if not ours or not peers:
            return "-"
        if self.less_is_better:
            return f"{min(peers) / ours:.2f}"
        return f"{ours / max(peers):.2f}"


def main() -> None:
    options = _options()
    if options.list:
        print("\n".join(measure.name for measure in MEASURES), "docker", sep="\n")
        return
    sizes = QUICK if options.quick else Sizes()
    chosen = [m for m in MEASURES if _is_chosen(m.name, options.only)]
    folder = temporary_folder(options.folder)
    notes: list[str] = []
    try:
        with ExitStack() as stack:
            registries = _start(folder, sizes, options.skip, notes, stack)
            lines = [
                _measure(measure, registries, sizes, options.rounds, notes)
                for measure in chosen
            ]
            if _is_chosen("docker", options.only):
                lines += _docker(registries, folder, options.quick, notes)
        images = [m for m in chosen if m.name.startswith("images")]
        if images:
            lines += _without_fsync(images, sizes, options.rounds, notes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(_table(lines, [registry.name for registry in registries]))
    print(_conditions(options, sizes, notes))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--only", action="append", metavar="NAME", help="some lines")
    parser.add_argument("--list", action="store_true", help="name the lines")
    parser.add_argument(
        "--skip", action="append", default=[], choices=sorted(PEERS), help="a peer"
    )
    parser.add_argument("--rounds", type=int, default=2, help="the best counts")
    parser.add_argument("--folder", type=Path, help="where the data goes")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    return options


def _is_chosen(name: str, only: list[str] | None) -> bool:
    return not only or any(name.startswith(word) for word in only)


def _start(
    folder: Path, sizes: Sizes, skipped: list[str], notes: list[str], stack: ExitStack
) -> list[Registry]:
    berth: Registry = Berth(folder / "berth")
    registries = [stack.enter_context(prepared(berth, sizes))]
    for name, start in PEERS.items():
        if name in skipped:
            continue
        try:
            peer = start(folder / name)
        except Unavailable as error:
            notes.append(f"Left out: {error}.")
            continue
        registries.append(stack.enter_context(prepared(peer, sizes)))
    return registries


def _measure(
    measure: Measure,
    registries: list[Registry],
    sizes: Sizes,
    rounds: int,
    notes: list[str],
) -> Line:
    values: dict[str, float | None] = {}
    for _ in range(rounds):
        for registry in registries:
            if measure.ours_only and not isinstance(registry, Berth):
                continue
            os.sync()  # what one registry leaves to be written is not the next one's
            try:
                value = measure.run(registry, sizes)
            except (UnexpectedAnswer, OSError) as error:
                notes.append(f"{measure.title}, {registry.name}: {error}.")
                continue
            print(f"  {measure.name:22} {registry.name:17} {value:,.2f}", flush=True)
            values[registry.name] = max(value, values.get(registry.name) or 0)
    return Line(measure.title, measure.unit, values)


def _without_fsync(
    measures: list[Measure],
    sizes: Sizes,
    rounds: int,
    notes: list[str],
) -> list[Line]:
    """Measure Berth alone once more, with fsync costing nothing.

    To be compared with Berth's own line above and with nothing else: the peers' numbers
    are of another minute and, where the data is in memory, of another disk.
    """
    try:
        words, environment, parent = without_fsync()
    except Unavailable as error:
        notes.append(f"Left out: {error}.")
        return []
    folder = temporary_folder(parent)
    found = []
    try:
        berth = Berth(folder / "berth", **environment)
        with prepared(berth, replace(sizes, download_mib=1)):
            for measure in measures:
                line = _measure(measure, [berth], sizes, rounds, notes)
                title = f"{measure.title}, ours {words}"
                found.append(replace(line, title=title))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _docker(
    registries: list[Registry], folder: Path, quick: bool, notes: list[str]
) -> list[Line]:
    pushes: dict[str, float | None] = {}
    pulls: dict[str, float | None] = {}
    try:
        with docker.run(folder / "docker") as engine:
            image = engine.load_image(layer_count=30, layer_kib=16 if quick else 1024)
            for registry in registries:
                os.sync()
                pushes[registry.name], pulls[registry.name] = engine.push_and_pull(
                    image, registry
                )
    except docker.NoDocker as error:
        notes.append(f"Left out: docker push and pull: {error}.")
        return []
    return [
        Line("docker push, 30 layers", "s", pushes, less_is_better=True),
        Line("docker pull, 30 layers", "s", pulls, less_is_better=True),
    ]


def _table(lines: list[Line], names: list[str]) -> str:
    rows = [["", *names, "Berth / best peer"]]
    rows.append(["---", *("---:" for _ in names), "---:"])
    for line in lines:
        values = [_show(line.values.get(name), line.unit) for name in names]
        rows.append([line.title, *values, line.ratio()])
    return "\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _show(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:,.2f} {unit}"


def _conditions(options: argparse.Namespace, sizes: Sizes, notes: list[str]) -> str:
    load = os.getloadavg()[0]
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, Linux, Python "
        f"{platform.python_version()}; load at the end {load:.1f}; "
        f"best of {options.rounds}; {CONNECTIONS} connections where nothing else is "
        f"said; GET by {'wrk' if WRK else 'our own generator'}, HEAD by our own; large "
        f"blobs: down {sizes.download_mib} MiB, up {sizes.upload_mib} MiB. "
        "Berth checks a bearer token on every request and answers a push after fsync; "
        "the others do neither.",
        *notes,
    ]
    return "\n" + "\n".join(f"- {line}" for line in lines)


if __name__ == "__main__":
    main()
