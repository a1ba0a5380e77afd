"""
What a Queue and a Map are made of, whoever drives them: tables and a gate.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ._bounded_map import BoundedMapTable
from ._bounded_queue import BoundedQueueTable
from ._gate import Face, weigher
from ._gates import MapGate, QueueGate
from ._map_table import MapTable
from ._options import Settings
from ._queue_table import QueueTable
from ._room import Room


class QueueParts(NamedTuple):
    """Of a Queue."""

    tables: Sequence[QueueTable[Any]]
    gate: QueueGate | None = None
    room: Room | None = None


class MapParts(NamedTuple):
    """Of a Map."""

    tables: Sequence[MapTable[Any, Any]]
    gate: MapGate | None = None
    room: Room | None = None


def queue_parts(made: Settings, face: Face) -> QueueParts:
    """Make what a Queue takes."""
    count = made.partitions or 1
    if not made.bounded:
        return QueueParts([QueueTable() for _ in range(count)])
    room = _room(made, face)
    tables: list[BoundedQueueTable[Any]] = [BoundedQueueTable(room) for _ in range(count)]
    gate = QueueGate(made, room, tables, face)
    return QueueParts(tables, gate, room)


def map_parts(made: Settings, face: Face) -> MapParts:
    """Make what a Map takes."""
    count, keep, merge = made.partitions or 1, made.remember_versions, made.merge
    if not made.bounded:
        return MapParts([MapTable(keep, merge) for _ in range(count)])
    room, weigh = _room(made, face), weigher(made)
    tables: list[BoundedMapTable[Any, Any]] = [
        BoundedMapTable(room, keep, merge, weigh) for _ in range(count)
    ]
    gate = MapGate(made, room, tables, face)
    return MapParts(tables, gate, room)


def _room(made: Settings, face: Face) -> Room:
    return Room(made.clock, face._signal, made.max_size, made.max_bytes)
