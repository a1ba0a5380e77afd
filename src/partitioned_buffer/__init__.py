"""
Write now, deliver later, in batches, in order, and lose nothing uncounted.

    errors.py            what can fail
    events.py            what hooks receive
    abc/                 every contract: Processor, Hook, Clock; storing.py: Storage; sharing.py:
                         SharedStorage; shared_map.py  outcomes.py: what of a Map it keeps, and what
                         it answers; dealing.py: which partition a hash is of; batches.py: what
                         tells a batch from all others; sink.py: Sink
    dead_letters/        file.py: a file for what is given up; records.py: its lines; appending.py
                         writes them, replay.py is the way back
    storage/             codec.py: how items become bytes; msgpack.py  records.py; keys.py: those of
                         a Map; stable_hash.py: which partition, in every process; look.py:
                         what a file was made for
                         sqlite/: what was accepted, in a file: journal.py; accepting.py  chunks.py
                         slots.py  parts.py: what is in it; file.py  terms.py  watch.py
                         lock.py  faults.py: what it is in; reclaiming.py  ballast.py: its room;
                         dead.py: what was given up; relayout.py: other partitions than before
                         redis/: ... on a server, for many processes: store.py; appending.py
                         claims.py  letters.py  depths.py  news.py: what it does; layouts.py: other
                         partitions; kinds/: kind.py  queue.py  map.py  moving.py: what differs
                         by kind; opening.py  naming.py: where it is; scripts.py: what runs there,
                         lua/; looking.py  risks.py: for tools; wire/: servers.py  connecting.py
                         faults.py
    sinks/               processors that know their destination: sqlite.py  redis_stream.py; what
                         they are made of: base.py  rows.py  halving.py  once.py  sql.py
                         sqlite_text.py  retry_after.py;
                         files/: json_lines.py  parquet.py; placing.py  open_files.py;
                         kafka/: topic.py: messages of a topic; messages.py: what items become;
                         lanes.py  producers.py: who has which; sending.py: messages on their way;
                         reports.py: what is said of them;
                         bulk/: index.py: documents; lines.py: what items become; clients.py: how
                         they are called; answers.py: what is said of each;
                         postgres/: table.py: a table there; work.py: what becomes of a batch;
                         fitting.py  text.py  commands.py  faults.py  lending.py
                         async_lending.py  alarm.py; driving.py: all that takes psycopg
                         http/: endpoint.py: requests; asking.py: what becomes of a batch;
                         answers.py  clients.py  async_clients.py
    cli/                 the command line, which __main__.py is, too: main.py; commands/: what is
                         typed: command.py  values.py  inspect.py  drain.py  replay.py  worker.py
                         resize.py  top.py  page.py; what that does: inspecting.py
                         looking.py  items.py  text.py: what is in a file; draining.py
                         replaying.py  giving.py: the ways out of it; progress.py;
                         names.py  codecs.py: what is imported;
                         live/: of a running process: watching.py  asking.py  looks.py
                         screens.py  drawing.py  paging.py; server/: on a server: working.py
                         signals.py  telling.py: a worker; inspecting.py  reporting.py  entries.py
                         replaying.py  resizing.py; places.py: where
    dashboard/           a page that shows buffers: page.py; messages.py  guard.py  files.py
                         compressing.py: requests and answers; reading.py  describing.py
                         states.py  letters.py: what is shown; acting.py: what is done;
                         over_asgi.py  over_wsgi.py  serving.py: who serves it
    instrumentation/     prometheus.py: numbers, with a dashboard and alerts; opentelemetry.py
                         spans.py  naming.py
    integrations/        logging.py: a handler for logging; structlog.py: a processor for that;
                         intake.py  records.py: what they have in common
    testing/             a fake clock (fake_clock.py), recording processor and hook, for your tests;
                         storage.py: a storage in memory; sharing.py  shared_store.py
                         shared_server.py  shared_line.py  shared_map_line.py  shared_records.py
                         shared_news.py: one that many share;
                         contract/: tests for yours: base.py  watched.py  delivery.py  recovery.py
                         bounds.py  trouble.py  opening.py  tasks.py  maps.py; sinks.py, sinks/:
                         of sinks: using.py  saying.py  repeating.py  buffers.py  keeping.py;
                         shared/: of shared ones: appending.py  claims.py  stepping.py
                         layouts.py; maps/: of theirs: ops.py  modes.py  numbers.py  parcels.py
                         getting.py  swaps.py  settling.py

    _core/               what a buffer is and does, whoever drives it; from the ground up:
      ledger.py          the numbers, and the law they obey; measures.py: beside that
      waiting/           steps.py: waiting, written once; clock.py  countdown.py  event_loop.py
                         locks.py  signals.py
      options/           settings.py: every option once; together.py  checks.py
                         keywords.py  retry.py; words.py: what others call them
      tables/            what collects writes, and what is in flight: step.py: what a write is;
                         table.py  queue.py  map.py  map_held.py  map_flight.py  keys.py
                         entry.py  room.py; writers.py: one write; stopwatch.py: calls of
                         the processor; implementation.py: which there are, for all of it
                         is in C, too
      backing/           where what is accepted waits, if not in tables: backing.py: while it is
                         open; admission.py: a write; room.py; committer.py: one commit for all;
                         leading.py: who commits alone; partition.py: its worker's;
                         queue/: line.py  part.py  landing.py  table.py  hashes.py  records.py
                         writes.py; map/: log.py: its ops, in chunks; marks.py: what it says of
                         keys; replay.py  snapshot.py;
                         landing.py  table.py  stored.py  writes.py
      sharing/           where many processes have what is accepted. sharing.py: the way to the
                         server; attending.py  clerk.py: what goes on in a life; cargo.py
                         map_cargo.py: what differs by kind; front/: what waits here: admission.py
                         writes.py  records.py  lane.py  durable.py  left.py; map_writes.py
                         map_routes.py  map_reads.py  map_durable.py  unsent.py: a Map's;
                         shipping.py  parcels.py  map_parcels.py: how it gets there; work/:
                         what is delivered here: pump.py  window.py  queue_window.py
                         map_window.py  map_table.py  duty.py; numbers.py  troubles.py
      telemetry.py       hooks and the log
      writes/            routing.py: which partition; queue.py  map.py: writes of many;
                         admission.py  together.py  line.py: a write to a full buffer
      policy/            what becomes of a batch. deliver.py: batch by batch; effects.py: what it
                         asks its driver for; trial.py  reading.py  names.py: one call; evidence.py
                         number.py: what becomes of what failed; front.py  destination.py: what is
                         known of it
      delivery/          who does it. partition.py: one of them, for its worker; worker.py waits for
                         the next cycle; cycle.py  calls.py  in_one.py  returned.py: one cycle;
                         store.py: at a store; identity.py: ids of batches; recorder.py measures;
                         losses.py  telling.py: what is said; handover.py: what an end has left;
                         watchdog.py
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

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._core.buffer.registry import get, running
    from ._core.ledger import PartitionStats, SharedStats, Stats, StopReport
    from ._core.measures import Durations, Failure, Rates
    from ._core.options.retry import Retry
    from ._core.tables.entry import Entry
    from ._core.telemetry import subscribe
    from ._core.writes.routing import by_content
    from ._tasks.buffers import AsyncMap, AsyncQueue
    from ._threads.buffers import Map, Queue
    from .abc import BatchId, batch_id, fencing_token
    from .errors import (
        BufferAlreadyRunning,
        BufferFull,
        BufferNotFound,
        BufferNotRunning,
        InvalidOption,
        Outage,
        PartialFailure,
        PartitionedBufferError,
        Reject,
        RetryAfter,
        Split,
        StorageAway,
        StorageBusy,
        StorageError,
        StorageFull,
        StorageRefused,
        Undecodable,
        Undelivered,
        UnknownOption,
        WrongThread,
    )

__all__ = [
    "AsyncMap",
    "AsyncQueue",
    "BatchId",
    "BufferAlreadyRunning",
    "BufferFull",
    "BufferNotFound",
    "BufferNotRunning",
    "Durations",
    "Entry",
    "Failure",
    "InvalidOption",
    "Map",
    "Outage",
    "PartialFailure",
    "PartitionStats",
    "PartitionedBufferError",
    "Queue",
    "Rates",
    "Reject",
    "Retry",
    "RetryAfter",
    "SharedStats",
    "Split",
    "Stats",
    "StopReport",
    "StorageAway",
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
    "fencing_token",
    "get",
    "running",
    "subscribe",
]


_HOMES = {
    "_core.buffer.registry": "get running",
    "_core.ledger": "PartitionStats SharedStats Stats StopReport",
    "_core.measures": "Durations Failure Rates",
    "_core.options.retry": "Retry",
    "_core.tables.entry": "Entry",
    "_core.telemetry": "subscribe",
    "_core.writes.routing": "by_content",
    "_threads.buffers": "Map Queue",
    "abc": "BatchId batch_id fencing_token",
    "errors": """
        BufferAlreadyRunning BufferFull BufferNotFound BufferNotRunning InvalidOption Outage
        PartialFailure PartitionedBufferError Reject RetryAfter Split StorageAway StorageBusy
        StorageError StorageFull StorageRefused Undecodable Undelivered UnknownOption WrongThread
    """,
}
"""Imported when the first of these is asked for: the command line says its help without them."""
_TASKS = {"_tasks.buffers": "AsyncMap AsyncQueue"}
"""... and these when they are: `asyncio` takes as long as the rest."""
_MODULES = ("_core", "abc", "errors", "events")
"""Those that can be reached without having been imported by name."""


def __getattr__(name: str) -> Any:
    """Import what is asked for the first time."""
    if name not in __all__ and name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _import(_HOMES)
    if name not in globals():
        _import(_TASKS)
    return globals()[name]


def _import(homes: dict[str, str]) -> None:
    for home, names in homes.items():
        module = import_module(f".{home}", __name__)
        for name in names.split():
            public = getattr(module, name)
            public.__module__ = __name__  # tracebacks, reprs and pickles name the public module
            globals()[name] = public


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
