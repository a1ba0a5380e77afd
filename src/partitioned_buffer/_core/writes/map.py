"""
How entries get into a Map: many at once. Single ones are the writers' (see `tables.writers`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

from ..tables.entry import MISSING, Key, Op, check_version
from ..tables.implementation import MapTable, MapWriter
from ..waiting.steps import Steps
from .admission import Admission
from .routing import Routes
from .together import Piece, write

K = TypeVar("K")
V = TypeVar("V")


class MapPiece(Piece):
    """Writes to one table."""

    table: MapTable

    def one(self, op: Op, first: bool) -> int:
        return self.table.put(*op, first)

    def many(self, ops: Sequence[Any], first: bool) -> int:
        return self.table.put_all(ops, first)

    def needs(self, end: int) -> tuple[int, int]:
        return self.table.needs(self.ops[self.done : end])


class MapRoutes(Routes[K, MapTable], Generic[K, V]):
    """Which table each key is of."""

    def __init__(self, writer: Any, tables: Sequence[MapTable], admission: Admission) -> None:
        """Make *writer* ready to write single entries, too."""
        settings, weigh = admission.settings, admission.weigh
        self._weigh: Callable[[V], int] | None = weigh
        self._atomic, self._by_itself = settings.merge is None, settings.partition_key is None
        key_of: Key[K] = (lambda key: key) if self._by_itself else settings.partition_key
        super().__init__(tables, admission, key_of)
        slots = self.slots if self._by_itself else None
        writer._equip(tuple(tables), slots, self.table_for, weigh, admission.late)
        self._deal = writer._deal

    def table_for(self, subject: K, partition_key: object) -> MapTable:
        hash(subject)  # whatever decides the partition, a key has to be hashable
        return super().table_for(subject, partition_key)

    def has(self, key: K) -> bool:
        """Return whether `get` finds *key*."""
        return self.table_for(key, None).has(key)

    def held(self) -> list[tuple[K, V]]:
        """Return the keys that are held, oldest first, each with what `get` returns."""
        pairs: list[tuple[K, V]] = []
        for table in self.tables:
            # A key may wait, be in flight, or both; and what is in flight may be deleted.
            keys = dict.fromkeys(entry.key for entry in table.held())
            values = ((key, table.get(key, MISSING)) for key in keys)
            pairs += [(key, value) for key, value in values if value is not MISSING]
        return pairs

    def delete(self, key: K, partition_key: object) -> Steps[None]:
        """Remove *key*; return the steps of what is still to be done."""
        table = self.table_for(key, partition_key)
        return self.admission.steps(table, table.delete(key), "delete", (key,))

    def put_all(
        self, entries: Mapping[K, V] | Iterable[tuple[K, V]], partition_key: object
    ) -> Steps[None]:
        """Return the steps of `put_all`, which are checked already."""
        if partition_key is None and (dealt := self._deal(entries, False)) is not None:
            return self._write(dealt)
        pairs, weigh = pairs_of(entries), self._weigh
        ops: list[Op] = (
            [(key, value, None, 0) for key, value in pairs]
            if weigh is None
            else [(key, value, None, weigh(value)) for key, value in pairs]
        )
        return self._write(self._grouped(ops, partition_key))

    def put_all_newer(
        self, entries: Iterable[tuple[K, V, int]], partition_key: object
    ) -> Steps[None]:
        """Return the steps of `put_all_newer`, which are checked already."""
        if partition_key is None and (dealt := self._deal(entries, True)) is not None:
            return self._write(dealt)
        triples, weigh = triples_of(entries), self._weigh
        ops: list[Op] = (
            [(*triple, 0) for triple in triples]
            if weigh is None
            else [(*triple, weigh(triple[1])) for triple in triples]
        )
        return self._write(self._grouped(ops, partition_key))

    def _grouped(self, ops: list[Op], partition_key: object) -> dict[MapTable, list[Op]]:
        groups: dict[MapTable, list[Op]] = {}
        if partition_key is None and self._by_itself:  # without two calls for each
            slots, count = self.slots, len(self.slots)
            for op in ops:
                groups.setdefault(slots[hash(op[0]) % count], []).append(op)
        else:
            route: Any = self.route(partition_key)  # there is one
            for op in ops:
                hash(op[0])  # as above
                groups.setdefault(route(op[0]), []).append(op)
        return groups

    def _write(self, groups: dict[MapTable, list[Op]]) -> Steps[None]:
        groups = groups or {self.tables[0]: []}  # which says whether it takes any
        pieces = [MapPiece(table, ops, self._atomic) for table, ops in groups.items()]
        return write(self.admission, pieces)


def pairs_of(entries: Mapping[K, V] | Iterable[tuple[K, V]]) -> Iterator[tuple[K, V]]:
    """Return what `put_all` was given, checked pair by pair."""
    pairs = entries.items() if isinstance(entries, Mapping) else entries
    return (
        pair
        if type(pair) is tuple and len(pair) == 2
        else _tuple_of(2, "put_all", "(key, value)", pair)
        for pair in cast("Iterable[Any]", pairs)
    )


def triples_of(entries: Iterable[tuple[K, V, int]]) -> Iterator[tuple[K, V, int]]:
    """Return what `put_all_newer` was given, checked triple by triple."""
    triples = (
        each
        if type(each) is tuple and len(each) == 3
        else _tuple_of(3, "put_all_newer", "(key, value, version)", each)
        for each in entries
    )
    return (
        (key, value, version if type(version) is int else check_version(version))
        for key, value, version in triples
    )


def _tuple_of(size: int, method: str, shape: str, entry: Any) -> Any:
    """Return *entry* as a tuple of that *size*; raise `TypeError` if it is none."""
    try:
        made = tuple(entry)
    except TypeError:
        made = ()
    if len(made) != size:
        raise TypeError(f"{method}() got the entry {entry!r}: expected {shape}")
    return made


class MapWrites(MapWriter[K, V], Generic[K, V]):
    """How entries get into a Map, and how they are read."""

    _go: Any  # the buffer's
    _routes: MapRoutes[K, V]

    def put_all(
        self, entries: Mapping[K, V] | Iterable[tuple[K, V]], *, partition_key: Key[K] = None
    ) -> None:
        """
        Accept every pair of *entries*, as `put` does, in order; if full, as `push_all` does.

        Raises what `put` raises, and `TypeError` for what is no pair; nothing was accepted
        then, unless the error says how much.
        """
        self._go(self._routes.put_all(entries, partition_key))

    def put_all_newer(
        self, entries: Iterable[tuple[K, V, int]], *, partition_key: Key[K] = None
    ) -> None:
        """
        Accept every triple of *entries*, as `put_newer` does, in order; if full, as `push_all`.

        Raises what `put_newer` raises, and `TypeError` for what is no triple; nothing was
        accepted then, unless the error says how much.
        """
        self._go(self._routes.put_all_newer(entries, partition_key))
