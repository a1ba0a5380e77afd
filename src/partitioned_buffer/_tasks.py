"""
AsyncQueue and AsyncMap, driven by tasks: writes (see `_async_writes`) and a life (see
`_task_life`).
"""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, Unpack, overload

from ._async_writes import AsyncMapWrites, AsyncQueueWrites
from ._build import map_parts, queue_parts
from ._entry import Entry
from ._hot import Key
from ._keywords import CommonOptions, MapOptions
from ._options import settings
from ._task_life import TaskBuffer

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class AsyncQueue(AsyncQueueWrites[T], TaskBuffer[list[T]]):
    """
    A `Queue` at home on an event loop, used in an `async with` block.

    `processor` receives `list[T]`: a coroutine function is awaited on the loop, a plain one
    called in a thread; so is `dead_letter`. The options, all by keyword, are those of
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
            "AsyncQueue",
            name=name,
            processor=processor,
            processing_batch_size=processing_batch_size,
            partition_key=partition_key,
            **options,
        )
        tables, gate, room = queue_parts(made, self)
        AsyncQueueWrites.__init__(self, tables, partition_key, gate)
        TaskBuffer.__init__(self, made, tables, room)


class AsyncMap(AsyncMapWrites[K, V], TaskBuffer[list[Entry[K, V]] | dict[K, Entry[K, V]]]):
    """
    A `Map` at home on an event loop, used in an `async with` block.

    `processor`, awaited or called as an AsyncQueue's, receives `list[Entry[K, V]]`, or with
    `processing_batch_size="table"` one `dict[K, Entry[K, V]]`. The options, all by keyword, are
    those of `Settings`, documented in the reference.

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
            "AsyncMap",
            name=name,
            processor=processor,
            processing_batch_size=processing_batch_size,
            partition_key=partition_key,
            merge=merge,
            **options,
        )
        tables, gate, room = map_parts(made, self)
        AsyncMapWrites.__init__(self, tables, partition_key, gate)
        TaskBuffer.__init__(self, made, tables, room)


for _public in (AsyncQueue, AsyncMap):
    _public.__module__ = __package__ or __name__  # as for those in `__init__`
