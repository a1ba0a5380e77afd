"""
The hot path of bounded buffers: as in `hot`, with room taken before an item is appended.

For `max_size` that is one `list.pop` more. For `max_bytes`, every item is weighed, and
room taken under a lock. Unbounded buffers pay for none of this: they have closures of
their own.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from ..tables.bounded_map import weight_of
from ..tables.entry import NEWER, Op
from ..tables.old_map import MapTable
from ..tables.old_queue import QueueTable
from .admission_by_kind import MapGate, QueueGate
from .hot import Key, Push, Put, PutNewer, Refused, check_version, documented

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


def make_bounded_push(
    first: QueueTable[T] | None,
    table_for: Callable[[T, object], QueueTable[T]],
    refused: Refused,
    gate: QueueGate,
) -> Push[T]:
    """Return `push`; *first* begins the ring, or is None where every item has a key."""
    turn, room, weigh = first, gate.room, gate.weigh
    take, enter = room.permits.pop, gate.enter

    def push(item: T, *, partition_key: Key[T] = None) -> None:
        nonlocal turn
        table: Any = turn
        if table is None or partition_key is not None:
            table = table_for(item, partition_key)
        else:
            turn = table.next
        if weigh is None:
            stored: Any = item
            weight = 0
            try:
                take()
            except IndexError:
                if not enter(table):
                    return
        elif enter(table, weight := weigh(item)):
            stored = item, weight
        else:
            return
        table.waiting.append(stored)
        if table.alert and len(table.waiting) >= table.limit and not table.attend((stored,)):
            room.give(1, weight)
            if (error := refused()) is not None:
                raise error
            push(item, partition_key=partition_key)

    return documented(push, Push)


def make_bounded_puts(
    table_for: Callable[[K, object], MapTable[K, V]],
    refused: Refused,
    gate: MapGate,
) -> tuple[Put[K, V], PutNewer[K, V]]:
    """Return `put` and `put_newer`."""
    room, weighed, store = gate.room, gate.weigh is not None, gate.store
    take, enter = room.permits.pop, gate.enter

    def write(table: Any, op: Op) -> None:
        if weighed:
            if not enter(table, op):
                return
        else:
            try:
                take()
            except IndexError:
                if not enter(table, op):
                    return
        table.log.append(op)
        while len(table.log) >= table.limit and not table.attend((op,)):
            if (error := refused()) is not None:
                room.give(1, weight_of(op))
                raise error
            table.log.append(op)

    def put(key: K, value: V, *, partition_key: Key[K] = None) -> None:
        write(table_for(key, partition_key), (key, store(value)))

    def put_newer(key: K, value: V, version: int, *, partition_key: Key[K] = None) -> None:
        op = key, store(value), check_version(version), NEWER
        table = table_for(key, partition_key)
        table.mixed = True
        write(table, op)

    return documented(put, Put), documented(put_newer, PutNewer)
