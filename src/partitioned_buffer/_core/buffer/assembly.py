"""
What a Queue and a Map are made of, whoever drives them: tables and a gate.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..options.settings import Settings
from ..tables.bounded_map import BoundedMapTable
from ..tables.bounded_queue import BoundedQueueTable
from ..tables.capacity import Room
from ..tables.old_map import MapTable
from ..tables.old_queue import QueueTable
from ..writes.admission import Face, weigher
from ..writes.admission_by_kind import MapGate, QueueGate


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
