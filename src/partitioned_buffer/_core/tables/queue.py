"""A Queue's table: items in the order they were pushed. The writers' half."""

from typing import Any

from .queue_flight import SLACK, QueueFlight
from .step import AGAIN, CLOSED, FULL, MADE


class QueueTable(QueueFlight):
    """Accepts items, and drops them."""

    __slots__ = ("next",)
    next: "QueueTable"  # whose turn it is after this one

    # --- writing ---------------------------------------------------------------

    def push(self, item: Any, weight: int = 0, first: bool = False, /) -> int:
        """Accept *item*; the *first* in line need not stand in line."""
        if self._room is not None:
            return self._push(item, weight, first)
        one = (item,)
        lock = self._lock
        _ = lock.take
        try:
            # zone
            if self._closed:
                outcome = CLOSED
            else:
                waiting = self._waiting
                waiting += one
                self._accepted += 1
                outcome = MADE
            # end
        finally:
            _ = lock.free
        if self._bell is not None or self.observer is not None:
            self._follow(outcome)
        return outcome

    def _push(self, item: Any, weight: int, first: bool) -> int:
        one = ((item, weight),) if self._weighed else (item,)
        outcome = AGAIN
        while outcome == AGAIN:
            outcome = self._write(one, 1, weight, first)
            if outcome == FULL:
                outcome = self._make_room(1, weight)
        return outcome

    def push_all(
        self,
        items: list[Any] | tuple[Any, ...],
        weights: list[int] | None = None,
        first: bool = False,
        /,
    ) -> int:
        """Accept all of *items*, or none; nothing is dropped for them."""
        if not self._weighed or weights is None:
            return self._write(items, len(items), 0, first)
        pairs = list(zip(items, weights, strict=True))
        return self._write(pairs, len(pairs), sum(weights), first)

    def _write(
        self, items: list[Any] | tuple[Any, ...], size: int, weight: int, first: bool
    ) -> int:
        room = self._room
        lock = self._lock
        _ = lock.take
        try:
            # zone
            if self._closed:
                outcome = CLOSED
            elif room is not None and (
                (room.line and size and not first)
                or room.used + size > room.limit
                or room.used_bytes + weight > room.limit_bytes
            ):
                outcome = FULL
            else:
                waiting = self._waiting
                waiting += items
                self._accepted += size
                if room is not None:
                    room.used += size
                    room.used_bytes += weight
                outcome = MADE
            # end
        finally:
            _ = lock.free
        if self._bell is not None or self.observer is not None:
            self._follow(outcome)
        return outcome

    def drop_oldest(self) -> bool:
        room, lock, dropped = self._room, self._lock, False
        while not dropped:
            turn, flown = self._turn, self._line < len(self._flying)
            items = self._flying if flown else self._waiting
            place = self._line if flown else self._first
            gone = items[place : place + 1]
            if room is None or not gone:
                return False
            empty = 0 if flown or place <= SLACK or 2 * place <= len(items) else place
            front = slice(0, empty)
            weight = gone[0][1] if self._weighed and gone[0] else 0  # unless dropped since
            _ = lock.take
            try:
                # zone
                if turn == self._turn:
                    items[place] = None
                    if flown:
                        self._line += 1
                    else:
                        del items[front]
                        self._first += 1 - empty
                    self._dropped += 1
                    room.used -= 1
                    room.used_bytes -= weight
                    self._turn += 1
                    dropped = True
                # end
            finally:
                _ = lock.free
        return True
