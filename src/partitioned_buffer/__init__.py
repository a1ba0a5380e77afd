"""
Write now, deliver later, in batches, in order, and lose nothing uncounted.

    errors.py       what can fail
    events.py       what hooks receive
    abc.py          every contract: Processor, Hook, Clock
    testing.py      a fake clock, recording processor and hook, for your tests

    _options.py     every option once
    _routing.py     partition key -> partition
    _hot.py         push, put, put_newer: what one write costs
    _writes.py      the other writes, and reads
    _tables.py      a partition's tables; _map_log.py and _map_table.py the Map's
    _delivery.py    what becomes of a batch: a generator of effects
    _buffer.py      settings, tables, state and names; never waits
    _threads.py     Queue and Map; _worker.py their threads
"""

from ._buffer import get
from ._entry import Entry
from ._ledger import PartitionStats, Stats, StopReport
from ._routing import by_content
from ._telemetry import subscribe
from ._threads import Map, Queue
from .errors import (
    BufferAlreadyRunning,
    BufferNotFound,
    BufferNotRunning,
    InvalidOption,
    PartitionedBufferError,
    UnknownOption,
    WrongThread,
)

__all__ = [
    "BufferAlreadyRunning",
    "BufferNotFound",
    "BufferNotRunning",
    "Entry",
    "InvalidOption",
    "Map",
    "PartitionStats",
    "PartitionedBufferError",
    "Queue",
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
