"""
Measure, print, and with --write renew docs/benchmarks.md and its pictures.

    make bench                                 about 25 minutes
    make bench BENCH="--quick"                 about three, with fewer items and rounds
    make bench BENCH="--write"
    make bench BENCH="--draw"                  the pictures alone, by the numbers on the page
    make bench BENCH="--ours"                  our own rows alone, of whichever tables are in use
"""

import argparse
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from partitioned_buffer.testing import implementation

from . import async_cases, cases, measuring, reference, watched
from .async_subjects import loops, missing
from .measure import Timed, rounds
from .pictures import draw
from .report import (
    OURS,
    beside_table,
    measured_table,
    memory_table,
    pair_table,
    rate_table,
    ratio_table,
    watched_table,
)

DOCS = Path(__file__).parents[2] / "docs"
PICTURES = DOCS / "pictures"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def _interpreter() -> str:
    gil = "free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else "with the GIL"
    optimized = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
    how = "PGO" if optimized else "without PGO"
    tables = "compiled tables" if implementation() == "c" else "tables in Python"
    version, machine = platform.python_version(), platform.machine()
    return f"CPython {version} ({gil}, built {how}) on {machine}, {tables}"


def measure(quick: bool) -> str:
    """Run all cases; return the report."""
    count, waiting, times = (50_000, 200_000, 5) if quick else (200_000, 1_000_000, 15)
    runs = {
        "writes": rounds(cases.writes(count, 1), times),
        "crowded": rounds(cases.writes(count // 4, 4), times),
        "drains": rounds(cases.drains(waiting), max(3, times // 3)),
        "end to end": rounds(cases.end_to_end(waiting), max(3, times // 3)),
    }
    text = [
        f"{_interpreter()}, {times} rounds.\n",
        "### Writes, one thread\n",
        ratio_table(runs["writes"], cases.FLOOR),
        "### Writes, four threads\n",
        rate_table(runs["crowded"], "queue.Queue.put"),
        f"### Draining {waiting:,} waiting items, per item\n",
        ratio_table(runs["drains"], cases.FLOOR),
        "### End to end, one producer of single items\n",
        rate_table(runs["end to end"], "OpenTelemetry"),
        "### Memory per waiting item, beyond the item itself\n",
        memory_table(cases.memory(count)),
    ]
    return "\n".join(text)


def _ours(subjects: dict[str, Timed]) -> dict[str, Timed]:
    names = (cases.FLOOR, *cases.BY_HAND, *OURS)
    return {name: each for name, each in subjects.items() if name.startswith(names)}


def measure_ours(quick: bool) -> str:
    """Run our own cases, beside the floor; return the report."""
    count, times = (20_000, 3) if quick else (100_000, 9)
    crowded = rounds(_ours(cases.writes(count // 4, 4)), max(3, times // 3))
    text = [
        f"{_interpreter()}, {times} rounds.\n",
        ratio_table(rounds(_ours(cases.writes(count, 1)), times), cases.FLOOR),
        "Four threads:\n",
        rate_table({name: crowded[name] for name in (cases.FLOOR, "Queue.push")}, cases.FLOOR),
        f"Draining {count:,}:\n",
        ratio_table(rounds(cases.drains(count), times), cases.FLOOR),
        "End to end, one producer, batches of 512:\n",
        rate_table(rounds(_few(cases.end_to_end(count)), max(3, times // 3)), cases.SIMPLE),
    ]
    return "\n".join(text)


def _few(subjects: dict[str, Timed]) -> dict[str, Timed]:
    return {name: subjects[name] for name in (cases.SIMPLE, "Queue")}


def measure_twin(quick: bool) -> str:
    """Run our own cases on the tables in Python; return the report."""
    command = [sys.executable, "-m", "benchmarks.speed", "--ours", *(["--quick"] if quick else [])]
    where = os.environ | {"PARTITIONED_BUFFER_SPEED": "0"}
    run = subprocess.run(command, env=where, check=True, stdout=subprocess.PIPE, text=True)
    return f"### Where nothing is compiled\n\n{run.stdout}"


def measure_beside(quick: bool) -> str:
    """Run what the reference in Elixir was measured by; return the report."""
    taken, used = reference.measure(quick)
    text = [
        "### Beside Elixir's partitioned\\_buffer, one writer\n",
        beside_table(taken, "ns"),
        "Bytes per waiting item, with the item:\n",
        beside_table(used, "bytes"),
    ]
    return "\n".join(text)


def measure_numbers(quick: bool) -> str:
    """Run what the numbers cost, that are measured and that are watched; return the report."""
    text = [
        "### Watched: 100,000 pushes per second with all instrumentation on, beside off\n",
        watched_table(watched.measure(quick)),
        "### Measured: what a batch of 10 takes\n",
        measured_table(measuring.measure(quick)),
    ]
    return "\n".join(text)


def measure_loops(quick: bool) -> str:
    """Run the cases of the asyncio face on each kind of loop; return the report."""
    count, times = (10_000, 3) if quick else (100_000, 15)
    text = []
    if left_out := missing():
        text.append(f"Left out, not installed: {', '.join(left_out)}.\n")
    for name, loop in loops().items():
        writes = rounds(async_cases.writes(count, loop), times)
        burst, crowd = (
            rounds(async_cases.end_to_end(count, producers, loop), max(3, times // 3))
            for producers in (1, 8)
        )
        text += [
            f"### {name}: writes, one task\n",
            ratio_table(writes, cases.FLOOR),
            f"### {name}: end to end, one task that puts {count:,} at once\n",
            rate_table(burst, async_cases.BASE),
            f"### {name}: end to end, eight tasks that take turns\n",
            rate_table(crowd, async_cases.BASE),
            f"### {name}: like with like, one task\n",
            pair_table(async_cases.like_with_like(writes, burst)),
        ]
    return "\n".join(text)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="speed")
    parser.add_argument("--quick", action="store_true", help="fewer items and rounds")
    parser.add_argument("--write", action="store_true", help="renew docs/benchmarks.md")
    parser.add_argument("--draw", action="store_true", help="renew the pictures alone")
    parser.add_argument("--ours", action="store_true", help="our own rows alone")
    options = parser.parse_args()
    if options.ours:
        sys.stdout.write(measure_ours(options.quick))
        return
    page = DOCS / "benchmarks.md"
    if not options.draw:
        parts = (measure, measure_twin, measure_beside, measure_numbers, measure_loops)
        text = "\n".join(part(options.quick) for part in parts)
        sys.stdout.write(text)
        if options.write:
            before, rest = page.read_text().split(BEGIN)
            page.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")
    with tempfile.TemporaryDirectory() as elsewhere:  # tried, but not to be kept
        kept = options.draw or options.write
        draw(page.read_text(), PICTURES if kept else Path(elsewhere))


if __name__ == "__main__":
    main()
