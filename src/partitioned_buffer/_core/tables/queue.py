"""
A Queue's table: items in the order they were pushed.

Lists that are only read from the front have a number that says where they begin, for cutting
off the front would move all the others; what is before that place has been let go of.
"""

from typing import Any

from .step import AGAIN, CLOSED, FULL, MADE
from .table import Table

Items = list[Any] | tuple[Any, ...]

SLACK = 1_000
"""How many places in front of what waits may be empty, before they are cut off."""


class QueueTable(Table):
    """Items; where there is a bound of bytes, as pairs of item and weight."""

    next: "QueueTable"  # whose turn it is after this one

    def reset(self) -> None:
        super().reset()
        self._waiting: list[Any] = []
        self._first = 0  # where that begins: before, there was what has been dropped
        self._flying: list[Any] = []
        self._line = 0  # where that begins, which is still to be taken
        self._hand: list[Any] = []
        self._at = 0  # where that begins, which is still to be settled
        self._out = range(0)  # which of it, from there, were returned last

    # --- writing ---------------------------------------------------------------

    def push(self, item: Any, weight: int = 0, first: bool = False, /) -> int:
        """Accept *item*; the *first* in line need not stand in line."""
        room = self._room
        one = (item,) if room is None or not room.weighed else ((item, weight),)
        lock = self._lock
        _ = lock.take
        try:
            if self.closed:
                outcome = CLOSED
            elif room is not None and (
                room.used + (0 if first else room.line) >= room.limit
                or (
                    weight > 0
                    and room.used_bytes + weight + (0 if first else room.line_bytes)
                    > room.limit_bytes
                )
            ):
                outcome = FULL
            else:
                waiting = self._waiting
                waiting += one
                if room is not None:
                    room.used += 1
                    room.used_bytes += weight
                self._accepted += 1
                outcome = MADE
        finally:
            _ = lock.free
        while outcome == FULL and (outcome := self._make_room(1, weight)) == AGAIN:
            outcome = self._write(one, 1, weight, first)
        if self._bell or self.observer is not None:
            self._follow(outcome)
        return outcome

    def push_all(
        self, items: Items, weights: list[int] | None = None, first: bool = False, /
    ) -> int:
        """Accept all of *items*, or none; nothing is dropped for them."""
        weight = 0
        if self._weighed and weights is not None:
            items, weight = [*zip(items, weights, strict=True)], sum(weights)
        outcome = self._write(items, len(items), weight, first)
        self._follow(outcome)
        return outcome

    def _write(self, items: Items, size: int, weight: int, first: bool) -> int:
        room, lock = self._room, self._lock
        line, line_bytes = (0, 0) if first or room is None else (room.line, room.line_bytes)
        _ = lock.take
        try:
            if self.closed:
                outcome = CLOSED
            elif room is not None and (
                (size and room.used + size + line > room.limit)
                or (weight and room.used_bytes + weight + line_bytes > room.limit_bytes)
            ):
                outcome = FULL
            else:
                waiting = self._waiting
                waiting += items
                if room is not None:
                    room.used += size
                    room.used_bytes += weight
                self._accepted += size
                outcome = MADE
        finally:
            _ = lock.free
        return outcome

    def drop_oldest(self) -> bool:
        while True:
            turn, place, items = self._turn, self._line, self._flying
            if place < len(items):
                cut, rest, changes = slice(place, place + 1), [None], {"_line": place + 1}
            else:
                place, items = self._first, self._waiting
                cut, rest, changes = self._emptied(1)
            gone = items[place : place + 1]
            if not gone:
                return False
            weight = self._weigh(gone) if gone[0] else 0  # unless dropped since
            changes["_dropped"] = self._dropped + 1
            if self._change(turn, changes, None, (1, weight), (items, cut, rest)):
                return True

    def _emptied(self, count: int) -> tuple[slice, list[None], dict[str, Any]]:
        """Return how to let go of the first *count* that wait: a cut, its rest, and changes."""
        end = self._first + count
        if end > SLACK and 2 * end > len(self._waiting):
            return slice(end), [], {"_first": 0}
        return slice(self._first, end), [None] * count, {"_first": end}

    # --- the worker's half -----------------------------------------------------

    def swap(self) -> int:
        """Put in flight what waits, if nothing is; return how much is."""
        self.release()
        swapped = self._line < len(self._flying)
        while not swapped:
            turn, line, bell = self._turn, self._first, self._flush_at
            changes = {"_flying": self._waiting, "_line": line, "_waiting": [], "_first": 0}
            swapped = self._change(turn, changes | {"_bell": bell})
        return len(self._flying) - self._line

    def take(self, size: int | None = None, /) -> list[Any] | None:
        """Acknowledge what was returned last; return the next *size* in flight (None: all)."""
        if self._kept:
            self.acknowledge()
            self.release()
        settled, weight = len(self._out), self._weigh(self._hand[self._at :])
        room, lock, taken = self._room, self._lock, False
        batch: list[Any] = []
        while not taken:  # `_change` in these very lines: half of what a batch takes
            turn, line, flying, _gone = self._turn, self._line, self._flying, self._hand
            batch = flying[line:] if size is None else flying[line : line + size]
            count = len(batch)
            out, part, rest = range(count), slice(line, line + count), [None] * count
            _ = lock.take
            try:
                if turn == self._turn:
                    flying[part] = rest
                    self._line = line + count
                    self._hand = batch  # `_gone` dies when the lock is free
                    self._at = 0
                    self._out = out
                    self.delivered += settled
                    if room is not None:
                        room.used -= settled
                        room.used_bytes -= weight
                    self._turn = turn + 1
                    taken = True
            finally:
                _ = lock.free
        if room is not None and room.line:
            self._serve()
        return self._items(batch)

    def reach(self, count: int, /) -> int:
        """Put up to *count* of what waits behind what is in flight; return how many."""
        while True:
            turn, waiting = self._turn, self._waiting
            items = waiting[self._first : self._first + count]
            cut, rest, changes = self._emptied(len(items))
            changes |= {"_flying": self._flying[self._line :] + items, "_line": 0}
            if self._change(turn, changes, None, (0, 0), (waiting, cut, rest)):
                return len(items)

    def again(self, size: int | None = None, newest: bool = True, /) -> list[Any] | None:  # noqa: ARG002  # a Map's
        """Return the first *size* in hand (None: all), anew."""
        at = self._at
        batch = self._hand[at:] if size is None else self._hand[at : at + size]
        self._kept, self._out = True, range(len(batch))
        return self._items(batch)

    def _settle(self, given: dict[Any, None], how: str) -> int:
        hand, at, settled = self._hand, self._at, len(given)
        batch = hand[at : at + len(self._out)]
        kept = [item for place, item in enumerate(batch) if place not in given]
        gone = settled, self._weigh(batch) - self._weigh(kept)
        changes = {"_at": at + settled, "_out": range(0), how: getattr(self, how) + settled}
        cut = hand, slice(at, at + len(batch)), [None] * settled + kept  # kept ones move up
        while given and not self._change(self._turn, changes, None, gone, cut):
            pass
        self._serve()
        return settled

    def _forget(self) -> int:
        self._out = range(0)
        return 0

    def release(self) -> None:
        """Have nothing in hand: it is first in line again."""
        self._forget()
        self._kept = False
        while self._at < len(self._hand):
            turn, flying = self._turn, self._hand[self._at :] + self._flying[self._line :]
            self._change(turn, {"_flying": flying, "_line": 0, "_hand": [], "_at": 0})

    # --- reading ---------------------------------------------------------------

    def held(self) -> list[Any]:
        """Return all that is not settled, oldest first."""
        return self._items(self._stored()) or []

    def _stored(self) -> list[Any]:
        while True:
            turn = self._turn
            flown = self._hand[self._at :] + self._flying[self._line :]
            stored = flown + self._waiting[self._first :]
            if self._change(turn, {}):
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
