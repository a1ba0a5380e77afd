"""
Writing and reading: the public methods of both kinds, apart from their lives.

One write at a time is the hot path, in `hot`. Here are the writes of many, which
are checked as a whole before any of them is made.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, overload

from ..tables.entry import DELETED, MISSING, NEWER, Op
from ..tables.map import MapTable
from ..tables.queue import QueueTable
from .admission import Gate
from .admission_by_kind import MapGate, QueueGate
from .hot import Key, Push, Put, PutNewer, check_version, make_push, make_put, make_put_newer
from .hot_bounded import make_bounded_push, make_bounded_puts
from .iterables import listed
from .lookups import held_items, index_of
from .routing import deal_slots, make_route

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class _Writable(Protocol):
    def write(self, batch: list[Any], /) -> bool: ...


W = TypeVar("W", bound=_Writable)


class _Writes(Generic[W]):
    """Routing, and writes to several tables at once."""

    _refused: Callable[..., Exception | None]  # the Buffer's
    _partitions: list[Any]

    def __init__(
        self, tables: Sequence[W], partition_key: object, gate: Gate[Any] | None = None
    ) -> None:
        self._gate = gate
        self._slots = deal_slots(tables)
        self._route = make_route(self._slots, partition_key)

    def _router(self, partition_key: object) -> Callable[[Any], W]:
        return self._route if partition_key is None else make_route(self._slots, partition_key)

    def _table_for(self, subject: Any, partition_key: object) -> W:
        return self._router(partition_key)(subject)

    def _write(self, groups: dict[W, list[Any]]) -> None:
        if self._gate is not None:
            self._gate.run(self._gate.write(groups))
            return
        accepted = 0
        for table, group in groups.items() or [(self._slots[0], [])]:
            while not table.write(group):
                error = self._refused(accepted, sum(map(len, groups.values())))
                if error is not None:
                    raise error
            accepted += len(group)


class QueueWrites(_Writes[QueueTable[T]], Generic[T]):
    """How items get into a Queue."""

    __slots__ = {"push": Push.__call__.__doc__}
    push: Push[T]

    def __init__(
        self,
        tables: Sequence[QueueTable[T]],
        partition_key: object,
        gate: QueueGate | None = None,
    ) -> None:
        super().__init__(tables, partition_key, gate)
        for table, following in zip(tables, [*tables[1:], tables[0]], strict=True):
            table.next = following
        self._turn = tables[0] if partition_key is None else None
        if gate is None:
            push = make_push(self._turn, self._table_for, self._refused)
        else:
            push = make_bounded_push(self._turn, self._table_for, self._refused, gate)
        fill_slot(QueueWrites, "push", self, push)

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
        table = self._turn
        if partition_key is not None or table is None or self._gate is not None:
            self._write(self._groups(items, partition_key))
            return
        # Straight to the table where that will do: it is half the cost of a small batch.
        batch = items if type(items) is list else listed(items)
        self._turn = table.next
        if not table.write(batch):
            self._write({table: batch})

    def partition_of(self, item: T, *, partition_key: Key[T] = None) -> int | None:
        """
        Return the number of the partition that *item* would go to, which is that of its events.

        None where items go in turn, for want of a partition key.
        """
        if partition_key is None and self._turn is not None:
            return None
        return index_of(self._partitions, self._table_for(item, partition_key))

    def _groups(self, items: Iterable[T], partition_key: object) -> dict[QueueTable[T], list[Any]]:
        """Return what is to be stored of *items*, by table."""
        batch = items if type(items) is list else listed(items)
        store = batch if self._gate is None else list(map(self._gate.store, batch))
        if partition_key is None and (table := self._turn) is not None:
            self._turn = table.next
            return {table: store}
        route = self._router(partition_key)
        groups: dict[QueueTable[T], list[Any]] = {}
        for item, stored in zip(batch, store, strict=True):
            groups.setdefault(route(item), []).append(stored)
        return groups


class MapWrites(_Writes[MapTable[K, V]], Generic[K, V]):
    """How entries get into a Map, and how they are read."""

    __slots__ = {"put": Put.__call__.__doc__, "put_newer": PutNewer.__call__.__doc__}
    put: Put[K, V]
    put_newer: PutNewer[K, V]

    def __init__(
        self,
        tables: Sequence[MapTable[K, V]],
        partition_key: object,
        gate: MapGate | None = None,
    ) -> None:
        super().__init__(tables, _itself if partition_key is None else partition_key, gate)
        self._by_key = by_key = self._slots if partition_key is None else None
        if gate is None:
            put = make_put(by_key, self._table_for, self._refused)
            put_newer = make_put_newer(by_key, self._table_for, self._refused)
        else:
            put, put_newer = make_bounded_puts(self._table_for, self._refused, gate)
        fill_slot(MapWrites, "put", self, put)
        fill_slot(MapWrites, "put_newer", self, put_newer)

    def _table_for(self, subject: K, partition_key: object) -> MapTable[K, V]:
        hashed = hash(subject)  # whatever decides the partition, a key has to be hashable
        if partition_key is None and self._by_key is not None:
            return self._by_key[hashed % len(self._by_key)]
        return super()._table_for(subject, partition_key)

    def put_all(
        self, entries: Mapping[K, V] | Iterable[tuple[K, V]], *, partition_key: Key[K] = None
    ) -> None:
        """
        Accept every pair of *entries*, as `put` does, in order; if full, as `push_all` does.

        Raises what `put` raises, and `TypeError` for what is no pair; nothing was accepted
        then, unless the error says how much.
        """
        self._write(self._groups(self._ops(entries), partition_key))

    def put_all_newer(
        self, entries: Iterable[tuple[K, V, int]], *, partition_key: Key[K] = None
    ) -> None:
        """
        Accept every triple of *entries*, as `put_newer` does, in order; if full, as `push_all`.

        Raises what `put_newer` raises, and `TypeError` for what is no triple; nothing was
        accepted then, unless the error says how much.
        """
        self._write(self._groups(self._newer_ops(entries), partition_key, mixed=True))

    def delete(self, key: K, *, partition_key: Key[K] = None) -> None:
        """
        Remove *key*: what waits for it, and what is in flight but not with the processor yet.

        What the processor has just been given cannot be recalled, but `get` no longer shows
        it, and it is not tried again should it fail. The version is forgotten: any
        `put_newer` is newer after a delete.

        Raises what `put` raises.
        """
        table, op = self._table_for(key, partition_key), (key, None, 0, DELETED)
        table.mixed = True
        if isinstance(self._gate, MapGate):
            self._gate.delete(table, op)
        else:
            self._write({table: [op]})

    def _stored(self, value: V) -> Any:
        return value if self._gate is None else self._gate.store(value)

    @overload
    def get(self, key: K, default: None = None, *, partition_key: Key[K] = None) -> V | None: ...
    @overload
    def get(self, key: K, default: D, *, partition_key: Key[K] = None) -> V | D: ...
    def get(self, key: K, default: Any = None, *, partition_key: Key[K] = None) -> Any:
        """
        Return the value held for *key* until it is delivered, else *default*.

        Your own writes are seen at once. Raises `TypeError` for an unhashable key.
        """
        return self._table_for(key, partition_key).get(key, default)

    def __contains__(self, key: K) -> bool:
        """Return whether `get` finds *key*."""
        return self.get(key, MISSING) is not MISSING

    def items(self) -> list[tuple[K, V]]:
        """
        Return what is held: each key with the value that `get` returns, oldest first.

        It is a list of their own, partition by partition; others may write meanwhile.
        """
        return held_items(self._partitions)

    def partition_of(self, key: K, *, partition_key: Key[K] = None) -> int:
        """
        Return the number of the partition that *key* belongs to, which is that of its events.

        Raises `TypeError` for an unhashable key.
        """
        return index_of(self._partitions, self._table_for(key, partition_key))

    def _ops(self, entries: Mapping[K, V] | Iterable[tuple[K, V]]) -> list[Op]:
        pairs = entries.items() if isinstance(entries, Mapping) else entries
        checked = (_tuple_of(2, "put_all", "(key, value)", pair) for pair in pairs)
        return [(key, self._stored(value)) for key, value in checked]

    def _newer_ops(self, entries: Iterable[tuple[K, V, int]]) -> list[Op]:
        triples = (_tuple_of(3, "put_all_newer", "(key, value, version)", t) for t in entries)
        return [(key, self._stored(value), check_version(v), NEWER) for key, value, v in triples]

    def _groups(
        self, ops: list[Op], partition_key: object, *, mixed: bool = False
    ) -> dict[MapTable[K, V], list[Op]]:
        """Return *ops* by table."""
        route = self._router(partition_key)
        groups: dict[MapTable[K, V], list[Op]] = {}
        for op in ops:
            hash(op[0])  # as in `_table_for`
            groups.setdefault(route(op[0]), []).append(op)
        if mixed:
            for table in groups:
                table.mixed = True
        return groups


def _itself(key: Any) -> Any:
    return key


def fill_slot(owner: type, slot: str, buffer: object, function: Any) -> None:
    """Give *buffer* a method that is a closure of its own."""
    function.__name__ = function.__qualname__ = slot
    # By the slot's own descriptor: a plain assignment would hide what a subclass defines.
    owner.__dict__[slot].__set__(buffer, function)


def _tuple_of(size: int, method: str, shape: str, entry: Any) -> Any:
    try:
        made = tuple(entry)
    except TypeError:
        made = ()
    if len(made) != size:
        raise TypeError(f"{method}() got the entry {entry!r}: expected {shape}")
    return made
