"""
Queue and Map, driven by threads: made (see `constructors`) of writes (see `bulk`) and a life (see
`face`).
"""

from typing import TYPE_CHECKING, ClassVar, TypeVar

from .._core.buffer.absent import ENTRIES, ITEMS, Absent
from .._core.buffer.assembly import map_parts, queue_parts
from .._core.buffer.constructors import MapInit, QueueInit
from .._core.options.settings import Settings
from .._core.tables.entry import Entry
from .._core.tables.implementation import QueueWriter
from .._core.writes.map import MapWrites
from .._core.writes.queue import ManyItems
from .face import ThreadFace

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

_QUEUE, _MAP = "see AsyncQueue", "see AsyncMap"


class Queue(QueueInit[T], ManyItems[T], QueueWriter[T], ThreadFace[list[T]]):
    """
    A buffer that keeps insertion order.

    `processor` receives `list[T]`. The options, all by keyword, are those of
    `Settings`, documented in the reference.

    Raises `InvalidOption` or `UnknownOption` for options that are no good.
    """

    _kind: ClassVar[str] = "Queue"

    def _assemble(self, made: Settings) -> None:
        tables, admission, self._routes = queue_parts(made, self)
        ThreadFace.__init__(self, made, tables, admission)

    if not TYPE_CHECKING:  # checkers know what there is
        push_nowait, push_all_nowait = Absent(_QUEUE), Absent(_QUEUE)
        put, put_all, put_newer, get = (Absent(ITEMS) for _ in range(4))


class Map(
    MapInit[K, V],
    MapWrites[K, V],
    ThreadFace[list[Entry[K, V]] | dict[K, Entry[K, V]]],
):
    """
    A buffer that keeps one value per key: the last written, the newest version, or all of
    them made one by *merge*.

    `processor` receives `list[Entry[K, V]]`, or with `processing_batch_size="table"`
    one `dict[K, Entry[K, V]]`. The options, all by keyword, are those of `Settings`,
    documented in the reference.

    Raises `InvalidOption` or `UnknownOption` for options that are no good.
    """

    _kind: ClassVar[str] = "Map"

    def _assemble(self, made: Settings) -> None:
        tables, admission, self._routes = map_parts(made, self)
        ThreadFace.__init__(self, made, tables, admission)

    if not TYPE_CHECKING:  # checkers know what there is
        put_nowait, put_newer_nowait, delete_nowait = Absent(_MAP), Absent(_MAP), Absent(_MAP)
        put_all_nowait, put_all_newer_nowait = Absent(_MAP), Absent(_MAP)
        push, push_all = Absent(ENTRIES), Absent(ENTRIES)
