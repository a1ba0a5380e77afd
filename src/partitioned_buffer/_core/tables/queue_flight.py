"""
A Queue's table: what is in flight, taken and given back. The worker's half.

Lists that are only read from the front have a number that says where they begin, for cutting
off the front would move all the others; what is before that place has been let go of.
"""

from collections.abc import Iterable
from typing import Any

from .table import Table

SLACK = 1_000
"""How many places in front of what waits may be empty, before they are cut off."""


class QueueFlight(Table):
    """Items; where there is a bound of bytes, as pairs of item and weight."""

    __slots__ = ("_at", "_batch", "_first", "_flying", "_hand", "_line", "_waiting")

    def reset(self) -> None:
        super().reset()
        self._waiting: list[Any] = []
        self._first = 0  # where that begins: before, there was what has been dropped
        self._flying: list[Any] = []
        self._line = 0  # where that begins, which is still to be taken
        self._hand: list[Any] = []
        self._at = 0  # where that begins, which is still to be settled
        self._batch = 0  # how much of it, from there, was returned last

    # --- the worker's half -----------------------------------------------------

    def swap(self) -> int:
        """Put in flight what waits, if nothing is; return how much is."""
        self.release()
        lock, fresh = self._lock, list[Any]()
        if self._line == len(self._flying):
            _ = lock.take
            try:
                # zone
                _gone = self._flying  # until the lock is free
                self._flying, self._waiting = self._waiting, fresh
                self._line, self._first = self._first, 0
                self._bell = self._flush_at
                self._turn += 1
                # end
            finally:
                _ = lock.free
        return len(self._flying) - self._line

    def take(self, size: int | None = None, /) -> list[Any] | None:
        """Acknowledge what was returned last; return the next *size* in flight (None: all)."""
        if self._at + self._batch < len(self._hand):
            self.acknowledge()
            self.release()
        room, lock, taken, batch = self._room, self._lock, False, list[Any]()
        while not taken:
            turn, line, flying, settled = self._turn, self._line, self._flying, self._batch
            batch = flying[line:] if size is None else flying[line : line + size]
            count, _gone, weight = len(batch), self._hand, self._weigh(self._hand[self._at :])
            end, nothing, cut = line + count, [None] * count, slice(line, line + count)
            _ = lock.take
            try:
                # zone
                if turn == self._turn:
                    flying[cut] = nothing
                    self._line = end
                    self._hand = batch
                    self._at = 0
                    self._batch = count
                    self._delivered += settled
                    if room is not None:
                        room.used -= settled
                        room.used_bytes -= weight
                    self._turn += 1
                    taken = True
                # end
            finally:
                _ = lock.free
        self._serve()
        return self._items(batch)

    def reach(self, count: int, /) -> int:
        """Put up to *count* of what waits behind what is in flight; return how many."""
        lock, reached = self._lock, -1
        while reached < 0:
            turn, waiting, first = self._turn, self._waiting, self._first
            items = waiting[first : first + count]
            end, nothing = first + len(items), [None] * len(items)
            empty = end if end > SLACK and 2 * end > len(waiting) else 0
            cut, front, flying = slice(first, end), slice(0, empty), self._flying
            _ = lock.take
            try:
                # zone
                if turn == self._turn:
                    waiting[cut] = nothing
                    del waiting[front]
                    self._first = end - empty
                    flying += items
                    self._turn += 1
                    reached = end - first
                # end
            finally:
                _ = lock.free
        return reached

    def again(self, size: int | None = None, newest: bool = True, /) -> list[Any] | None:  # noqa: ARG002  # a Map's
        """Return the first *size* in hand (None: all), anew."""
        at = self._at
        batch = self._hand[at:] if size is None else self._hand[at : at + size]
        self._batch = len(batch)
        return self._items(batch)

    def acknowledge(self) -> int:
        """Settle what was returned last: it is delivered."""
        return self._settle(None, self._batch)

    def bury(self, places: Iterable[int] | None = None, /) -> int:
        """Settle these *places* of what was returned last (None: all) as dead-lettered."""
        if places is None:
            return self._settle(None, 0)
        buried, batch = set(places), self._hand[self._at : self._at + self._batch]
        return self._settle([item for place, item in enumerate(batch) if place not in buried], 0)

    def keep(self, places: Iterable[int] | None = None, /) -> int:
        """Keep these *places* of what was returned last in hand (None: all); count them."""
        size = self._batch
        if places is None or not size:
            self._batch = 0
            return size
        kept, batch = set(places), self._hand[self._at : self._at + size]
        left = [item for place, item in enumerate(batch) if place in kept]
        self._settle(left, size - len(left))
        return len(left)

    def _settle(self, left: list[Any] | None, delivered: int) -> int:
        """Settle what was returned last but what is *left*, which moves up to what follows."""
        if not self._batch:
            return 0
        room, lock, hand, at, kept = self._room, self._lock, self._hand, self._at, left or []
        settled = self._batch - len(kept)
        start, end = at + settled, at + self._batch
        gone, cut, rest = hand[at:end], slice(at, end), [*([None] * settled), *kept]
        buried, weight = settled - delivered, self._weigh(gone) - self._weigh(kept)
        _ = lock.take
        try:
            # zone
            hand[cut] = rest
            self._at = start
            self._batch = 0
            self._delivered += delivered
            self._buried += buried
            if room is not None:
                room.used -= settled
                room.used_bytes -= weight
            self._turn += 1
            # end
        finally:
            _ = lock.free
        self._serve()
        return settled

    def release(self) -> None:
        """Have nothing in hand: it is first in line again."""
        self._batch, lock, nothing = 0, self._lock, list[Any]()
        while self._at < len(self._hand):
            turn, flying = self._turn, self._hand[self._at :] + self._flying[self._line :]
            _ = lock.take
            try:
                # zone
                if turn == self._turn:
                    self._flying = flying
                    self._line = 0
                    self._hand = nothing
                    self._at = 0
                    self._turn += 1
                # end
            finally:
                _ = lock.free

    # --- reading ---------------------------------------------------------------

    def held(self) -> list[Any]:
        """Return all that is not settled, oldest first."""
        return self._items(self._stored()) or []

    def _stored(self) -> list[Any]:
        while True:
            turn = self._turn
            flown = self._hand[self._at :] + self._flying[self._line :]
            stored = flown + self._waiting[self._first :]
            if turn == self._turn:
                return stored

    def _items(self, stored: list[Any]) -> list[Any] | None:
        """Return a new list of the items; None if there are none."""
        return ([item for item, _ in stored] if self._weighed else stored[:]) or None

    def _weigh(self, stored: list[Any]) -> int:
        return sum(weight for _, weight in stored) if self._weighed else 0

    def load(self) -> tuple[int, int]:
        stored = self._stored()
        return len(stored), self._weigh(stored)

    def _sizes(self) -> tuple[int, int]:
        in_flight = len(self._hand) - self._at + len(self._flying) - self._line
        return len(self._waiting) - self._first, in_flight
