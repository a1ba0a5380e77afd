"""
What a record costs who logs it, beside `QueueHandler` with a `QueueListener`; with --write renew
the tables in docs/logging.md.

    make bench-logs                          some minutes
    make bench-logs BENCH="--quick"          a few seconds
    make bench-logs BENCH="--write"
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from ..speed.measure import Row, Timed, rounds
from .subjects import NOTHING, PEER, SUBJECTS, beyond, burst, crowd, ended, failure

PAGE = Path(__file__).parents[2] / "docs" / "logging.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def table(rows: dict[str, Row], *, share: bool = False) -> str:
    """Show each row's time, and as a multiple of the peer's in the same round."""
    bare = rows.get(NOTHING) if share else None
    lines = [f"| | ns | × `{PEER}`: min | median | max |", "|---|--:|--:|--:|--:|"]
    for name, row in rows.items():
        mine, peer = row, rows[PEER]
        if bare is not None and name != NOTHING:
            mine, peer = beyond(row, bare), beyond(peer, bare)
        low, middle, high = mine.ratios(peer)
        shown = f"**{name}**" if name.startswith("Buffer") else name
        lines.append(f"| {shown} | {row.median:,.0f} | {low:.2f} | {middle:.2f} | {high:.2f} |")
    return "\n".join([*lines, ""])


def measure(quick: bool) -> str:
    """Run all cases; return the report."""
    count, times = (1_000, 2) if quick else (10_000, 9)
    cases = {
        "### What a call takes of its own thread that logs a line": burst,
        "### ... one with a traceback": failure,
        "### A line in four threads at once, by the clock": crowd,
        "### Until the last line is with the destination, by the clock": ended,
    }
    text = []
    for title, case in cases.items():
        bare = case is burst
        subjects: dict[str, Timed] = {
            name: partial(case, make, count // (10 if case is failure else 1))
            for name, make in SUBJECTS.items()
            if bare or name != NOTHING
        }
        text += [f"{title}\n", table(rounds(subjects, times), share=bare)]
    return "\n".join(text)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="logs")
    parser.add_argument("--quick", action="store_true", help="fewer records and rounds")
    parser.add_argument("--write", action="store_true", help=f"renew {PAGE.name}")
    options = parser.parse_args()
    text = measure(options.quick)
    sys.stdout.write(text)
    if options.write:
        before, rest = PAGE.read_text().split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
