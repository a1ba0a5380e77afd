"""
Measure, print, and with --write renew docs/benchmarks.md and its plot.

    make bench                                 about 12 minutes
    make bench BENCH="--quick"                 about two, with fewer items and rounds
    make bench BENCH="--write"
"""

import argparse
import platform
import sys
import sysconfig
from pathlib import Path

from partitioned_buffer.testing import implementation

from . import async_cases, cases
from .async_subjects import loops, missing
from .measure import Row, rounds
from .report import memory_table, pair_table, plot, rate_table, ratio_table

DOCS = Path(__file__).parents[2] / "docs"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def _interpreter() -> str:
    gil = "free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else "with the GIL"
    optimized = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
    how = "PGO" if optimized else "without PGO"
    tables = "compiled tables" if implementation() == "c" else "tables in Python"
    version, machine = platform.python_version(), platform.machine()
    return f"CPython {version} ({gil}, built {how}) on {machine}, {tables}"


def measure(quick: bool) -> tuple[str, dict[str, dict[str, Row]]]:
    """Run all cases; return the report and the numbers."""
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
    return "\n".join(text), runs


def measure_loops(quick: bool) -> tuple[str, dict[str, dict[str, Row]]]:
    """Run the cases of the asyncio face on each kind of loop; return the report, and the writes."""
    count, times = (10_000, 3) if quick else (100_000, 15)
    text, writes = [], {}
    if left_out := missing():
        text.append(f"Left out, not installed: {', '.join(left_out)}.\n")
    for name, loop in loops().items():
        writes[name] = rounds(async_cases.writes(count, loop), times)
        burst, crowd = (
            rounds(async_cases.end_to_end(count, producers, loop), max(3, times // 3))
            for producers in (1, 8)
        )
        text += [
            f"### {name}: writes, one task\n",
            ratio_table(writes[name], cases.FLOOR),
            f"### {name}: end to end, one task that puts {count:,} at once\n",
            rate_table(burst, async_cases.BASE),
            f"### {name}: end to end, eight tasks that take turns\n",
            rate_table(crowd, async_cases.BASE),
            f"### {name}: like with like, one task\n",
            pair_table(async_cases.like_with_like(writes[name], burst)),
        ]
    return "\n".join(text), writes


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="speed")
    parser.add_argument("--quick", action="store_true", help="fewer items and rounds")
    parser.add_argument("--write", action="store_true", help="renew docs/benchmarks.md")
    options = parser.parse_args()
    of_threads, runs = measure(options.quick)
    of_tasks, writes = measure_loops(options.quick)
    text = f"{of_threads}\n{of_tasks}"
    sys.stdout.write(text)
    if options.write:
        page = DOCS / "benchmarks.md"
        before, rest = page.read_text().split(BEGIN)
        after = rest.split(END)[1]
        page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
        panels = {"from a thread": runs["writes"], "from a task": writes["asyncio"]}
        plot(panels, cases.FLOOR, DOCS / "benchmarks.svg")


if __name__ == "__main__":
    main()
