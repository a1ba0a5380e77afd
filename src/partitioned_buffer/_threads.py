"""
Queue and Map, driven by threads: writes (see `_writes`) and a life (see `_thread_life`).
"""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, Unpack, overload

from ._build import map_parts, queue_parts
from ._entry import Entry
from ._hot import Key
from ._keywords import CommonOptions, MapOptions
from ._options import settings
from ._thread_life import ThreadedBuffer
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
        tables, gate, room = queue_parts(made, self)
        QueueWrites.__init__(self, tables, partition_key, gate)
        ThreadedBuffer.__init__(self, made, tables, room)


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
        tables, gate, room = map_parts(made, self)
        MapWrites.__init__(self, tables, partition_key, gate)
        ThreadedBuffer.__init__(self, made, tables, room)
