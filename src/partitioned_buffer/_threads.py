"""
Queue and Map, driven by threads: writes (see `_writes`) and a life (see `_life`).
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, Unpack, overload

from ._bounded_map import BoundedMapTable
from ._bounded_queue import BoundedQueueTable
from ._entry import Entry
from ._gate import MapGate, QueueGate, weigher
from ._hot import Key
from ._life import ThreadedBuffer
from ._map_table import MapTable
from ._options import CommonOptions, MapOptions, settings
from ._queue_table import QueueTable
from ._room import Room
from ._writes import MapWrites, QueueWrites

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class Queue(QueueWrites[T], ThreadedBuffer[list[T]]):
    """
    A buffer that keeps insertion order.

    `processor` receives `list[T]`. The options, all by keyword, are those of
    `Settings`, documented in the reference.

    Raises `InvalidOption` or `UnknownOption` for options that are no good.
    """

    def __init__(
        self,
        name: str,
        processor: Callable[[list[T]], object],
        *,
        processing_batch_size: int | Literal["table"] = 10,
        partition_key: Key[T] = None,
        **options: Unpack[CommonOptions],
    ) -> None:
        made = settings(
            "Queue",
            name=name,
            processor=processor,
            processing_batch_size=processing_batch_size,
            partition_key=partition_key,
            **options,
        )
        count, gate = made.partitions or 1, None
        if made.bounded:
            room = Room(made.clock, made.max_size, made.max_bytes)
            bounded: list[BoundedQueueTable[T]] = [BoundedQueueTable(room) for _ in range(count)]
            gate = QueueGate(made, room, bounded, self._is_own_thread, self._refused)
            tables: Sequence[QueueTable[T]] = bounded
        else:
            tables = [QueueTable() for _ in range(count)]
        QueueWrites.__init__(self, tables, partition_key, gate)
        ThreadedBuffer.__init__(self, made, tables, gate.room if gate else None)


class Map(MapWrites[K, V], ThreadedBuffer[list[Entry[K, V]] | dict[K, Entry[K, V]]]):
    """
    A buffer that keeps one value per key: the last written, the newest version, or all of
    them made one by *merge*.

    `processor` receives `list[Entry[K, V]]`, or with `processing_batch_size="table"`
    one `dict[K, Entry[K, V]]`. The options, all by keyword, are those of `Settings`,
    documented in the reference.

    Raises `InvalidOption` or `UnknownOption` for options that are no good.
    """

    @overload
    def __init__(
        self,
        name: str,
        processor: Callable[[list[Entry[K, V]]], object],
        *,
        processing_batch_size: int = 10,
        partition_key: Key[K] = None,
        merge: Callable[[V, V], V] | None = None,
        **options: Unpack[MapOptions],
    ) -> None: ...
    @overload
    def __init__(
        self,
        name: str,
        processor: Callable[[dict[K, Entry[K, V]]], object],
        *,
        processing_batch_size: Literal["table"],
        partition_key: Key[K] = None,
        merge: Callable[[V, V], V] | None = None,
        **options: Unpack[MapOptions],
    ) -> None: ...
    def __init__(
        self,
        name: str,
        processor: Callable[[Any], object],
        *,
        processing_batch_size: int | Literal["table"] = 10,
        partition_key: Key[K] = None,
        merge: Callable[[V, V], V] | None = None,
        **options: Unpack[MapOptions],
    ) -> None:
        made = settings(
            "Map",
            name=name,
            processor=processor,
            processing_batch_size=processing_batch_size,
            partition_key=partition_key,
            merge=merge,
            **options,
        )
        count, keep, gate = made.partitions or 1, made.remember_versions, None
        if made.bounded:
            room, weigh = Room(made.clock, made.max_size, made.max_bytes), weigher(made)
            bounded: list[BoundedMapTable[K, V]] = [
                BoundedMapTable(room, keep, merge, weigh) for _ in range(count)
            ]
            gate = MapGate(made, room, bounded, self._is_own_thread, self._refused)
            tables: Sequence[MapTable[K, V]] = bounded
        else:
            tables = [MapTable(keep, merge) for _ in range(count)]
        MapWrites.__init__(self, tables, partition_key, gate)
        ThreadedBuffer.__init__(self, made, tables, gate.room if gate else None)
