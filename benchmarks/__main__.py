"""
Measure, print, and with --write renew docs/benchmarks.md and its plot.

    make bench                                 about 10 minutes
    make bench BENCH="--quick"                 about one, with fewer items and rounds
    make bench BENCH="--write"
"""

import argparse
import platform
import sys
import sysconfig
from pathlib import Path

import cases
from measure import Row, rounds
from report import memory_table, plot, rate_table, ratio_table

DOCS = Path(__file__).parent.parent / "docs"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def _interpreter() -> str:
    gil = "free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else "with the GIL"
    optimized = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
    how = "PGO" if optimized else "without PGO"
    return f"CPython {platform.python_version()} ({gil}, built {how}) on {platform.machine()}"


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


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("--quick", action="store_true", help="fewer items and rounds")
    parser.add_argument("--write", action="store_true", help="renew docs/benchmarks.md")
    options = parser.parse_args()
    text, runs = measure(options.quick)
    sys.stdout.write(text)
    if options.write:
        page = DOCS / "benchmarks.md"
        before, rest = page.read_text().split(BEGIN)
        after = rest.split(END)[1]
        page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
        plot(runs["writes"], cases.FLOOR, DOCS / "benchmarks.svg")


if __name__ == "__main__":
    main()
