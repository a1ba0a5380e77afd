"""
How items get into a Queue: many at once. Single ones are the writers' (see `tables.writers`).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from ..options.settings import Settings
from ..tables.entry import Key
from ..tables.implementation import AsyncQueueWriter, QueueTable, QueueWriter
from ..tables.step import MADE
from .admission import Admission
from .iterables import listed
from .lookups import index_of
from .routing import deal_slots, make_route
from .together import write

T = TypeVar("T")


class QueuePiece:
    """Items for one table."""

    atomic = True

    def __init__(self, table: QueueTable, items: list[Any], weights: list[int] | None) -> None:
        self.table, self.items, self.weights = table, items, weights
        self.size, self.done = len(items), 0

    def write(self, end: int, first: bool) -> int:
        start, weights = self.done, self.weights
        if end - start == 1:  # which may drop it, or another
            outcome = self.table.push(self.items[start], weights[start] if weights else 0, first)
        else:
            loads = weights[start:end] if weights else None
            outcome = self.table.push_all(self.items[start:end], loads, first)
        if outcome == MADE:
            self.done = end
        return outcome

    def needs(self, end: int) -> tuple[int, int]:
        return end - self.done, sum(self.weights[self.done : end]) if self.weights else 0


class QueueRoutes(Generic[T]):
    """Which table each item of many is for."""

    def __init__(self, tables: Sequence[QueueTable], partition_key: object, weigh: Any) -> None:
        self._tables, self._weigh, self._place = tables, weigh, 0
        self._slots = deal_slots(tables)
        self._route = None if partition_key is None else make_route(self._slots, partition_key)

    def table_for(self, item: T, partition_key: object) -> QueueTable:
        """Return the table of a single item."""
        route = self._router(partition_key)
        return self.next() if route is None else route(item)

    def _router(self, partition_key: object) -> Callable[[T], QueueTable] | None:
        """Return what finds the tables; None where they are taken in turn."""
        return self._route if partition_key is None else make_route(self._slots, partition_key)

    def next(self) -> QueueTable:
        """Return whose turn it is."""
        place = self._place
        self._place = (place + 1) % len(self._tables)
        return self._tables[place]

    def index_of(self, item: T, partition_key: object) -> int | None:
        """Return the number of the partition *item* goes to; None where that is in turn."""
        if partition_key is None and self._route is None:
            return None
        return index_of(self._tables, self.table_for(item, partition_key))

    def straight(self, partition_key: object) -> QueueTable | None:
        """Return the one table that many go to as they are; None if that is not so simple."""
        simple = partition_key is None and self._route is None and self._weigh is None
        return self.next() if simple else None

    def pieces(self, items: Iterable[T], partition_key: object) -> list[QueuePiece]:
        """Return *items* by table."""
        batch, weigh = [*listed(items)], self._weigh
        weights = None if weigh is None else [weigh(item) for item in batch]
        route = self._router(partition_key)
        if route is None:
            return [QueuePiece(self.next(), batch, weights)]
        groups: dict[QueueTable, list[int]] = {}
        for place, item in enumerate(batch):
            groups.setdefault(route(item), []).append(place)
        return [
            QueuePiece(table, [batch[p] for p in at], weights and [weights[p] for p in at])
            for table, at in groups.items()
        ] or [QueuePiece(self._tables[0], [], None)]


def equip(
    writer: QueueWriter[T] | AsyncQueueWriter[T],
    tables: Sequence[QueueTable],
    admission: Admission,
    made: Settings,
) -> QueueRoutes[T]:
    """Make *writer* ready to write single items; return what finds the tables of many."""
    routes: QueueRoutes[T] = QueueRoutes(tables, made.partition_key, admission.weigh)
    in_turn = made.partition_key is None
    writer._equip(tuple(tables), in_turn, routes.table_for, admission.weigh, admission.late)
    return routes


def push_all(writes: Any, items: Iterable[T], partition_key: object) -> None:
    """Write *items*, which a Queue's or an AsyncQueue's *writes* were given."""
    batch = items if type(items) is list else listed(items)
    routes: QueueRoutes[T] = writes._routes
    table = routes.straight(partition_key)
    if table is None or table.push_all(batch) != MADE:
        writes._go(write(writes._admission, routes.pieces(batch, partition_key)))


class QueueWrites(QueueWriter[T], Generic[T]):
    """How items get into a Queue."""

    _admission: Admission  # the buffer's
    _go: Any
    _routes: QueueRoutes[T]

    def push_all(self, items: Iterable[T], *, partition_key: Key[T] = None) -> None:
        """
        Accept all of *items*, which stay in order.

        Without a partition key they go to one partition, together. A callable is asked for
        each item; any other key is one for all.

        In a bounded buffer that is full, they wait for room, or are refused, all together, if
        together they can fit at all; if not, they go in by parts. Where items are dropped
        instead, it is item by item.

        Raises `TypeError` for one text, bytes, mapping or frame of data (whose characters, keys or
        columns are hardly meant), and what `push` raises; nothing was accepted then, unless the
        error says how much.
        """
        push_all(self, items, partition_key)
