"""
How entries get into a Map: many at once. Single ones are the writers' (see `tables.writers`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from ..options.settings import Settings
from ..tables.entry import MISSING, Key, check_version
from ..tables.implementation import AsyncMapWriter, MapTable, MapWriter
from ..tables.step import MADE
from .admission import Admission
from .lookups import held_items, index_of
from .routing import deal_slots, make_route
from .together import write

K = TypeVar("K")
V = TypeVar("V")

Op = tuple[Any, Any, int | None, int]
"""A write: key, value, version or None, weight."""


class MapPiece:
    """Writes to one table."""

    def __init__(self, table: MapTable, ops: list[Op], *, atomic: bool) -> None:
        self.table, self.ops, self.atomic = table, ops, atomic
        self.size, self.done = len(ops), 0

    def write(self, end: int, first: bool) -> int:
        if self.atomic and end - self.done != 1:
            outcome = self.table.put_all(self.ops[self.done : end], first)
            self.done = end if outcome == MADE else self.done
            return outcome
        while self.done < end:
            if (outcome := self.table.put(*self.ops[self.done], first)) != MADE:
                return outcome
            self.done += 1
        return MADE

    def needs(self, end: int) -> tuple[int, int]:
        return self.table.needs(self.ops[self.done : end])


class MapRoutes(Generic[K, V]):
    """Which table each key is of."""

    def __init__(
        self,
        tables: Sequence[MapTable],
        partition_key: object,
        weigh: Callable[[V], int] | None,
        *,
        merging: bool,
    ) -> None:
        self._tables, self._atomic = tables, not merging
        self._weigh: Callable[[V], int] = weigh or (lambda _: 0)
        self.slots = deal_slots(tables)
        self._route = make_route(self.slots, _itself if partition_key is None else partition_key)

    def table_for(self, key: K, partition_key: object) -> MapTable:
        """Return the table of a single *key*."""
        hash(key)  # whatever decides the partition, a key has to be hashable
        route = self._route if partition_key is None else make_route(self.slots, partition_key)
        return route(key)

    def index_of(self, key: K, partition_key: object) -> int:
        """Return the number of the partition that *key* belongs to."""
        return index_of(self._tables, self.table_for(key, partition_key))

    def finds(self, key: K) -> bool:
        """Return whether *key* is held."""
        return self.table_for(key, None).get(key, MISSING) is not MISSING

    def held(self) -> list[tuple[K, V]]:
        """Return the keys that are held, oldest first, each with what `get` returns."""
        return held_items(self._tables)

    def plain(self, entries: Mapping[K, V] | Iterable[tuple[K, V]]) -> list[Op]:
        """Return the writes of `put_all`."""
        pairs = entries.items() if isinstance(entries, Mapping) else entries
        checked = (_tuple_of(2, "put_all", "(key, value)", pair) for pair in pairs)
        return [(key, value, None, self._weigh(value)) for key, value in checked]

    def newer(self, entries: Iterable[tuple[K, V, int]]) -> list[Op]:
        """Return the writes of `put_all_newer`."""
        triples = (_tuple_of(3, "put_all_newer", "(key, value, version)", t) for t in entries)
        return [(k, value, check_version(v), self._weigh(value)) for k, value, v in triples]

    def pieces(self, ops: list[Op], partition_key: object) -> list[MapPiece]:
        """Return *ops* by table."""
        route = self._route if partition_key is None else make_route(self.slots, partition_key)
        groups: dict[MapTable, list[Op]] = {} if ops else {self._tables[0]: []}
        for op in ops:
            hash(op[0])  # as above
            groups.setdefault(route(op[0]), []).append(op)
        return [MapPiece(table, group, atomic=self._atomic) for table, group in groups.items()]


def _itself(key: Any) -> Any:
    return key


def _tuple_of(size: int, method: str, shape: str, entry: Any) -> Any:
    try:
        made = tuple(entry)
    except TypeError:
        made = ()
    if len(made) != size:
        raise TypeError(f"{method}() got the entry {entry!r}: expected {shape}")
    return made


def equip(
    writer: MapWriter[K, V] | AsyncMapWriter[K, V],
    tables: Sequence[MapTable],
    admission: Admission,
    made: Settings,
) -> MapRoutes[K, V]:
    """Make *writer* ready to write single entries; return what finds the tables of many."""
    key, weigh, merging = made.partition_key, admission.weigh, made.merge is not None
    routes: MapRoutes[K, V] = MapRoutes(tables, key, weigh, merging=merging)
    slots = routes.slots if key is None else None
    writer._equip(tuple(tables), slots, routes.table_for, weigh, admission.late)
    return routes


class MapWrites(MapWriter[K, V], Generic[K, V]):
    """How entries get into a Map, and how they are read."""

    _admission: Admission  # the buffer's
    _go: Any
    _routes: MapRoutes[K, V]

    def put_all(
        self, entries: Mapping[K, V] | Iterable[tuple[K, V]], *, partition_key: Key[K] = None
    ) -> None:
        """
        Accept every pair of *entries*, as `put` does, in order; if full, as `push_all` does.

        Raises what `put` raises, and `TypeError` for what is no pair; nothing was accepted
        then, unless the error says how much.
        """
        ops = self._routes.plain(entries)
        self._go(write(self._admission, self._routes.pieces(ops, partition_key)))

    def put_all_newer(
        self, entries: Iterable[tuple[K, V, int]], *, partition_key: Key[K] = None
    ) -> None:
        """
        Accept every triple of *entries*, as `put_newer` does, in order; if full, as `push_all`.

        Raises what `put_newer` raises, and `TypeError` for what is no triple; nothing was
        accepted then, unless the error says how much.
        """
        ops = self._routes.newer(entries)
        self._go(write(self._admission, self._routes.pieces(ops, partition_key)))
