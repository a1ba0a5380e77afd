"""
The gates of both kinds: what a write takes of the room, and what it needs none for.
"""

from typing import Any

from ..tables.bounded_map import BoundedMapTable, Weighed, weight_of
from ..tables.bounded_queue import BoundedQueueTable
from ..tables.entry import Op
from ..waiting.steps import Steps
from .admission import Gate


class QueueGate(Gate[BoundedQueueTable[Any]]):
    """The gate of a Queue. Items are pairs of item and weight, where the bound is of bytes."""

    @staticmethod
    def _weighed(written: Any, weight: int) -> tuple[Any, int]:
        return written, weight

    def enter(self, table: BoundedQueueTable[Any], weight: int = 0) -> bool:
        """Take room for one item; return False when it was dropped."""
        if self._room.admit(1, weight):
            return True
        return self._pass(self._find_room(table, 1, lambda: (1, weight)), table, weight)

    def _enter(self, table: BoundedQueueTable[Any], part: list[Any]) -> Steps[bool]:
        count, weight = len(part), self._weigh(part)
        if self._room.admit(count, weight):
            return True
        return (yield from self._find_room(table, count, lambda: (count, weight)))

    def _weigh(self, stored: list[Any]) -> int:
        return sum(weight for _, weight in stored) if self._room.weighed else 0

    def _kept(self, pieces: list[tuple[BoundedQueueTable[Any], list[Any]]]) -> tuple[int, int]:
        groups = [group for _, group in pieces]
        return sum(map(len, groups)), sum(map(self._weigh, groups))


class MapGate(Gate[BoundedMapTable[Any, Any]]):
    """The gate of a Map, where overwriting what waits takes no room."""

    _weighed = Weighed

    def enter(self, table: BoundedMapTable[Any, Any], op: Op) -> bool:
        """Take room for one write; return False when it was made already, or dropped."""
        if self._room.admit(1, weight_of(op)):
            return True
        return self._pass(self._enter(table, [op]), table, op)

    def _enter(self, table: BoundedMapTable[Any, Any], part: list[Op]) -> Steps[bool]:
        count, weight = len(part), self._weigh(part)
        self._reclaim()
        if table.write_over(part, weight):
            return False
        kept = table.needs(part, weight)

        def demand() -> tuple[int, int]:
            nonlocal kept
            kept = table.needs(part, weight)
            return kept

        if not self._room.admit(*kept) and not (yield from self._find_room(table, count, demand)):
            return False
        self._room.force(count - kept[0], weight - kept[1])
        return True

    def _reclaim(self) -> None:
        """Get back what writes took that have become nothing of their own."""
        for table in self._tables:
            table.needs((), 0)

    def _weigh(self, stored: list[Op]) -> int:
        return sum(map(weight_of, stored))

    def _kept(self, pieces: list[tuple[BoundedMapTable[Any, Any], list[Op]]]) -> tuple[int, int]:
        self._reclaim()
        needs = [table.needs(group, self._weigh(group)) for table, group in pieces]
        return sum(count for count, _ in needs), sum(weight for _, weight in needs)

    def delete(self, table: Any, op: Op) -> None:
        """Write a delete, which gives room rather than takes it."""
        self._room.force(1)
        self._write([(table, [op])])
