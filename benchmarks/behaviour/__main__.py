"""
Run ours and its peers through misfortunes; with --write renew docs/behaviour.md.

    make behaviour                                   about 10 minutes
    make behaviour BEHAVIOUR="--quick"               about 5: fewer forks, shorter limits
    make behaviour BEHAVIOUR="--only Segment"
    make behaviour BEHAVIOUR="--write"

Every scenario with every subject runs in a process of its own, which is killed when it takes
too long: that a peer hangs is a finding. What the peers do is told; what our own Queue does is
compared with what it promises, and anything else makes this fail. Needs Python 3.13, for
`queue.Queue.shutdown`.
"""

import argparse
import importlib.metadata
import os
import platform
import queue
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path

from .scenarios import SUBJECTS
from .trial import Subject, arrived, twice

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "behaviour.md"
BEGIN, END = "<!-- behaviour: begin -->\n", "<!-- behaviour: end -->\n"
TABLES = {
    "What a full buffer and a failing sink do": {
        "full": "full",
        "failure": "sink fails once",
        "flush": "`flush(1 s)`, sink blocked",
        "stop": "`stop(1 s)`, sink blocked",
    },
    "What an end does": {
        "graceful": "50 items at a stop",
        "late": "write after stop",
        "leave": "no stop",
    },
    "What an outage, and an interruption do": {
        "outage": "sink down for 30 s",
        "unheard": "stop with the sink down, no logging",
        "terminated": "SIGTERM with the sink down",
        "pipeline": "one writes to another, no stop",
        "limited": "soft time limit in a write",
    },
    "What a fork does": {
        "fork": "a child's item",
        "fork_under_load": "children that hang, forked under load",
    },
}
OURS = "Queue"
PROMISED = {  # of ours: patterns, for the time that passes on a busy machine
    "full": "your choice: blocks / raises BufferFull / drops newest, counts 200 of 200 / "
    "drops oldest, counts 200 of 200",
    "failure": "100 of 100",
    "flush": r"raises TimeoutError after [1-4]\.\d s, nothing lost",
    "stop": r"returns 50 left after [1-4]\.\d s",
    "graceful": "50 of 50",
    "late": "raises BufferNotRunning",
    "leave": "999 of 999",
    "outage": "50 of 50",
    "unheard": "50 undelivered, said",
    "terminated": r"ends in [12]\d s, 50 of 50 in a file, said",
    "pipeline": "100 of 100",
    "limited": "all come out, nothing lost",
    "fork": "delivered",
    "fork_under_load": r"0 of \d+",
}
UNTRIED = "could not be tried"
AT_ONCE, LOADED = 6, 2  # how many run at the same time: most of them wait
TOO_LONG = 120.0  # seconds: more than all that is waited for in any scenario

SEEN_AFTER = {"leave": 999, "pipeline": 100, "terminated": 50}

Cells = dict[tuple[str, str], str]


@dataclass
class Run:
    """How much is tried."""

    limit: int  # seconds after which a call is said not to return
    forks: int
    times: int  # that what depends on how far a thread has come is repeated

    def cell(self, name: str, scenario: str) -> str:
        """Run *scenario* with the subject *name*, by each of its policies; return what was seen."""
        if scenario.startswith("fork") and not SUBJECTS[name].forks:
            return "–"
        if scenario == "pipeline" and not SUBJECTS[name].pairs:
            return "–"
        policies = SUBJECTS[name].policies if scenario == "full" else (None,)
        seen = [self._repeated(name, scenario, policy) for policy in policies]
        return seen[0] if len(seen) == 1 else "your choice: " + " / ".join(seen)

    def _repeated(self, name: str, scenario: str, policy: str | None) -> str:
        times = self.times if scenario in ("graceful", "leave") else 1
        return " or ".join(sorted({self._one(name, scenario, policy) for _ in range(times)}))

    def _one(self, name: str, scenario: str, policy: str | None) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path, errors = Path(folder, "arrived"), Path(folder, "errors")
            arguments = [name, scenario, str(path), str(self.limit), str(self.forks), policy or ""]
            with errors.open("wb") as file:
                process = subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.behaviour.scenarios", *arguments],
                    cwd=ROOT,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL if scenario == "fork_under_load" else file,
                    env=os.environ | {"NO_PROXY": "127.0.0.1"},
                    start_new_session=True,
                    text=True,
                )
            began = time.monotonic()
            told, hung = self._outcome(process)
            if scenario in SEEN_AFTER:  # it is over when all is: only here somebody is left to look
                told = _seen(scenario, path, errors, time.monotonic() - began)
            elif not told and not hung:
                sys.stderr.write(f"{name}, {scenario}: {errors.read_text()}\n")
                return UNTRIED
            return told + (f"{', ' * bool(told)}hangs" if hung else "")

    def _outcome(self, process: "subprocess.Popen[str]") -> tuple[str, bool]:
        try:
            told, _ = process.communicate(timeout=TOO_LONG)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its children, too
            told, _ = process.communicate()
            return told.strip(), True
        return told.strip(), False

    def cells(self, names: list[str]) -> Cells:
        """Run everything; what needs processors runs last."""
        seen: dict[tuple[str, str], Future[str]] = {}
        for loaded, at_once in ((False, AT_ONCE), (True, LOADED)):
            with ThreadPoolExecutor(at_once) as pool:
                for name, scenario in product(names, chain(*TABLES.values())):
                    if (scenario == "fork_under_load") == loaded:
                        seen[name, scenario] = pool.submit(self.cell, name, scenario)
        return {job: future.result() for job, future in seen.items()}


def _seen(scenario: str, path: Path, errors: Path, seconds: float) -> str:
    """Return what is there after the program's end."""
    count, there, letters = SEEN_AFTER[scenario], arrived(path), path.with_name("letters")
    if scenario != "terminated":
        return f"{len(there)} of {count}{twice(there, range(count))}"
    kept = len(letters.read_text().splitlines()) if letters.exists() else 0
    lost = f"{kept} of {count} in a file" if kept else f"{count - len(there)} lost"
    return f"ends in {seconds:.0f} s, {lost}, {'said' if errors.stat().st_size else 'silently'}"


FULL, QUICK = Run(limit=10, forks=100, times=5), Run(limit=4, forks=20, times=1)


def _version(kind: type[Subject]) -> str | None:
    """Return the version, "" of what comes with Python, None of what is not installed."""
    try:
        return importlib.metadata.version(kind.package) if kind.package else ""
    except importlib.metadata.PackageNotFoundError:
        return None


def _tables(names: list[str], cells: Cells) -> Iterator[str]:
    for title, columns in TABLES.items():
        yield f"### {title}\n"
        yield "| | " + " | ".join(columns.values()) + " |"
        yield "|---" * (len(columns) + 1) + "|"
        for name in names:
            shown = f"**{name}**" if name == OURS else name
            row = [shown, *(cells[name, scenario] for scenario in columns)]
            yield "| " + " | ".join(row) + " |"
        yield ""


def _head(names: list[str], there: list[str]) -> str:
    used = [
        f"{kind.package} {_version(kind)}" for name in there if (kind := SUBJECTS[name]).package
    ]
    head = f"CPython {platform.python_version()} on {platform.system()}, {', '.join(used)}."
    missing = [name for name in names if name not in there]
    return head + (f" Left out, not installed: {', '.join(missing)}." if missing else "")


def _wrong(cells: Cells) -> Iterator[str]:
    """Say what is a defect: of ours, or of these scripts."""
    for (name, scenario), cell in cells.items():
        if UNTRIED in cell or (name == OURS and not re.fullmatch(PROMISED[scenario], cell)):
            yield f"{name}, {scenario}: {cell}"


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="behaviour")
    parser.add_argument("--quick", action="store_true", help="fewer forks, shorter limits")
    parser.add_argument("--write", action="store_true", help="renew docs/behaviour.md")
    parser.add_argument("--only", metavar="NAME", choices=SUBJECTS, help="one subject")
    options = parser.parse_args()
    if not hasattr(queue.Queue, "shutdown"):
        parser.error("needs Python 3.13")
    if options.write and (options.only or options.quick):
        parser.error("--write takes all subjects, in full")
    run = QUICK if options.quick else FULL
    names = [options.only] if options.only else list(SUBJECTS)
    there = [name for name in names if _version(SUBJECTS[name]) is not None]
    cells = run.cells(there)
    text = "\n".join([f"{_head(names, there)}\n", *_tables(there, cells)])
    sys.stdout.write(text)
    if wrong := list(_wrong(cells)):
        sys.exit("\n".join(["not as promised:", *wrong]))
    if options.write:
        before, rest = PAGE.read_text().split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
