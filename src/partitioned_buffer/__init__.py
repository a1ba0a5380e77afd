"""
Write now, deliver later, in batches, in order, and lose nothing uncounted.

    errors.py       what can fail
    events.py       what hooks receive
    abc.py          every contract: Processor, Hook, Clock
    dead_letters.py a file for what is given up
    testing.py      a fake clock, recording processor and hook, for your tests

    _options.py     every option once; _checks.py what they take
    _retry.py       how often, and when, what failed is tried again
    _routing.py     partition key -> partition
    _hot.py         push, put, put_newer: what one write costs; _hot_bounded.py with a bound
    _writes.py      the other writes, and reads
    _gate.py        what a write to a full buffer does; _room.py how much room there is
    _tables.py      a partition's table, in words
      _queue_table.py  _map_log.py  _map_table.py        in memory
      _bounded_queue.py  _bounded_map.py                 ... and part of a bound
    _delivery.py    what becomes of a batch: a generator of effects
    _buffer.py      settings, tables, state and names; never waits
    _threads.py     Queue and Map
    _life.py        start, stop, flush, exit and fork
      _worker.py  _driver.py  _watchdog.py  _countdown.py  _exit.py    what it takes
"""

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

__all__ = [
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

for _public in (globals()[name] for name in __all__):
    _public.__module__ = __name__  # tracebacks, reprs and pickles name the public module
