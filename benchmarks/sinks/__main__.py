"""
What sinks cost, beside processors that are written by hand; with --write renew the page.

    make bench-sinks                            some minutes
    make bench-sinks BENCH="--quick"            one
    make bench-sinks BENCH="--only sqlite"      one of them
    make bench-sinks BENCH="--cpu"              by the time of a processor, where others are busy
    make bench-sinks BENCH="--folder /mnt/ssd"  files on that disk, and not in memory

A module beside this one per destination, named in `SINKS`: see `subjects`.
"""

import argparse
import importlib
import platform
import sys
import tempfile
import time
from pathlib import Path

from ..speed.measure import Row, rounds
from .subjects import Clock

SINKS = ("sqlite", "files", "redis_streams", "postgres", "endpoint", "kafka", "bulk")

PAGE = Path(__file__).parents[2] / "docs" / "sinks-benchmarks.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def measure(names: list[str], folder: str, quick: bool) -> str:
    """Run all subjects of the sinks of these *names*; return the report."""
    text = [f"CPython {platform.python_version()}, on {platform.machine()}.\n"]
    for name in names:
        module = importlib.import_module(f".{name}", __package__)
        with (
            tempfile.TemporaryDirectory(dir=folder) as own,
            module.subjects(Path(own), quick) as subjects,
        ):
            found = rounds(subjects, 3 if quick else 7)
        text += [f"### {module.TITLE}\n", table(found, module.FLOOR)]
        text += [pairs(found, module.PAIRS)] if hasattr(module, "PAIRS") else []
    return "\n".join(text)


def table(rows: dict[str, Row], floor: str) -> str:
    """Show each row's rate, and as a multiple of the floor's in the same round."""
    lines = [f"| | rows/s | × {floor}: min | median | max |", "|---|--:|--:|--:|--:|"]
    for name, row in rows.items():
        low, middle, high = rows[floor].ratios(row)
        rate = f"{1e9 / row.median:,.0f}"
        lines.append(f"| {name} | {rate} | {low:.2f} | {middle:.2f} | {high:.2f} |")
    return "\n".join([*lines, ""])


def pairs(rows: dict[str, Row], wanted: list[tuple[str, str, float]]) -> str:
    """Show how many times faster one is than another, and how many it is to be at least."""
    lines = ["| | min | median | max | wanted |", "|---|--:|--:|--:|--:|"]
    for name, other, least in wanted:
        low, middle, high = rows[other].ratios(rows[name])
        lines.append(f"| {name} to {other} | {low:.2f} | {middle:.2f} | {high:.2f} | {least} |")
    return "\n".join([*lines, ""])


def _memory() -> str:
    return "/dev/shm" if Path("/dev/shm").is_dir() else tempfile.gettempdir()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="sinks")
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds")
    parser.add_argument("--only", choices=SINKS, help="one of them")
    parser.add_argument("--folder", default=_memory(), help="where files are: in memory, if it can")
    parser.add_argument("--cpu", action="store_true", help="this process' time, not the clock's")
    parser.add_argument("--write", action="store_true", help="renew docs/sinks-benchmarks.md")
    options = parser.parse_args()
    if options.cpu:
        Clock.now = time.process_time_ns
    names = [options.only] if options.only else list(SINKS)
    text = measure(names, options.folder, options.quick)
    if options.cpu:
        text = f"By the time of a processor that the process has had.\n\n{text}"
    sys.stdout.write(text)
    if options.write:
        before, rest = PAGE.read_text().split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
