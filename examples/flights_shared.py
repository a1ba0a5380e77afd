"""
The same year of flights, through one Queue on a server: five processes share it, and two go early.

    make demo DEMO="--shared"
    make demo DEMO="--shared --sample 20000"

A Valkey (or Redis) server is started on loopback. Two processes push, each half of the planes, so
that each plane's flights are pushed in order; three deliver, into one database. One of these is
killed with SIGKILL in the middle of its work, and when others have taken its partitions over, one
is told to stop by SIGTERM, which gives its own back. At the end the database is compared with the
input, row for row, and plane by plane. What the processes do is in flights_processes.py.
"""

import json
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from flights import TOTAL, Flight, read
from flights_numbers import Bars, each, page
from flights_processes import LEASE, PARTITIONS, PRODUCERS, WORKERS, Plan, Processes, opened
from local_server import LocalServer
from rich.console import Console
from rich.table import Table

from partitioned_buffer import Stats

PATIENCE = 120.0


class Farewell(NamedTuple):
    """What became of the partitions of a worker that went."""

    number: int
    partitions: list[int]
    seconds: float  # until others had delivered from each of them


class Run:
    """From the first process to the last."""

    def __init__(self, plan: Plan, total: int, bars: Bars) -> None:
        self.plan, self.total, self.bars = plan, total, bars
        self.database = opened(plan.folder)
        self.flights = plan.queue()  # it neither pushes nor delivers: it looks, and flushes
        self.processes = Processes(plan)
        self.began = time.time()
        self.farewells: list[Farewell] = []
        self.rates: list[tuple[str, float]] = []
        self.stats: Stats

    def go(self) -> None:
        """Have all of it done."""
        with self.flights:
            self.wait(lambda: len(set(self.owners().values())) == WORKERS)
            self.wait(lambda: len(self.owners()) == PARTITIONS)
            self.plan.ready.wait(PATIENCE)
            self.bars.begin()
            self.began = time.time()
            shares = sorted(Counter(self.owners().values()).values())
            self.say(f"two processes push, three deliver, from {shares} partitions")
            self.until_delivered(self.total // 4)
            self.rate("three workers, two producers", 0, self.began)
            self.farewell(1, signal.SIGKILL, "[red]kill -9[/red]")
            self.farewell(2, signal.SIGTERM, "[yellow]SIGTERM[/yellow]")
            self.finish()

    def finish(self) -> None:
        """Have the last worker deliver the rest, and end everything in order."""
        done, at = self.delivered(), time.time()
        for producer in self.processes.producers:
            self.join(producer)
        with ThreadPoolExecutor(1) as pool:  # while this thread shows how far it is
            flushed = pool.submit(self.flights.flush, PATIENCE)
            self.wait(flushed.done)
            flushed.result()
        self.rate("the last worker", done, at)
        self.rate("in all, waits for the takeovers included", 0, self.began)
        self.say("all is delivered")
        self.stats = self.flights.stats()
        last = self.processes.workers[-1]
        last.terminate()
        self.join(last)

    def farewell(self, number: int, how: signal.Signals, words: str) -> None:
        """Have a worker go, and wait until others have delivered from its partitions."""
        worker = self.processes.workers[number - 1]
        pid = str(worker.pid)
        mine = [p for p, owner in self.owners().items() if owner == pid]
        for tally in self.plan.tallies:
            tally.first[:] = [0.0] * PARTITIONS
        worker.kill() if how == signal.SIGKILL else worker.terminate()
        at = time.time()
        self.say(f"{words} for worker {number} after {self.delivered():,} flights")
        (self.plan.killed if how == signal.SIGKILL else self.plan.gone).set()
        self.wait(lambda: all(self.taken_over(number, mine)))
        self.farewells.append(Farewell(number, mine, max(self.taken_over(number, mine)) - at))
        self.say(f"others deliver from all its {len(mine)} partitions")
        self.join(worker, 0 if how == signal.SIGTERM else -how)
        self.wait(lambda: self.owned_without(pid))

    # --- asked again and again -------------------------------------------------------------

    def wait(self, true: Callable[[], bool]) -> None:
        """Return when something is so, or end."""
        until = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > until or self.processes.have_failed:
                sys.exit(f"it does not go on: {self.flights.stats()}")
            self.show()
            time.sleep(0.02)

    def show(self) -> None:
        """Move the bars to where the server, and the database, say they are."""
        delivered = self.delivered()
        self.bars.show(max(self.flights.stats().accepted, delivered), delivered)

    def owners(self) -> dict[int, str]:
        """Return the process that has each partition, as the server says."""
        shared = self.flights.stats().shared
        owners = {} if shared is None else shared.owners
        return {partition: owner.split(":")[-2] for partition, owner in owners.items()}

    def owned_without(self, pid: str) -> bool:
        """Whether others have all partitions."""
        owners = self.owners()
        return len(owners) == PARTITIONS and pid not in owners.values()

    def delivered(self) -> int:
        """Return how many rows there are."""
        (came,) = self.database.execute("SELECT coalesce(max(came), 0) FROM flights").fetchone()
        return int(came)

    def until_delivered(self, count: int) -> None:
        """Wait for so many rows."""
        self.wait(lambda: self.delivered() >= count)

    def taken_over(self, number: int, partitions: list[int]) -> list[float]:
        """Return when others first delivered from each of *partitions*; 0 where none has yet."""
        others = [t for w, t in enumerate(self.plan.tallies, 1) if w != number]
        return [min(filter(None, (t.first[p] for t in others)), default=0.0) for p in partitions]

    # --- small things ----------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Say what has happened, and when."""
        self.bars.console.print(
            f"[cyan]{time.time() - self.began:6.2f} s[/cyan]  {text}", highlight=False
        )

    def rate(self, who: str, since: int, at: float) -> None:
        """Note how fast it went."""
        if count := self.delivered() - since:
            self.rates.append((who, count / (time.time() - at)))

    def join(self, process: BaseProcess, expected: int = 0) -> None:
        """Wait for the end of a process, which has to be a good one."""
        self.wait(lambda: not process.is_alive())
        if process.exitcode != expected:
            sys.exit(f"{process.name} ended with {process.exitcode}")


# --- the proof -----------------------------------------------------------------------------


def twice(run: Run, partitions: Collection[int]) -> int:
    """Return how many flights of some *partitions* came twice: of all, each was written once."""
    given: int = sum(tally.given[p] for tally in run.plan.tallies for p in partitions)
    return given - sum(run.stats.partitions[p].delivered for p in partitions)


def check(run: Run) -> list[str]:
    """Compare the database with the input; return what is wrong."""
    wrong = []
    rows = run.database.execute(
        "SELECT number, departed, carrier, flight, tail, origin, dest FROM flights ORDER BY came"
    ).fetchall()
    came, expected = [Flight(*row) for row in rows], list(read(run.plan.sample))
    if sorted(came, key=lambda flight: flight.number) != expected:
        wrong.append(f"flights: {len(rows)} rows are not the {len(expected)} of the input")
    if by_plane(came) != by_plane(expected):
        wrong.append("some planes' flights came in another order than they were pushed in")
    stats = run.stats
    if (stats.accepted, stats.delivered, stats.held) != (len(expected), len(expected), 0):
        wrong.append(f"the server's ledger says otherwise: {stats}")
    return wrong


def by_plane(flights: list[Flight]) -> dict[str, list[int]]:
    """Return the numbers of each plane's flights, in the order given."""
    planes = defaultdict[str, list[int]](list)
    for flight in flights:
        planes[flight.tail].append(flight.number)
    return dict(planes)


def noted(run: Run) -> dict[str, dict[str, Any]]:
    """Return what each process has left, but for the one that was killed."""
    names = [f"producer {number + 1}" for number in range(PRODUCERS)]
    names += [f"worker {number + 1}" for number in range(1, WORKERS)]
    return {name: json.loads((run.plan.folder / f"{name}.json").read_text()) for name in names}


def known(run: Run, notes: dict[str, dict[str, Any]]) -> Table:
    """Put what each process knew of the server at its end into a table."""
    table = Table("", *notes, title="stats().shared, when each process was about to end")
    knew = [note["shared"] for note in notes.values()]
    for number in knew[0]:
        table.add_row(number, *(shown(each[number], run.processes.names) for each in knew))
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def shown(value: Any, names: dict[str, str]) -> str:
    """Return a number as it is read best."""
    if isinstance(value, dict):
        owners = Counter(names[owner.split(":")[-2]] for owner in value.values())
        return "\n".join(f"{name}: {count}" for name, count in sorted(owners.items()))
    if isinstance(value, float):
        return f"{value:.2f} s"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def cost(notes: dict[str, dict[str, Any]], whose: str) -> str:
    """Return what a flight cost the processes of a kind."""
    theirs = [note for name, note in notes.items() if name.startswith(whose)]
    took, writes = (sum(note[what] for note in theirs) for what in ("took", "writes"))
    return f"{each(took, writes)} for a flight"


def report(run: Run, console: Console) -> None:
    """Say what came twice, how long nobody delivered what, and how fast it went."""
    by_kill, by_stop = run.farewells
    every = set(range(PARTITIONS))
    elsewhere = every - set(by_kill.partitions)
    notes = noted(run)
    console.print(known(run, notes))
    for line in (
        f"Came twice, and written once: {twice(run, every):,} flights",
        f"  of them not from the partitions of the one killed: {twice(run, elsewhere):,}",
        f"Takeover after kill -9: {by_kill.seconds:.2f} s (lease: {LEASE:g} s)",
        f"Takeover after SIGTERM: {by_stop.seconds:.2f} s",
        *(f"{rate:>7,.0f} items/s: {who}" for who, rate in run.rates),
        f"[bold]{cost(notes, 'producer')} until what was pushed was on the server,[/bold]",
        f"[bold]{cost(notes, 'worker')} in the database, waits for other workers included[/bold]",
    ):
        console.print(line, highlight=False)


def main(sample: int | None, *, with_page: bool = False) -> None:
    """Start the server, have it done, and compare."""
    console, total = Console(), min(sample or TOTAL, TOTAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = LocalServer(folder)
        try:
            console.print(f"{server.name}, {server.url}, pid {server.pid}", highlight=False)
            plan = Plan.new(folder, server.url, sample)
            with Bars(console, total) as bars:
                run = Run(plan, total, bars)
                try:
                    with page(with_page, console.print):
                        run.go()
                finally:
                    run.processes.end()
        finally:
            server.stop()
        with closing(run.database):
            report(run, console)
            wrong = check(run)
    if wrong:
        sys.exit("\n".join(wrong))
    console.print("[green]The database holds what was pushed, row for row, plane by plane.[/green]")
