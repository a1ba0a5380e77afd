"""
From a partition key to a partition: to a hash, to a slot, whose partition is known.

The hash is Python's own: fast, but different in each process for text. It
serves tables in memory; it must not be used for tables that outlive a process.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Generic, TypeVar

from ...abc.dealing import deal_slots as deal_slots  # noqa: PLC0414  # also from here
from ...abc.dealing import slot_numbers as slot_numbers  # noqa: PLC0414
from .admission import Admission

S = TypeVar("S")
P = TypeVar("P")


def make_route(slots: Sequence[P], partition_key: object) -> Callable[[Any], P]:
    """
    Return what finds the partition of an item, or of a Map's key.

    A callable *partition_key* is asked each time; any other value is hashed once.
    """
    modulus = len(slots)
    if not callable(partition_key):
        only = slots[by_content(partition_key) % modulus]
        return lambda _: only
    key_of = partition_key

    def route(subject: Any) -> P:
        key = key_of(subject)
        try:
            return slots[hash(key) % modulus]
        except TypeError:  # an unhashable key is as good as any other
            return slots[by_content(key) % modulus]

    return route


class Routes(Generic[S, P]):
    """Which of a buffer's tables its items, or keys, are written to."""

    def __init__(self, tables: Sequence[P], admission: Admission, partition_key: object) -> None:
        self.tables, self.admission, self.slots = tables, admission, deal_slots(tables)
        self._place = 0
        self._route = None if partition_key is None else make_route(self.slots, partition_key)

    def route(self, partition_key: object) -> Callable[[S], P] | None:
        """Return what finds the table of an item; None where they are taken in turn."""
        return self._route if partition_key is None else make_route(self.slots, partition_key)

    def partition_of(self, subject: S, partition_key: object) -> int | None:
        """Return the number of the table of *subject*; None where they are taken in turn."""
        if self.route(partition_key) is None:
            return None
        return self.tables.index(self.table_for(subject, partition_key))

    def next(self) -> P:
        """Return whose turn it is."""
        place = self._place
        self._place = (place + 1) % len(self.tables)
        return self.tables[place]

    def table_for(self, subject: S, partition_key: object) -> P:
        """Return the table of a single item, or key."""
        route = self.route(partition_key)
        return self.next() if route is None else route(subject)


def by_content(item: Any) -> int:
    """
    Route an item by what it contains: equal content, same partition.

    A `partition_key` for Queues. Whatever is hashable counts by its hash; dicts,
    lists, sets, bytearrays and objects with attributes (dataclasses) by what is
    in them. This is how Elixir's `partitioned_buffer` routes by default.

    Raises `TypeError` for an unhashable object of another kind.
    """
    try:
        return hash(item)
    except TypeError:
        pass
    match item:
        case Mapping():
            return hash(frozenset((key, by_content(value)) for key, value in item.items()))
        case AbstractSet():
            return hash(frozenset(item))
        case bytearray():
            return hash(bytes(item))
        case Sequence():
            return hash(tuple(map(by_content, item)))
        case _ if (state := item.__getstate__()) is not None:
            return by_content(state)
        case _:
            raise TypeError(
                f"cannot route {type(item).__name__} by content: expected something hashable, a "
                "mapping, a sequence, a set or an object with attributes; give a partition_key "
                "function that returns one"
            )
