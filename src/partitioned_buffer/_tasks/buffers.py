"""
AsyncQueue and AsyncMap, driven by tasks: made (see `constructors`) of writes (see `writes`) and a
life (see `face`).
"""

from typing import TYPE_CHECKING, ClassVar, TypeVar

from .._core.buffer.absent import ENTRIES, ITEMS, Absent
from .._core.buffer.assembly import map_parts, queue_parts
from .._core.buffer.constructors import MapInit, QueueInit
from .._core.options.settings import Settings
from .._core.tables.entry import Entry
from .face import TaskFace
from .writes import AsyncMapWrites, AsyncQueueWrites

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class AsyncQueue(QueueInit[T], AsyncQueueWrites[T], TaskFace[list[T]]):
    """
    A `Queue` at home on an event loop, used in an `async with` block.

    `processor` receives `list[T]`: a coroutine function is awaited on the loop, a plain one
    called in a thread; so is `dead_letter`. The options, all by keyword, are those of
    `Settings`, documented in the reference.

    Raises `InvalidOption` or `UnknownOption` for options that are no good.
    """

    _kind: ClassVar[str] = "AsyncQueue"

    def _assemble(self, made: Settings) -> None:
        tables, admission, self._routes = queue_parts(made, self)
        TaskFace.__init__(self, made, tables, admission)

    if not TYPE_CHECKING:  # checkers know what there is
        put, put_all, put_newer, get = (Absent(ITEMS) for _ in range(4))


class AsyncMap(
    MapInit[K, V],
    AsyncMapWrites[K, V],
    TaskFace[list[Entry[K, V]] | dict[K, Entry[K, V]]],
):
    """
    A `Map` at home on an event loop, used in an `async with` block.

    `processor`, awaited or called as an AsyncQueue's, receives `list[Entry[K, V]]`, or with
    `processing_batch_size="table"` one `dict[K, Entry[K, V]]`. The options, all by keyword, are
    those of `Settings`, documented in the reference.

    Raises `InvalidOption` or `UnknownOption` for options that are no good.
    """

    _kind: ClassVar[str] = "AsyncMap"

    def _assemble(self, made: Settings) -> None:
        tables, admission, self._routes = map_parts(made, self)
        TaskFace.__init__(self, made, tables, admission)

    if not TYPE_CHECKING:  # checkers know what there is
        push, push_all = Absent(ENTRIES), Absent(ENTRIES)


for _public in (AsyncQueue, AsyncMap):
    _public.__module__ = __name__.partition(".")[0]  # as for those in `__init__`
