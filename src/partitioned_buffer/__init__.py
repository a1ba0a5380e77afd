"""
Write now, deliver later, in batches, in order, and lose nothing uncounted.

    errors.py       what can fail
    events.py       what hooks receive
    abc.py          every contract: Processor, Hook, Clock
    dead_letters.py a file for what is given up
    testing.py      a fake clock (_fake_clock.py), recording processor and hook, for your tests

    _options.py     every option once; _checks.py what they take; _keywords.py their types
    _retry.py       how often, and when, what failed is tried again
    _routing.py     partition key -> partition
    _hot.py         push, put, put_newer: what one write costs; _hot_bounded.py with a bound
    _writes.py      the other writes, and reads
    _gate.py        what a write to a full buffer does, _gates.py by kind; _room.py how much room
    _tables.py      a partition's table, in words
      _queue_table.py  _map_log.py  _map_table.py        in memory
      _bounded_queue.py  _bounded_map.py                 ... and part of a bound
    _delivery.py    what becomes of a batch: a generator of effects
    _buffer.py      settings, tables, state and names; never waits
    _kinds.py       what makes a Queue and a Map; _build.py puts tables, room and gate together
    _steps.py       waiting, written once for threads and tasks; _running.py where it would hurt
    _life.py        stop, flush, exit and fork
      _worker.py  _driver.py  _watchdog.py  _countdown.py  _exit.py    what it takes
    _threads.py     Queue and Map
      _thread_life.py  _thread_worker.py  _thread_watchdog.py          by threads
    _tasks.py       AsyncQueue and AsyncMap
      _task_life.py  _task_worker.py  _task_calls.py  _blocking.py     by tasks
      _async_writes.py                                                 writes that can be awaited
      _home.py  _loops.py  _asyncio_loop.py  _trio_loop.py             of which loop
"""

from typing import TYPE_CHECKING, Any

from ._buffer import get
from ._entry import Entry
from ._ledger import PartitionStats, Stats, StopReport
from ._retry import Retry
from ._routing import by_content
from ._telemetry import subscribe
from ._threads import Map, Queue
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
    UnknownOption,
    WrongThread,
)

if TYPE_CHECKING:
    from ._tasks import AsyncMap, AsyncQueue

__all__ = [
    "AsyncMap",
    "AsyncQueue",
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
    "Stats",
    "StopReport",
    "UnknownOption",
    "WrongThread",
    "by_content",
    "get",
    "subscribe",
]


def __getattr__(name: str) -> Any:
    """Import what needs an event loop when it is asked for: `asyncio` takes as long as the rest."""
    if name in ("AsyncMap", "AsyncQueue"):
        from ._tasks import AsyncMap, AsyncQueue  # noqa: PLC0415  # as said

        return {"AsyncMap": AsyncMap, "AsyncQueue": AsyncQueue}[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


for _public in (globals()[name] for name in __all__ if name in globals()):
    _public.__module__ = __name__  # tracebacks, reprs and pickles name the public module
