"""
The same year of flights, through buffers that survive: the process is killed in the middle.

    make demo DEMO="--durable"
    make demo DEMO="--durable --sample 20000"

A child process pushes the flights, and notes after each push how many have been accepted. It is
killed with SIGKILL twice, wherever it is. Each time another one opens the same files, goes on
pushing behind what was accepted, and delivers what the one before has left. At the end the
database is compared with the input, row for row.
"""

import multiprocessing
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from flights import Database, Flight, check, read
from rich.console import Console

from partitioned_buffer import Map, Queue
from partitioned_buffer.storage import SQLite

AT_ONCE = 500
TOTAL = 336_776
NUMBER = struct.Struct("<q")


def accepted(folder: Path) -> int:
    """Return how many flights have been accepted: whole records count, whatever was killed."""
    try:
        noted = (folder / "accepted").read_bytes()
    except FileNotFoundError:
        return 0
    whole = len(noted) // NUMBER.size * NUMBER.size
    return NUMBER.unpack(noted[whole - NUMBER.size : whole])[0] if whole else 0


def work(folder: Path, sample: int | None) -> None:
    """Be the process: open what is there, go on, and deliver all of it."""
    database = Database(folder / "flights.sqlite3")
    flights = Queue(
        "flights",
        database.write_flights,
        partitions=1,
        processing_interval=0.2,
        processing_batch_size=1000,
        storage=SQLite(folder / "flights.buffer", codec=Flight),
    )
    aircraft = Map(
        "aircraft",
        database.write_aircraft,
        partitions=2,
        processing_interval=0.2,
        processing_batch_size=500,
        storage=SQLite(folder / "aircraft.buffer", codec=Flight),
    )
    with flights, aircraft, (folder / "accepted").open("ab", buffering=0) as notes:
        recovered = flights.stats().recovered, aircraft.stats().recovered
        done = accepted(folder)
        print(f"behind {done:,} flights; recovered {recovered[0]:,} and {recovered[1]:,}")
        rows = islice(read(sample), done, None)
        while batch := list(islice(rows, AT_ONCE)):
            push(flights, aircraft, batch)
            done += len(batch)
            notes.write(NUMBER.pack(done))  # what is accepted need not be pushed again
    print(f"delivered {flights.stats().delivered:,} and {aircraft.stats().delivered:,}")


def push(flights: Queue[Flight], aircraft: Map[str, Flight], batch: Sequence[Flight]) -> None:
    """Push a batch; when this returns, it is on the disk."""
    flights.push_all(batch)
    seen = [f for f in batch if f.tail and f.departed is not None]
    aircraft.put_all_newer([(f.tail, f, f.departed or 0) for f in seen])


def main(sample: int | None) -> None:
    """Have it done, kill it twice, and compare."""
    console, total = Console(), min(sample or TOTAL, TOTAL)
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for limit in (total // 3, 2 * total // 3, None):
            child = spawn.Process(target=work, args=(folder, sample))
            child.start()
            while limit is not None and child.is_alive() and accepted(folder) < limit:
                time.sleep(0.01)
            if limit is not None:
                child.kill()
            child.join()
            if limit is None and child.exitcode != 0:
                sys.exit(f"the last process ended with {child.exitcode}")
            if child.exitcode == -signal.SIGKILL:
                console.print(f"[red]kill -9[/red] after {accepted(folder):,} flights")
        database = Database(folder / "flights.sqlite3")
        wrong = check(database, sample)
        database.connection.close()
    if wrong:
        sys.exit("\n".join(wrong))
    console.print("[green]The database holds what was pushed, row for row.[/green]")
