"""
The same year of flights, through buffers that survive: the process is killed in the middle.

    make demo DEMO="--durable"
    make demo DEMO="--durable --sample 20000"

A child process pushes the flights, and notes after each push how many have been accepted. It is
killed with SIGKILL twice, wherever it is. Each time another one opens the same files, goes on
pushing behind what was accepted, and delivers what the one before has left. At the end it says how
long the buffers took, and how long the database, and the database is compared with the input, row
for row.
"""

import multiprocessing
import signal
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import FileIO
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any, NamedTuple

from flights import AT_ONCE, DATABASE, TOTAL, Flight, check, read, tables
from flights_numbers import Bars, compared, page
from rich.console import Console

from partitioned_buffer import Map, Queue
from partitioned_buffer.sinks import SQLiteTable
from partitioned_buffer.storage import SQLite

DELIVERED, PUSHING, PROCESSING, WRITES = range(4)
"""What the children count in memory that outlives them: flights, seconds, seconds, and writes."""
NUMBER = struct.Struct("<q")


def notes(folder: Path) -> FileIO:
    """Open what is noted: how many flights have been accepted, again and again."""
    return FileIO(folder / "accepted", "a")


def accepted(folder: Path) -> int:
    """Return how many flights have been accepted: whole records count, whatever was killed."""
    try:
        noted = (folder / "accepted").read_bytes()
    except FileNotFoundError:
        return 0
    whole = len(noted) // NUMBER.size * NUMBER.size
    return NUMBER.unpack(noted[whole - NUMBER.size : whole])[0] if whole else 0


class Child(NamedTuple):
    """What the process has: where it counts, and by what it says something."""

    counts: Any
    says: Connection

    def counted(self, table: SQLiteTable, turn: threading.Lock) -> Callable[[list[Any]], None]:
        """Return a processor that counts how long *table* takes, but not for its *turn*."""

        def write(batch: list[Any]) -> None:
            with turn:  # which the tables of a file would wait for in themselves
                began = time.perf_counter()
                table(batch)
                self.counts[PROCESSING] += time.perf_counter() - began
            if isinstance(batch[-1], Flight):
                self.counts[DELIVERED] = batch[-1].number  # they come in order

        return write


def work(folder: Path, sample: int | None, child: Child, with_page: bool) -> None:
    """Be the process: open what is there, go on, and deliver all of it."""
    to_flights, to_aircraft = tables(folder / DATABASE)
    turn, say = threading.Lock(), child.says.send
    flights = Queue(
        "flights",
        child.counted(to_flights, turn),
        partitions=1,
        processing_interval=0.2,
        processing_batch_size=1000,
        storage=SQLite(folder / "flights.buffer", codec=Flight),
    )
    aircraft = Map(
        "aircraft",
        child.counted(to_aircraft, turn),
        partitions=2,
        processing_interval=0.2,
        processing_batch_size=500,
        storage=SQLite(folder / "aircraft.buffer", codec=Flight),
    )
    with page(with_page, say), to_flights, to_aircraft, flights, aircraft, notes(folder) as noted:
        recovered = flights.stats().recovered, aircraft.stats().recovered
        done = accepted(folder)
        say(f"behind {done:,} flights; recovered {recovered[0]:,} and {recovered[1]:,}")
        rows = islice(read(sample), done, None)
        while batch := list(islice(rows, AT_ONCE)):
            began = time.perf_counter()
            child.counts[WRITES] += push(flights, aircraft, batch)
            child.counts[PUSHING] += time.perf_counter() - began
            done += len(batch)
            noted.write(NUMBER.pack(done))  # what is accepted need not be pushed again
    say(f"delivered {flights.stats().delivered:,} and {aircraft.stats().delivered:,}")


def push(flights: Queue[Flight], aircraft: Map[str, Flight], batch: Sequence[Flight]) -> int:
    """Push a batch; when this returns, it is on the disk. Return how many writes that was."""
    flights.push_all(batch)
    seen = [f for f in batch if f.tail and f.departed is not None]
    aircraft.put_all_newer([(f.tail, f, f.departed or 0) for f in seen])
    return len(batch) + len(seen)


class Run:
    """What the parent does: it looks on, and kills."""

    def __init__(self, folder: Path, sample: int | None, with_page: bool) -> None:
        self.folder, self.sample, self.with_page = folder, sample, with_page
        self.counts = RawArray("d", 4)

    def life(self, limit: int | None, bars: Bars) -> int | None:
        """Have a child do it, up to *limit*, where it is killed; return how it ended."""
        spawn = multiprocessing.get_context("spawn")
        hears, says = spawn.Pipe(duplex=False)
        child = spawn.Process(
            target=work, args=(self.folder, self.sample, Child(self.counts, says), self.with_page)
        )
        child.start()
        says.close()
        while child.is_alive() and (limit is None or accepted(self.folder) < limit):
            self.look(hears, bars)
            time.sleep(0.02)
        if limit is not None:
            child.kill()
        child.join()
        self.look(hears, bars)
        return child.exitcode

    def look(self, hears: Connection, bars: Bars) -> None:
        """Show how far it is, and what the child says."""
        with suppress(EOFError):
            while hears.poll():
                bars.console.print(hears.recv(), highlight=False)
        done = accepted(self.folder)
        bars.show(done, min(done, int(self.counts[DELIVERED])))


def main(sample: int | None, *, with_page: bool = False) -> None:
    """Have it done, kill it twice, and compare."""
    console, total = Console(), min(sample or TOTAL, TOTAL)
    with tempfile.TemporaryDirectory() as name:
        run = Run(Path(name), sample, with_page)
        with Bars(console, total) as bars:
            for limit in (total // 3, 2 * total // 3, None):
                ended = run.life(limit, bars)
                if limit is None and ended != 0:
                    sys.exit(f"the last process ended with {ended}")
                if ended == -signal.SIGKILL:
                    done = accepted(run.folder)
                    console.print(f"[red]kill -9[/red] after {done:,} flights", highlight=False)
        report(run, console)
        wrong = check(run.folder / DATABASE, sample)
    if wrong:
        sys.exit("\n".join(wrong))
    console.print("[green]The database holds what was pushed, row for row.[/green]")


def report(run: Run, console: Console) -> None:
    """Say how long it took until all was on the disk, and how long the database took."""
    writes, pushing, processing = (run.counts[n] for n in (WRITES, PUSHING, PROCESSING))
    for line in (
        f"{pushing:6.2f} s until {writes:,.0f} writes were on the disk",
        f"{processing:6.2f} s in the database, beside it",
        compared(pushing, processing, int(writes)),
    ):
        console.print(line, highlight=False)
