"""
What a buffer in a file costs; with --write renew docs/durable-benchmarks.md.

    make bench-durable                            about ten minutes
    make bench-durable BENCH="--quick"            about two
    make bench-durable BENCH="--folder /mnt/ssd"  on that disk

Each case is a process: under a shim a sync lasts 1 ms, or 100 us, exactly; or there is a disk.
"""

import argparse
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..speed.report import ratio_table
from . import backlog, cases, report, shim
from .subjects import FLOOR, OURS, PEERS

PAGE = Path(__file__).parents[2] / "docs" / "durable-benchmarks.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
MEMORY = "/dev/shm"


class Bench:
    """Runs cases, on the disk of *folder* or under the shim."""

    def __init__(self, folder: str, quick: bool) -> None:
        self._disk, self._quick = folder, quick
        self._tmp = tempfile.TemporaryDirectory()
        self.library = shim.compiled(Path(self._tmp.name)) if Path(MEMORY).exists() else None

    def on_disk(self, case: str, *, where: str | None = None) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=self._disk) as folder:
            return self._child(case, where or folder, dict(os.environ))

    def under_shim(self, case: str, sync_us: int) -> dict[str, Any]:
        assert self.library is not None
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            return self._child(case, folder, shim.environment(self.library, sync_us))

    def backlog(self, count: int) -> str:
        return report.backlog(count, *self._in_turn(count, "fill", "drain"))

    def opening(self, count: int) -> str:
        return report.opening(count, *self._in_turn(count, "fill_map", "open_map"))

    def _in_turn(self, count: int, *names: str) -> list[dict[str, Any]]:
        with tempfile.TemporaryDirectory(dir=self._disk) as folder:
            return [self._child(name, folder, dict(os.environ), str(count)) for name in names]

    def _child(
        self, case: str, folder: str, environment: dict[str, str], *more: str
    ) -> dict[str, Any]:
        sys.stderr.write(f"  {case} in {folder}, {environment.get('SYNC_US', 'as it is')}\n")
        command = [sys.executable, "-m", "benchmarks.durable", "--case", case, "--folder", folder]
        command += ["--quick"] * self._quick + [each for one in more for each in ("--count", one)]
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def _run(case: str, folder: Path, options: argparse.Namespace) -> None:
    """Run one case in this process; end without any end of what it has left open."""
    if hasattr(backlog, case):
        found = getattr(backlog, case)(folder, options.count)
    else:
        found = cases.CASES[case](folder, options.quick)
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)


def _batches(found: dict[str, Any]) -> list[str]:
    return [report.rates(found, FLOOR, 1000), report.best_peer(found, OURS, list(PEERS))]


def _shimmed(bench: Bench) -> list[str]:
    """Run what is run under the shim."""
    text = []
    for sync_us in (1000, 100):
        name = f"a sync lasts {sync_us / 1000:g} ms"
        found = bench.under_shim("batches", sync_us)
        text += [f"### Batches of 1000 × 100 bytes; {name}\n", *_batches(found)]
        if sync_us == 1000:
            text.append(report.costs(found))
    for sync_us in (1000, 100):
        name = f"a sync lasts {sync_us / 1000:g} ms"
        text += [
            f"### One push after the other; {name}\n",
            report.rates(bench.under_shim("pushes", sync_us), FLOOR),
            f"### Threads that push; {name}\n",
            report.rates(bench.under_shim("threads", sync_us), "1 thread"),
            f"### Tasks that push; {name}\n",
            report.rates(bench.under_shim("tasks", sync_us), "1 task"),
        ]
    return text


def measure(bench: Bench, quick: bool) -> str:
    """Run all cases; return the report."""
    versions = f"CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    text = [f"{versions}, on {platform.machine()}.\n"]
    if bench.library is None:
        text.append("No compiler, or not Linux: what needs the shim is left out.\n")
    else:
        text += _shimmed(bench)
    text += [
        "### Batches of 1000 × 100 bytes; on disk, in turn\n",
        *_batches(bench.on_disk("batches")),
    ]
    rows = report.rows_of(bench.on_disk("delivery"))
    text += [
        "### Delivering what waits, ten at a time, per item\n",
        ratio_table(rows, "list.append"),
        "### A backlog\n",
        bench.backlog(200_000 if quick else 5_000_000),
        bench.opening(100_000 if quick else 1_000_000),
    ]
    return "\n".join(text)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="durable")
    parser.add_argument("--quick", action="store_true", help="fewer items and rounds")
    parser.add_argument("--write", action="store_true", help="renew docs/durable-benchmarks.md")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where the disk is")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        _run(options.case, Path(options.folder), options)
    text = measure(Bench(options.folder, options.quick), options.quick)
    sys.stdout.write(text)
    if options.write:
        before, rest = PAGE.read_text().split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
