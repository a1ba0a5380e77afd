"""
What the processes of `flights_shared.py` do: two push, three deliver, and SQLite takes it.
"""

import json
import multiprocessing
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from multiprocessing.sharedctypes import RawArray
from multiprocessing.synchronize import Barrier, Event
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from flights import DATABASE, Flight, read

from partitioned_buffer import Queue, batch_id
from partitioned_buffer.sinks import SQLiteTable
from partitioned_buffer.storage import Redis

PRODUCERS, WORKERS, PARTITIONS = 2, 3, 9
LEASE = 2.0
"""Seconds after which the partitions of a worker that has died are others'."""
WINDOW = 1000
"""How many flights of a partition are delivered twice at most when its worker dies."""
ENDINGS = {signal.SIGTERM, signal.SIGINT}


class Tally(NamedTuple):
    """What a worker notes of each partition, in memory that outlives it."""

    given: Any
    """How many flights it was given."""
    first: Any
    """When it first delivered since the last farewell; 0: not yet."""


class Plan(NamedTuple):
    """What all processes know."""

    folder: Path
    url: str
    sample: int | None
    ready: Barrier  # everything has been read
    killed: Event  # a worker has been killed
    gone: Event  # another one has been told to go
    tallies: list[Tally]  # of each worker

    @classmethod
    def new(cls, folder: Path, url: str, sample: int | None) -> "Plan":
        """Return one for processes that are spawned."""
        spawn = multiprocessing.get_context("spawn")
        tallies = [
            Tally(RawArray("q", PARTITIONS), RawArray("d", PARTITIONS)) for _ in range(WORKERS)
        ]
        ready = spawn.Barrier(PRODUCERS + 1)
        return cls(folder, url, sample, ready, spawn.Event(), spawn.Event(), tallies)

    def queue(self, processor: Callable[[list[Flight]], None] | None = None) -> Queue[Flight]:
        """Return the Queue that all share; only who has a *processor* delivers."""
        return Queue(
            "flights",
            processor,
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


def opened(folder: Path) -> sqlite3.Connection:
    """Return a connection to the table, which by itself takes a flight as often as it comes."""
    connection = sqlite3.connect(
        folder / DATABASE,
        timeout=60,  # seconds that others may write
        check_same_thread=False,
    )
    connection.executescript(
        """
        PRAGMA journal_mode = WAL;  -- it is read meanwhile
        PRAGMA synchronous = NORMAL;  -- processes are killed, the machine is not
        CREATE TABLE IF NOT EXISTS flights (
            came INTEGER PRIMARY KEY, number INTEGER, departed INTEGER, carrier TEXT,
            flight INTEGER, tail TEXT, origin TEXT, dest TEXT);
        """
    )
    return connection


class Destination:
    """
    What a worker writes to: the table of all, and its own tally.

    The sink notes, in the same transaction, which batches are there. So what comes twice is there
    once, and whoever was believed dead, and wakes up, adds nothing to what others have delivered.
    """

    def __init__(self, folder: Path, tally: Tally) -> None:
        self.table = SQLiteTable(opened(folder), "flights", Flight._fields, once=True)
        self.tally, self.turn = tally, threading.Lock()
        self.seconds, self.written = 0.0, 0  # how long it was at work, and for how many

    def write(self, flights: list[Flight]) -> None:
        """Process a batch, and count."""
        partition = batch_id().partition
        self.tally.given[partition] += len(flights)
        with self.turn:  # which the partitions would wait for in the sink
            began = time.perf_counter()
            self.table(flights)
            self.seconds += time.perf_counter() - began
            self.written += len(flights)
        self.tally.first[partition] = self.tally.first[partition] or time.time()


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


def deliver(plan: Plan, me: int) -> None:
    """Deliver until told to stop; what is not in hand then is others'."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)  # they are waited for below
    destination = Destination(plan.folder, plan.tallies[me])
    with (flights := plan.queue(destination.write)):
        signal.sigwait(ENDINGS)
        plan.note(f"worker {me + 1}", flights, destination.seconds, destination.written)


class Processes:
    """Those of one run."""

    def __init__(self, plan: Plan) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.workers = [
            spawn.Process(target=deliver, args=(plan, each), daemon=True) for each in range(WORKERS)
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
