"""
How entries get into a Map: many at once. Single ones are the writers' (see `tables.writers`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

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
        self._atomic, by_itself = settings.merge is None, settings.partition_key is None
        key_of: Key[K] = (lambda key: key) if by_itself else settings.partition_key
        super().__init__(tables, admission, key_of)
        slots = self.slots if by_itself else None
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
        self, entries: Iterable[Any], partition_key: object, *, versioned: bool = False
    ) -> Steps[None]:
        """Return the steps of `put_all` or, *versioned*, `put_all_newer`: they are checked."""
        groups = self._deal(entries, versioned) if partition_key is None else None
        if groups is None:
            groups, weigh = {}, self._weigh
            route: Any = self.route(partition_key)  # there is one
            for key, value, version in triples_of(entries, versioned=versioned):
                hash(key)  # as above
                op = key, value, version, 0 if weigh is None else weigh(value)
                groups.setdefault(route(key), []).append(op)
        groups = groups or {self.tables[0]: []}  # which says whether it takes any
        pieces = [MapPiece(table, ops, self._atomic) for table, ops in groups.items()]
        return write(self.admission, pieces)


def triples_of(entries: Iterable[Any], *, versioned: bool) -> Iterator[tuple[Any, Any, int | None]]:
    """Return what `put_all` or, *versioned*, `put_all_newer` was given, checked one by one."""
    if versioned:
        for entry in entries:
            key, value, version = _tuple_of(3, "put_all_newer", "(key, value, version)", entry)
            yield key, value, check_version(version)
    else:
        for entry in entries.items() if isinstance(entries, Mapping) else entries:
            yield *_tuple_of(2, "put_all", "(key, value)", entry), None


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
        self._go(self._routes.put_all(entries, partition_key, versioned=True))
