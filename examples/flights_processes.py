"""
What the processes of `flights_shared.py` do: two push, three deliver, and SQLite takes it.
"""

import json
import multiprocessing
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier, Event
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from flights import Flight, read

from partitioned_buffer import Queue, batch_id, fencing_token
from partitioned_buffer.storage import Redis

PRODUCERS, WORKERS, PARTITIONS = 2, 3, 9
LEASE = 2.0
"""Seconds after which the partitions of a worker that has died are others'."""
WINDOW = 1000
"""How many flights of a partition are delivered twice at most when its worker dies."""
ENDINGS = {signal.SIGTERM, signal.SIGINT}


class Plan(NamedTuple):
    """What all processes know."""

    folder: Path
    url: str
    sample: int | None
    ready: Barrier  # everything has been read
    killed: Event  # a worker has been killed
    gone: Event  # another one has been told to go

    def queue(self, destination: "Destination | None" = None) -> Queue[Flight]:
        """Return the Queue that all share; only who has a *destination* delivers."""
        return Queue(
            "flights",
            None if destination is None else destination.write,
            partitions=PARTITIONS,
            partition_key=attrgetter("tail"),  # each plane's flights stay in order
            processing_interval=0.2,
            processing_batch_size=500,
            storage=Redis(self.url, codec=Flight, lease=LEASE, window=WINDOW),
        )

    def note(self, name: str, flights: Queue[Flight], took: float, writes: int) -> None:
        """Leave for the report what a process knows of the server, and what it *took*."""
        numbers = flights.stats().as_dict()["shared"]
        noted = {"shared": numbers, "took": took, "writes": writes}
        (self.folder / f"{name}.json").write_text(json.dumps(noted))


# --- where things are written to -----------------------------------------------------------


class Overtaken(Exception):
    """Another worker has this partition by now."""


class Destination:
    """One database for all workers. What comes twice is written once, and counted."""

    def __init__(self, folder: Path, worker: str = "") -> None:
        self.worker, self.lock = worker, threading.Lock()
        self.seconds, self.written = 0.0, 0  # how long it was at work, and for how many
        self.connection = sqlite3.connect(
            folder / "flights.sqlite3",
            timeout=60,  # seconds that others may write
            isolation_level="IMMEDIATE",
            check_same_thread=False,
        )
        self.connection.executescript(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = NORMAL;
            CREATE TABLE IF NOT EXISTS flights (
                came INTEGER PRIMARY KEY, number INTEGER UNIQUE, departed INTEGER, carrier TEXT,
                flight INTEGER, tail TEXT, origin TEXT, dest TEXT, batch INTEGER);
            CREATE TABLE IF NOT EXISTS batches (
                id INTEGER PRIMARY KEY, partition INTEGER, position INTEGER, size INTEGER,
                written INTEGER, worker TEXT, at REAL);
            CREATE TABLE IF NOT EXISTS claims (partition INTEGER PRIMARY KEY, token INTEGER);
            """
        )

    @contextmanager
    def turn(self, size: int) -> Iterator[None]:
        """Have the connection alone, for one transaction: other processes are waited for."""
        with self.lock:
            began = time.perf_counter()
            with self.connection:
                yield
            self.seconds += time.perf_counter() - began
            self.written += size

    def write(self, flights: list[Flight]) -> None:
        """Process a batch: all of it or nothing, and nothing of one who was believed dead."""
        identity, token = batch_id(), fencing_token()
        with self.turn(len(flights)):
            newest = self.connection.execute(
                """INSERT INTO claims VALUES (?, ?) ON CONFLICT (partition)
                   DO UPDATE SET token = excluded.token WHERE excluded.token >= token""",
                (identity.partition, token),
            )
            if newest.rowcount == 0:
                raise Overtaken
            batch = self.connection.execute(
                "INSERT INTO batches VALUES (NULL, ?, ?, ?, 0, ?, ?)",
                (identity.partition, identity.position, len(flights), self.worker, time.time()),
            ).lastrowid
            written = self.connection.executemany(
                "INSERT OR IGNORE INTO flights VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(*flight, batch) for flight in flights],
            ).rowcount
            self.connection.execute("UPDATE batches SET written = ? WHERE id = ?", (written, batch))


# --- processes -----------------------------------------------------------------------------


def produce(plan: Plan, me: int) -> None:
    """Push half of the planes: two quarters at once, and one after each farewell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # end without a word
    mine = [f for f in read(plan.sample) if crc32(f.tail.encode()) % PRODUCERS == me]
    half, rest, took = len(mine) // 2, 3 * len(mine) // 4, 0.0
    with (flights := plan.queue()):
        for told, part in (
            (plan.ready, mine[:half]),
            (plan.killed, mine[half:rest]),
            (plan.gone, mine[rest:]),
        ):
            told.wait()
            began = time.perf_counter()
            flights.push_all(part)
            took += time.perf_counter() - began
        flights.flush()
        plan.note(f"producer {me + 1}", flights, took, len(mine))


def deliver(plan: Plan, name: str) -> None:
    """Deliver until told to stop; what is not in hand then is others'."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)  # they are waited for below
    destination = Destination(plan.folder, name)
    with (flights := plan.queue(destination)):
        signal.sigwait(ENDINGS)
        plan.note(name, flights, destination.seconds, destination.written)


class Processes:
    """Those of one run."""

    def __init__(self, plan: Plan) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.workers = [
            spawn.Process(target=deliver, args=(plan, f"worker {each + 1}"), daemon=True)
            for each in range(WORKERS)
        ]
        self.producers = [
            spawn.Process(target=produce, args=(plan, each), daemon=True)
            for each in range(PRODUCERS)
        ]
        for process in (*self.workers, *self.producers):
            process.start()

    @property
    def have_failed(self) -> bool:
        """Whether any has ended that was not told to."""
        every = (*self.workers, *self.producers)
        return any(each.exitcode not in (None, 0, -signal.SIGKILL) for each in every)

    @property
    def names(self) -> dict[str, str]:
        """The name of each worker, by its pid."""
        return {str(each.pid): f"worker {number + 1}" for number, each in enumerate(self.workers)}

    def end(self) -> None:
        """Kill whatever is still there."""
        for process in (*self.workers, *self.producers):
            process.kill()
            process.join()
