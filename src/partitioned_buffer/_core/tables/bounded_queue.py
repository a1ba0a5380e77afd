"""
A Queue's table that is part of a bound: it gives back room, and lets go of its oldest items.

Where the bound is one of bytes, an item is stored with its weight, as a pair. Unlike
in an unbounded table, taking and acknowledging hold the lock, because writers may be
dropping what is next in line. The lock is the room's: with one for all tables, no two
threads can each have what the other wants, whatever a finalizer does in the middle.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from .capacity import Room
from .old_queue import QueueTable
from .old_table import Drop, busily

T = TypeVar("T")


class BoundedQueueTable(QueueTable[T]):
    """Items in the order they were pushed, and room for them."""

    __slots__ = ("_aside", "_room")

    def __init__(self, room: Room) -> None:
        self._room = room
        super().__init__()

    def reset(self) -> None:
        super().reset()
        self._lock = self._room.lock
        # Taken from `waiting` to drop from, last one first; still behind what is in flight.
        self._aside: list[Any] = []

    def _items(self, stored: list[Any]) -> list[T]:
        return [item for item, _ in stored] if self._room.weighed else stored

    def _weigh(self, stored: list[Any]) -> int:
        return sum(weight for _, weight in stored) if self._room.weighed else 0

    def attend(self, written: Sequence[T]) -> bool:
        self._ease(lambda: self._room.blocked)
        return not self.alert or len(self.waiting) < self.limit or super().attend(written)

    @busily
    def swap(self, now: float, *, seal: bool = False) -> int:
        if self._aside:
            if not self._in_flight:
                self._in_flight_since = self._since
            self._in_flight = self._aside + self._in_flight
            self._aside = []
        return super().swap(now, seal=seal)

    @busily
    def take(self, size: int | None) -> list[T] | None:
        batch = super().take(size)
        return None if batch is None else self._items(batch)

    @busily
    def acknowledge(self) -> None:
        size, weight = self._batch, self._weigh(self._in_flight[-self._batch :])
        super().acknowledge()
        self._batch = 0
        self._room.give(size, weight)

    @busily
    def bury(self) -> None:
        size, weight = self._batch, self._weigh(self._in_flight[-self._batch :])
        super().bury()
        self._batch = 0
        self._room.give(size, weight)

    @busily
    def keep(self, failed: Iterable[T] | None) -> int:
        size, weight = self._batch, self._weigh(self._in_flight[-self._batch :])
        left = super().keep(failed)
        weight -= self._weigh(self._in_flight[-left:]) if left else 0
        self._room.give(size - left, weight)
        return left

    @busily
    def release(self) -> None:
        super().release()
        self._batch = 0

    def drop_newest(self, count: int) -> None:
        """Count *count* items that are being written as accepted and dropped."""
        with self._lock:
            self._taken += count
            self._drop(Drop(count, "full"))

    def drop_oldest(self) -> bool:
        """Drop the oldest item that is not the processor's; return whether there was one."""
        with self._lock:
            return not self._busy and self._drop_oldest()

    @busily
    def _drop_oldest(self) -> bool:
        in_hand = self._batch if self._in_line is None else len(self._in_flight) - self._in_line
        line = len(self._in_flight) - in_hand
        if line:
            dropped = self._in_flight.pop(line - 1)
            left, delivered, buried = self._progress
            self._progress = left - 1, delivered, buried
            if self._in_line is not None:
                self._in_line -= 1
        elif self._aside or self._put_aside():
            dropped = self._aside.pop()
        else:
            return False
        self._drop(Drop(1, "full"))
        self._room.give(1, self._weigh([dropped]))
        return True

    def _put_aside(self) -> bool:
        # As in a swap: dropping from the front of `waiting` would move all the others each time.
        if self._sealed:
            return False
        items = self.waiting[:]
        taken = len(items)
        items.reverse()
        # No call between these lines, so that no exception from outside can part them.
        del self.waiting[:taken]
        self._taken += taken
        self._aside = items
        return bool(items)

    def held(self) -> list[T]:
        with self._lock:
            stored = [*self._in_flight[::-1], *self._aside[::-1]]
            return self._items(stored + ([] if self._sealed else self.waiting[:]))

    def counts(self, now: float) -> dict[str, Any]:
        with self._lock:
            counts = super().counts(now)
            aside = len(self._aside)
            ages = self._ages(now, counts["waiting"] + aside, counts["in_flight"])
            return counts | ages
