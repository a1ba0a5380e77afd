"""
What a buffer on a server costs; with --write renew docs/shared-benchmarks.md.

    make bench-shared                            about five minutes
    make bench-shared BENCH="--quick"            once through
    make bench-shared BENCH="--rounds 2"         or less, on a machine that others use
    make bench-shared BENCH="--server redis"     or valkey; all there are, else
    make bench-shared BENCH="--case flow"        one case alone

Each round has servers of its own, and all that a ratio compares.
"""

import argparse
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import redis

from . import acks, flow, latency, limit, peers
from .report import Mark, Rounds, figures, marks
from .servers import program, running

PAGE = Path(__file__).parents[2] / "docs" / "shared-benchmarks.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"

FLOW = [
    Mark("**ship what the front holds**, to the limit", "held to the limit", None, 0.9),
    Mark("**push one by one, and ship**, to the limit", "single to the limit", None, 0.55),
    Mark("**drain**, a worker, a hundred at a time, to the limit", "drain to the limit", None, 1.5),
    Mark("**the server's work per item**, append and drain, µs", "us", None, 0.7, True),
]
PEERS = [Mark("**enqueue and deliver**, to the best peer", "ours", "best", 100)]
LATENCY = [
    Mark("**push to processor** at 20,000 a second, the median, ms", "p50", None, 5, True),
    Mark("the same, one in a hundred takes longer than, ms", "p99", None, 12, True),
]
ACKS = [
    Mark('**`ack="server"`, 32 tasks**, to one RPUSH after the other', "32 tasks to one", None, 3),
    Mark('**`ack="server"`, 32 threads**, to the same', "32 threads to one", None, 1.5),
]
TAKEOVER = [
    Mark("**takeover** after `kill -9`, leases of 1 s", "takeover", None, 1.4, True),
]

SHOWN = {
    "flow": {
        "limit": f"limit: {limit.PIPELINED}, RPUSH, one connection, 100 at once",
        "held": "**ship what the front holds**",
        "single": "**push one by one, and ship**",
        "drain": "**drain, a hundred at a time**",
        "hand put": "by hand: RPUSH of a hundred",
        "hand take": "by hand: BLMPOP of a hundred, lost if the taker is",
    },
    "work": {"append us": "append", "drain us": "drain", "us": "both"},
    "peers": {
        each: name
        for subject, name in {
            "ours": "**ours**",
            **{peer: peer for peer in peers.PEERS},
            "hand": "by hand: RPUSH, LMOVE, LREM of an item",
        }.items()
        for each, name in {
            subject: f"{name}: both in turn",
            f"{subject} put": f"{name}: enqueue",
            f"{subject} took": f"{name}: deliver",
        }.items()
    },
    "acks": {
        "one": "one RPUSH after the other, redis-py",
        **{subject: f"**{subject}**" for subject in acks.SUBJECTS},
    },
}


class Bench:
    """Runs cases on one kind of server."""

    def __init__(self, kind: str, quick: bool, most: int) -> None:
        self._kind, self._most = kind, 1 if quick else most
        count, seconds = (60_000, 0.5) if quick else (300_000, 1.0)
        self._cases: dict[str, tuple[Callable[[], dict[str, float]], int]] = {
            "flow": (lambda: flow.one_round(kind, count), 5),
            "peers": (lambda: peers.one_round(kind, 0.2 if quick else 1), 3),
            "latency": (lambda: latency.one_round(kind, 3 * seconds), 5),
            "acks": (lambda: acks.one_round(kind, seconds), 3),
            "takeover": (lambda: latency.takeover(kind), 3),
        }

    def run(self, case: str) -> Rounds:
        one_round, count = self._cases[case]
        found: Rounds = []
        for number in range(min(count, self._most)):
            sys.stderr.write(f"  {case} on {self._kind}, round {number + 1}\n")
            found.append(one_round())
        return found

    def report(self, cases: list[str]) -> str:
        rounds = {case: self.run(case) for case in cases}
        with running(self._kind) as server:
            text = [f"### {server.version()}\n"]
        table = [(mark, rounds[case]) for case in rounds for mark in MARKS[case]]
        text.append(marks(table))
        if "flow" in rounds:
            text += [
                figures(rounds["flow"], SHOWN["flow"], "items a second"),
                figures(rounds["flow"], SHOWN["work"], "the server's work per item, µs", 2),
            ]
        if "peers" in rounds:
            text.append(figures(rounds["peers"], SHOWN["peers"], "tasks a second"))
        if "acks" in rounds:
            text.append(figures(rounds["acks"], SHOWN["acks"], "acknowledged writes a second"))
        return "\n".join(text)


MARKS = {"flow": FLOW, "peers": PEERS, "latency": LATENCY, "acks": ACKS, "takeover": TAKEOVER}


def _write(text: str) -> None:
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="shared")
    parser.add_argument("--quick", action="store_true", help="fewer items, one round")
    parser.add_argument("--rounds", type=int, default=99, help="at most")
    parser.add_argument("--write", action="store_true", help="renew docs/shared-benchmarks.md")
    parser.add_argument("--server", choices=("valkey", "redis"), action="append")
    parser.add_argument("--case", choices=tuple(MARKS), action="append")
    options = parser.parse_args()
    about = f"CPython {platform.python_version()}, redis-py {redis.__version__}"
    text = [f"{about}, on {platform.machine()}.\n"]
    for kind in options.server or ("valkey", "redis"):
        if program(kind):
            bench = Bench(kind, options.quick, options.rounds)
            text.append(bench.report(options.case or list(MARKS)))
            sys.stdout.write(f"{text[-1]}\n")
            sys.stdout.flush()
    if options.write:
        _write("\n".join(text))


if __name__ == "__main__":
    main()
