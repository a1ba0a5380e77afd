"""
The writes of single items: what Queues and Maps inherit, and what a write costs.

Each finds its table, makes its step, and leaves all that is out of the ordinary to `late`.
"""

from collections.abc import Callable, Iterable, Sequence
from types import FunctionType
from typing import Any, Generic, TypeVar, cast, overload

from .entry import Key, Op, check_version
from .map import MapTable
from .queue import QueueTable
from .step import MADE

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
F = TypeVar("F", bound=Callable[..., Any])

Late = tuple[Any, int, str, tuple[Any, ...]]
"""A write that was not made: its table, the outcome, the table's method, and its arguments."""


def _as(function: Any) -> Callable[[F], F]:
    """Be *function*, by another name, by which tracebacks call it, too."""

    def named(own: F) -> F:
        code = function.__code__.replace(co_name=own.__name__, co_qualname=own.__name__)
        copy: Any = FunctionType(code, function.__globals__, own.__name__, function.__defaults__)
        copy.__kwdefaults__, copy.__doc__ = function.__kwdefaults__, function.__doc__
        return cast("F", copy)

    return named


class _QueueWriter(Generic[T]):
    """What a Queue and an AsyncQueue have in common."""

    def _equip(
        self,
        tables: Any,
        in_turn: bool,
        table_for: Any,
        weigh: Any,
        late: Any,
        many: Any = None,
        /,
    ) -> None:
        """Be ready to write."""
        for table, following in zip(tables, [*tables[1:], tables[0]], strict=True):
            table.next = following
        self._turn: QueueTable | None = tables[0] if in_turn else None
        self._table_for: Callable[[T, object], QueueTable] = table_for
        self._weigh: Callable[[T], int] | None = weigh
        self._late: Callable[..., None] = late
        self._many: Callable[[Any, object], None] = many

    def _try_push(self, item: T, partition_key: object, /) -> Late | None:
        """Do as `push`, but return what could not be made."""
        table = self._turn
        if table is None or partition_key is not None:
            table = self._table_for(item, partition_key)
        else:
            self._turn = table.next
        args = item, 0 if self._weigh is None else self._weigh(item)
        return (table, outcome, "push", args) if (outcome := table.push(*args)) else None

    def _push_list(self, items: Iterable[T], /) -> bool:
        """Return whether *items* are a list, without keys and weights, and could be written."""
        table = self._turn
        if table is None or self._weigh is not None or type(items) is not list:
            return False
        self._turn = table.next
        return table.push_all(items) == MADE


class QueueWriter(_QueueWriter[T]):
    """How single items get into a Queue."""

    def push(self, item: T, *, partition_key: Key[T] = None) -> None:
        """
        Accept one item (a list is one item), to be delivered in the background.

        Any thread, coroutine, finalizer or signal handler may call it. It waits only in a
        bounded buffer that is full and set to block.
        *partition_key* overrides the buffer's own for this item: a callable of the item, or
        any other value.

        Raises `BufferNotRunning` when the buffer is not started, or stopped, and `BufferFull`
        as `when_full` says; the item was not accepted then. What the callable raises is raised.
        """
        table = self._turn
        if table is None or partition_key is not None:
            table = self._table_for(item, partition_key)
        else:
            self._turn = table.next
        weight = 0 if self._weigh is None else self._weigh(item)
        if outcome := table.push(item, weight):
            self._late(table, outcome, "push", (item, weight))

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
        if partition_key is not None or not self._push_list(items):
            self._many(items, partition_key)


class _MapWriter(Generic[K, V]):
    """What a Map and an AsyncMap have in common."""

    def _equip(self, _: object, slots: Any, table_for: Any, weigh: Any, late: Any, /) -> None:
        """Be ready to write."""
        self._slots: Sequence[MapTable] | None = slots
        self._modulus = len(slots or ())
        self._table_for: Callable[[K, object], MapTable] = table_for
        self._weigh: Callable[[V], int] | None = weigh
        self._late: Callable[..., None] = late

    def _try_put(
        self, key: K, value: V, version: int | None, partition_key: object, /
    ) -> Late | None:
        """Do as `put` or `put_newer`, but return what could not be made."""
        table, weight = self._table(key, partition_key), self._weigh(value) if self._weigh else 0
        args = key, value, version, weight
        return (table, outcome, "put", args) if (outcome := table.put(*args)) else None

    def _deal(self, entries: Any, versioned: bool, /) -> dict[MapTable, list[Op]] | None:  # noqa: ARG002
        """Return many entries by their tables; None where that is left to others: here."""
        return None

    @overload
    def get(self, key: K, default: None = None, *, partition_key: Key[K] = None) -> V | None: ...
    @overload
    def get(self, key: K, default: D, *, partition_key: Key[K] = None) -> V | D: ...
    def get(self, key: K, default: Any = None, *, partition_key: Key[K] = None) -> Any:
        """
        Return the value held for *key* until it is delivered, else *default*.

        Your own writes are seen at once. Raises `TypeError` for an unhashable key, and what the
        key raises.
        """
        if self._slots is None or partition_key is not None:
            return self._table_for(key, partition_key).get(key, default)
        return self._slots[hash(key) % self._modulus].get(key, default)

    def _table(self, key: K, partition_key: object) -> MapTable:
        if self._slots is None or partition_key is not None:
            return self._table_for(key, partition_key)
        return self._slots[hash(key) % self._modulus]


class MapWriter(_MapWriter[K, V]):
    """How single entries get into a Map, and are read."""

    def put(self, key: K, value: V, *, partition_key: Key[K] = None) -> None:
        """
        Accept *value* for *key*, in place of whatever waits for that key: the last write wins,
        or with `merge`, the two are made one.

        The entry's version and updates are 0. *partition_key* overrides the buffer's own: a
        callable of the key, or any other value. An entry belongs to its partition: the same
        key put under two partition keys can be two entries, each delivered, each read and
        deleted under its own.

        Raises `TypeError` for an unhashable key, `BufferNotRunning` when the buffer is not
        started, or stopped, and `BufferFull` as `when_full` says; nothing was accepted then. What
        the key, `merge` or `size_of` raises is raised, and nothing was accepted either.
        """
        if self._slots is None or partition_key is not None:
            table = self._table_for(key, partition_key)
        else:
            table = self._slots[hash(key) % self._modulus]
        weight = 0 if self._weigh is None else self._weigh(value)
        if outcome := table.put(key, value, None, weight):
            self._late(table, outcome, "put", (key, value, None, weight))

    def put_newer(self, key: K, value: V, version: int, *, partition_key: Key[K] = None) -> None:
        """
        Accept *value* for *key* if *version* is greater than the one it has.

        Compared is the version waiting, else the one in flight, else the one delivered last
        (see `remember_versions`); a plain `put` has version 0. A version that is not greater
        is coalesced: accepted, counted, and never delivered.

        Raises `TypeError` for a version that is no int, and what `put` raises.
        """
        if type(version) is not int:
            version = check_version(version)
        if self._slots is None or partition_key is not None:
            table = self._table_for(key, partition_key)
        else:
            table = self._slots[hash(key) % self._modulus]
        weight = 0 if self._weigh is None else self._weigh(value)
        if outcome := table.put(key, value, version, weight):
            self._late(table, outcome, "put", (key, value, version, weight))

    def delete(self, key: K, *, partition_key: Key[K] = None) -> None:
        """
        Remove *key*: what waits for it, and what is in flight but not with the processor yet.

        What the processor has just been given cannot be recalled, but `get` no longer shows
        it, and it is not tried again should it fail. The version is forgotten: any
        `put_newer` is newer after a delete.

        Raises what `put` raises.
        """
        table = self._table(key, partition_key)
        if outcome := table.delete(key):
            self._late(table, outcome, "delete", (key,))


class AsyncQueueWriter(_QueueWriter[T]):
    """How single items get into an AsyncQueue."""

    @_as(QueueWriter.push)
    def push_nowait(self, item: T, *, partition_key: Key[T] = None) -> None: ...

    @_as(QueueWriter.push_all)
    def push_all_nowait(self, items: Iterable[T], *, partition_key: Key[T] = None) -> None: ...


class AsyncMapWriter(_MapWriter[K, V]):
    """How single entries get into an AsyncMap, and are read."""

    @_as(MapWriter.put)
    def put_nowait(self, key: K, value: V, *, partition_key: Key[K] = None) -> None: ...

    @_as(MapWriter.put_newer)
    def put_newer_nowait(
        self, key: K, value: V, version: int, *, partition_key: Key[K] = None
    ) -> None: ...

    @_as(MapWriter.delete)
    def delete_nowait(self, key: K, *, partition_key: Key[K] = None) -> None: ...


for _kind in (_MapWriter, QueueWriter, MapWriter, AsyncQueueWriter, AsyncMapWriter):
    for _method in filter(callable, vars(_kind).values()):
        _method.__module__ = __name__.partition(".")[0]
