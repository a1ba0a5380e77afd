"""
A Map's table that is part of a bound: what it no longer holds, it gives back.

Every operation in the log has room of its own, taken by its writer. A fold gives back
what did not become an entry, so that overwriting a waiting key takes no room for good.
Where the bound is one of bytes, values are stored `Weighed`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from .capacity import Room
from .entry import DELETED, MISSING, NEWER, Entry, Op
from .old_map import MapTable
from .old_table import Drop, busily

K = TypeVar("K")
V = TypeVar("V")


class Weighed(NamedTuple):
    """A value and its bytes."""

    value: Any
    weight: int


def weight_of(op: Op) -> int:
    """Return the bytes of an operation's value."""
    return op[1].weight if isinstance(op[1], Weighed) else 0


class BoundedMapTable(MapTable[K, V]):
    """Entries by key, and room for them."""

    __slots__ = ("_gone", "_oldest", "_room")

    def __init__(
        self,
        room: Room,
        remember: int,
        merge: Callable[[V, V], V] | None,
        weigh: Callable[[Any], int] | None,
    ) -> None:
        self._room = room
        if merge is not None and weigh is not None:
            unweighed, weigher = merge, weigh

            def merge_weighed(old: Any, new: Any) -> Any:
                value = unweighed(old.value, new.value)
                return Weighed(value, weigher(value))

            merge = merge_weighed
        super().__init__(remember, merge)

    def reset(self) -> None:
        super().reset()
        self._lock = self._room.lock  # one for all tables: see `_bounded_queue`
        self._oldest: list[K] = []  # keys that waited when they were last looked at, oldest last
        self._gone: set[K] = set()  # those of them that have left since, and may have come back

    def attend(self, ops: Sequence[Op]) -> bool:
        self._ease(lambda: self._room.blocked)
        return super().attend(ops)

    # --- giving back -----------------------------------------------------------

    def _load(self) -> int:
        return len(self._entries) + len(self._in_flight)

    def _weigh(self, keys: Iterable[K]) -> int:
        """Return the bytes held for *keys*."""
        if not self._room.weighed:
            return 0
        held = (part.get(key) for key in keys for part in (self._entries, self._in_flight))
        return sum(self._weight(stored) for stored in held if stored is not None)

    def _weight(self, stored: Any) -> int:
        value = stored if self._plain else stored[1]
        return int(value.weight) if isinstance(value, Weighed) else 0

    def _fold_log(self) -> None:
        weighed = self._room.weighed
        ops = self.log[:] if weighed else []
        load, accepted = self._load(), self._accepted
        weight = self._weigh({op[0] for op in ops})
        super()._fold_log()
        done = self._accepted - accepted + self._delete_ops
        paid = sum(map(weight_of, ops[:done]))
        grown = self._weigh({op[0] for op in ops}) - weight
        self._room.give(done - (self._load() - load), paid - grown)

    def _settle(self) -> int:
        weight = self._weight_in_flight(self._handed)
        settled = super()._settle()
        self._room.give(settled, weight)
        return settled

    def _take_in(self) -> None:
        size, weight = len(self._hidden), self._weight_in_flight(self._hidden)
        super()._take_in()
        if size:
            self._room.give(size, weight)

    def _weight_in_flight(self, keys: Iterable[K]) -> int:
        if not self._room.weighed:
            return 0
        return sum(self._weight(self._in_flight[key]) for key in keys)

    def _swap(self) -> None:
        self._oldest.clear()
        super()._swap()

    def _delete(self, key: K) -> None:
        if self._oldest:
            self._gone.add(key)
        super()._delete(key)

    def _put_over(self, key: K, new: Any) -> None:
        if self._oldest:
            self._gone.add(key)
        load = len(self._in_flight)
        old = self._in_flight.get(key) if self._room.weighed else None
        weight = self._weight(new) if self._room.weighed else 0
        weight += 0 if old is None else self._weight(old)
        super()._put_over(key, new)
        united = self._in_flight.get(key) if self._room.weighed else None
        weight -= 0 if united is None else self._weight(united)
        self._room.give(1 - (len(self._in_flight) - load), weight)

    # --- making room -----------------------------------------------------------

    def write_over(self, ops: Sequence[Op], weight: int) -> bool:
        """Write *ops* if they need no new room; return whether they did not."""
        with self._lock:
            self._fold()
            if self.closed or self._busy or any(self.needs(ops, weight)):
                return False
            self._room.force(len(ops), weight)
            self.log.extend(ops)
            self._fold()
            return True

    def needs(self, ops: Sequence[Op], weight: int) -> tuple[int, int]:
        """Return how much room *ops* will keep: entries, and bytes."""
        with self._lock:
            self._fold()
            if self._busy:  # the call is a finalizer's, in the middle of work here
                return len(ops), weight
            if self.mixed and self._plain:
                self._widen()
            new = {op[0] for op in ops if self._is_growth(op)}
            return len(new), max(0, weight - self._weigh({op[0] for op in ops}))

    def _is_growth(self, op: Op) -> bool:
        if op[-1] is DELETED or op[0] in self._entries:
            return False
        return op[-1] is not NEWER or len(op) == 2 or self._is_new(op[0], op[2])

    def drop_newest(self, count: int) -> None:
        """Count *count* entries that are being written as accepted and dropped."""
        with self._lock:
            self._accepted += count
            self._drop(Drop(count, "full"))

    def drop_oldest(self) -> bool:
        """Drop the oldest entry that is not the processor's; return whether there was one."""
        with self._lock:
            self._fold()
            return not self._busy and self._drop_oldest()

    @busily
    def _drop_oldest(self) -> bool:
        stored: Any = MISSING
        while stored is MISSING and self._order:
            stored = self._in_flight.pop(self._order.pop(), MISSING)
        while stored is MISSING and (self._oldest or self._look_for_oldest()):
            key = self._oldest.pop()
            if key not in self._gone:
                stored = self._entries.pop(key, MISSING)
                self._counted -= stored is not MISSING
        if stored is MISSING:
            return False
        self._drop(Drop(1, "full"))
        self._room.give(1, self._weight(stored))
        return True

    def _look_for_oldest(self) -> bool:
        # All at once: finding a dict's first key is slow when many before it were deleted.
        self._oldest = list(self._entries)
        self._oldest.reverse()
        self._gone.clear()
        return bool(self._oldest)

    # --- reading ---------------------------------------------------------------

    def _unweighed(self, entries: Any) -> Any:
        if not self._room.weighed or entries is None:
            return entries
        if isinstance(entries, dict):
            return {key: self._unweigh(entry) for key, entry in entries.items()}
        return list(map(self._unweigh, entries))

    def _unweigh(self, entry: Entry[K, Any]) -> Entry[K, V]:
        return Entry(entry.key, entry.value.value, entry.version, entry.updates)

    def take(self, size: int | None) -> Any:
        return self._unweighed(super().take(size))

    def again(self, size: int | None, *, newest: bool = True) -> Any:
        return self._unweighed(super().again(size, newest=newest))

    def held(self) -> list[Entry[K, V]]:
        held: list[Entry[K, V]] = self._unweighed(super().held())
        return held

    def get(self, key: K, default: Any) -> Any:
        found = super().get(key, default)
        return found.value if isinstance(found, Weighed) else found
