"""
Write now, deliver later, in batches, in order, and lose nothing uncounted.

    errors.py            what can fail
    events.py            what hooks receive
    abc/                 every contract: Processor, Hook, Clock; storing.py: Storage; batches.py:
                         what tells a batch from all others
    dead_letters/        file.py: a file for what is given up; records.py: its lines; appending.py
                         writes them, replay.py is the way back
    storage/             codec.py: how items become bytes; msgpack.py  records.py; keys.py: those of
                         a Map; stable_hash.py: which partition, in every process; look.py:
                         what a file was made for
                         sqlite/: what was accepted, in a file: journal.py; accepting.py  chunks.py
                         slots.py  parts.py: what is in it; file.py  terms.py  watch.py
                         lock.py  faults.py: what it is in; reclaiming.py  ballast.py: its room;
                         dead.py: what was given up; relayout.py: other partitions than before
    cli/                 the command line, which __main__.py is, too: main.py; inspecting.py
                         looking.py  items.py  text.py: what is in a file; draining.py
                         replaying.py  giving.py: the ways out of it; progress.py;
                         names.py  codecs.py: what is imported
    testing/             a fake clock (fake_clock.py), recording processor and hook, for your tests;
                         storage.py: a storage in memory; contract/: tests for yours: base.py
                         watched.py  delivery.py  recovery.py  bounds.py  trouble.py  opening.py
                         tasks.py  maps.py

    _core/               what a buffer is and does, whoever drives it; from the ground up:
      ledger.py          the numbers, and the law they obey
      waiting/           steps.py: waiting, written once; clock.py  countdown.py  event_loop.py
                         locks.py
      options/           settings.py: every option once; checks.py  keywords.py  retry.py;
                         words.py: what others call them
      tables/            what collects writes, and what is in flight: step.py: what a write is;
                         table.py  queue.py  map.py  map_held.py  map_flight.py  keys.py
                         entry.py  room.py; writers.py: one write; implementation.py: which
                         there are, for all of it is in C, too
      backing/           where what is accepted waits, if not in tables: backing.py: while it is
                         open; admission.py: a write; room.py; committer.py: one commit for all;
                         partition.py: its worker's; queue/: line.py  landing.py  table.py
                         hashes.py  records.py  writes.py; map/: log.py: its ops, in chunks;
                         marks.py: what it says of keys; replay.py: reading it, snapshots;
                         landing.py  table.py  stored.py  writes.py
      telemetry.py       hooks and the log
      writes/            routing.py: which partition; queue.py  map.py: writes of many;
                         admission.py  together.py  line.py: a write to a full buffer
      policy/            what becomes of a batch. deliver.py: batch by batch; effects.py: what it
                         asks its driver for; trial.py  reading.py  names.py: one call; evidence.py
                         number.py: what becomes of what failed; front.py  destination.py: what is
                         known of it
      delivery/          who does it. partition.py: one of them, for its worker; worker.py waits for
                         the next cycle; cycle.py  in_one.py  returned.py: one cycle; store.py: at
                         a store; identity.py: ids of batches; losses.py says what is given up;
                         handover.py: what an end has left; watchdog.py
      buffer/            base.py: settings, state, numbers; run.py: one life; lifecycle.py: start,
                         stop, flush; supervisor.py: what threads and tasks differ in; registry.py:
                         names; ending.py: the end of a block, and of the program: program_end.py,
                         rounds.py, process_exit.py; constructors.py  assembly.py  absent.py:
                         how it is made
    _threads/            Queue and Map (buffers.py), driven by threads: face.py  supervisor.py
                         worker.py  watchdog.py
    _tasks/              AsyncQueue and AsyncMap (buffers.py), driven by tasks: face.py
                         supervisor.py  worker.py  writes.py; to_thread.py  from_thread.py between
      loops/             of which loop: current.py  base.py  asyncio.py  trio.py
"""

from typing import TYPE_CHECKING, Any

from ._core.buffer.registry import get, running
from ._core.ledger import PartitionStats, Stats, StopReport
from ._core.options.retry import Retry
from ._core.tables.entry import Entry
from ._core.telemetry import subscribe
from ._core.writes.routing import by_content
from ._threads.buffers import Map, Queue
from .abc import BatchId, batch_id
from .errors import (
    BufferAlreadyRunning,
    BufferFull,
    BufferNotFound,
    BufferNotRunning,
    InvalidOption,
    PartialFailure,
    PartitionedBufferError,
    Reject,
    RetryAfter,
    Split,
    StorageBusy,
    StorageError,
    StorageFull,
    StorageRefused,
    Undecodable,
    Undelivered,
    UnknownOption,
    WrongThread,
)

if TYPE_CHECKING:
    from ._tasks.buffers import AsyncMap, AsyncQueue

__all__ = [
    "AsyncMap",
    "AsyncQueue",
    "BatchId",
    "BufferAlreadyRunning",
    "BufferFull",
    "BufferNotFound",
    "BufferNotRunning",
    "Entry",
    "InvalidOption",
    "Map",
    "PartialFailure",
    "PartitionStats",
    "PartitionedBufferError",
    "Queue",
    "Reject",
    "Retry",
    "RetryAfter",
    "Split",
    "Stats",
    "StopReport",
    "StorageBusy",
    "StorageError",
    "StorageFull",
    "StorageRefused",
    "Undecodable",
    "Undelivered",
    "UnknownOption",
    "WrongThread",
    "batch_id",
    "by_content",
    "get",
    "running",
    "subscribe",
]


def __getattr__(name: str) -> Any:
    """Import what needs an event loop when it is asked for: `asyncio` takes as long as the rest."""
    if name in ("AsyncMap", "AsyncQueue"):
        from ._tasks.buffers import AsyncMap, AsyncQueue  # noqa: PLC0415  # as said

        return {"AsyncMap": AsyncMap, "AsyncQueue": AsyncQueue}[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


for _public in (globals()[name] for name in __all__ if name in globals()):
    _public.__module__ = __name__  # tracebacks, reprs and pickles name the public module
