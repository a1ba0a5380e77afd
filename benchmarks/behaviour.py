"""
Run ours and its peers through misfortunes; with --write renew docs/behaviour.md.

    make behaviour                                   about 5 minutes
    make behaviour BEHAVIOUR="--quick"               about one: fewer forks, shorter limits
    make behaviour BEHAVIOUR="--only Segment"
    make behaviour BEHAVIOUR="--write"

Every scenario with every subject runs in a process of its own, which is killed when it takes
too long: that a peer hangs is a finding. Needs Python 3.13, for `queue.Queue.shutdown`.
"""

import argparse
import importlib.metadata
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path

from behaviour_scenarios import SUBJECTS
from behaviour_subjects import Subject, arrived
from behaviour_trial import PATIENCE

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "behaviour.md"
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
    "What a fork does": {
        "fork": "a child's item",
        "fork_under_load": "children that hang",
    },
}
AT_ONCE, LOADED = 6, 2  # how many run at the same time: most of them wait


@dataclass
class Run:
    """How much is tried."""

    limit: int  # seconds after which a call is said not to return
    forks: int

    def cell(self, name: str, scenario: str) -> str:
        """Run *scenario* with the subject *name*, by each of its policies; return what was seen."""
        policies = SUBJECTS[name].policies if scenario == "full" else (None,)
        seen = [self._one(name, scenario, policy) for policy in policies]
        return seen[0] if len(seen) == 1 else "your choice: " + " / ".join(seen)

    def _one(self, name: str, scenario: str, policy: str | None) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path, errors = Path(folder, "arrived"), Path(folder, "errors")
            arguments = [name, scenario, str(path), str(self.limit), str(self.forks), policy or ""]
            with errors.open("wb") as file:
                process = subprocess.Popen(
                    [sys.executable, HERE / "behaviour_scenarios.py", *arguments],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL if scenario == "fork_under_load" else file,
                    env=os.environ | {"NO_PROXY": "127.0.0.1"},
                    start_new_session=True,
                    text=True,
                )
            told, hung = self._outcome(process)
            if scenario == "leave":
                count = sum(item in range(999) for item in arrived(path))
                told = f"{count} of 999"
            elif not told and not hung:
                sys.stderr.write(f"{name}, {scenario}: {errors.read_text()}\n")
                return "could not be tried"
            return told + (f"{', ' * bool(told)}hangs" if hung else "")

    def _outcome(self, process: "subprocess.Popen[str]") -> tuple[str, bool]:
        try:
            told, _ = process.communicate(timeout=PATIENCE + 4 * self.limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its children, too
            told, _ = process.communicate()
            return told.strip(), True
        return told.strip(), False

    def cells(self, names: list[str]) -> dict[tuple[str, str], str]:
        """Run everything; what needs processors runs last."""
        seen: dict[tuple[str, str], Future[str]] = {}
        for loaded, at_once in ((False, AT_ONCE), (True, LOADED)):
            with ThreadPoolExecutor(at_once) as pool:
                for name, scenario in product(names, chain(*TABLES.values())):
                    if (scenario == "fork_under_load") == loaded:
                        seen[name, scenario] = pool.submit(self.cell, name, scenario)
        return {job: future.result() for job, future in seen.items()}


def _version(kind: type[Subject]) -> str | None:
    """Return the version, "" of what comes with Python, None of what is not installed."""
    try:
        return importlib.metadata.version(kind.package) if kind.package else ""
    except importlib.metadata.PackageNotFoundError:
        return None


def _tables(names: list[str], cells: dict[tuple[str, str], str]) -> Iterator[str]:
    for title, columns in TABLES.items():
        yield f"### {title}\n"
        yield "| | " + " | ".join(columns.values()) + " |"
        yield "|---" * (len(columns) + 1) + "|"
        for name in names:
            shown = f"**{name}**" if name == "Queue" else name
            row = [shown, *(cells[name, scenario] for scenario in columns)]
            yield "| " + " | ".join(row) + " |"
        yield ""


def report(run: Run, names: list[str]) -> str:
    """Run all scenarios; return the tables."""
    versions = {name: _version(SUBJECTS[name]) for name in names}
    there = [name for name in names if versions[name] is not None]
    used = [f"{SUBJECTS[name].package} {versions[name]}" for name in there if versions[name]]
    head = f"CPython {platform.python_version()} on {platform.system()}, {', '.join(used)}."
    missing = [name for name in names if name not in there]
    if missing:
        head += f" Left out, not installed: {', '.join(missing)}."
    return "\n".join([f"{head}\n", *_tables(there, run.cells(there))])


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="behaviour")
    parser.add_argument("--quick", action="store_true", help="fewer forks, shorter limits")
    parser.add_argument("--write", action="store_true", help="renew docs/behaviour.md")
    parser.add_argument("--only", metavar="NAME", choices=SUBJECTS, help="one subject")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write takes all subjects")
    run = Run(limit=4, forks=20) if options.quick else Run(limit=10, forks=100)
    text = report(run, [options.only] if options.only else list(SUBJECTS))
    sys.stdout.write(text)
    if options.write:
        before, rest = PAGE.read_text().split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
