"""
A Map's table: what is in flight, taken and given back. The worker's half.

What is in hand can be given to the processor again, in parts. Newer values are put over what was
left over, or has failed: one by one, with `merge` called without a lock. Where that goes wrong
both stay, and the older goes first.
"""

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

from .entry import MISSING, Entry
from .keys import Box
from .map_held import UPDATES, VERSION, WEIGHT, MapHeld
from .step import AGAIN, FULL, MADE

GONE = object()
"""Where in the order a key was that has another place by now."""


class MapFlight(MapHeld):
    """What becomes of what is in flight."""

    __slots__ = ()

    def swap(self) -> int:
        """Put in flight what waits, if nothing is; return how much is."""
        self.release()
        self._let_go()
        lock, marks, swapped = self._lock, dict[Any, list[Any]](), False
        fresh: dict[Any, Any] = OrderedDict() if self._ordered else {}
        self._left_over = self._aloft > 0
        while not (swapped or self._left_over):
            accepted, turn, waiting = self._accepted, self._turn, len(self._waiting)
            _ = lock.take
            try:
                # zone
                if accepted == self._accepted and turn == self._turn:
                    self._flying, self._waiting = self._waiting, fresh
                    self._flown, self._marks = self._marks, marks
                    self._aloft = waiting
                    self._order = None
                    self._bell = self._flush_at
                    self._turn += 1
                    swapped = True
                # end
            finally:
                _ = lock.free
        return self._aloft

    def release(self) -> None:
        """Have nothing in hand: it is first in line again."""
        self._forget()
        self._kept, lock = False, self._lock
        _ = lock.take
        try:
            # zone
            self._line = self._start
            self._turn += 1
            # end
        finally:
            _ = lock.free

    def take(self, size: int | None = None, /) -> list[Entry[Any, Any]] | None:
        """Acknowledge what was returned last; return the next *size* in flight (None: all)."""
        self.acknowledge()
        self._let_go()  # what an acknowledgement that was interrupted has settled, too
        if self._kept:
            self.release()
        return self._give(size, more=True, newest=self._left_over)

    def take_table(self) -> dict[Any, Entry[Any, Any]] | list[Entry[Any, Any]] | None:
        """Do as `take(None)`, but return a dict if that takes no hash or `==` of the user's."""
        entries = self.take(None)
        if entries is None or (self._foreign and any(type(key) is Box for key in self._out)):
            return entries
        return dict(zip(self._out, entries, strict=True))

    def reach(self, count: int, /) -> int:
        """Put up to *count* of what waits behind what is in flight; return how many."""
        self._let_go()
        lock, order, reached = self._lock, self._line_up(), 0
        for stored in self._first_waiting(count + len(self._flying)):
            if stored in self._flying:
                continue
            one = [stored]
            self._displace(order, stored)
            _ = lock.take
            try:
                # zone
                waiting, flying = self._waiting, self._flying
                if reached < count and stored in waiting and stored not in flying:
                    flying[stored] = waiting[stored]
                    del waiting[stored]
                    if stored in self._marks:
                        self._flown[stored] = self._marks[stored]
                        del self._marks[stored]
                    order += one
                    self._aloft += 1
                    self._turn += 1
                    reached += 1
                # end
            finally:
                _ = lock.free
        return reached

    def _first_waiting(self, count: int) -> list[Any]:
        while True:
            with suppress(RuntimeError):  # changed in between: look again
                return list(islice(self._waiting, count))

    def _displace(self, order: list[Any], stored: Any) -> None:
        """Forget the place in *order* of a key that was settled, or deleted."""
        with suppress(ValueError):  # it has none
            order[order.index(stored, self._start)] = GONE

    def again(
        self, size: int | None = None, newest: bool = True, /
    ) -> list[Entry[Any, Any]] | None:
        """Return the first *size* in hand (None: all), anew; with the *newest* values."""
        self._forget()
        self._kept, order = True, self._line_up()
        while self._start < self._line and order[self._start] not in self._flying:
            self._start += 1  # is settled
        return self._give(size, more=False, newest=newest)

    def _give(self, size: int | None, *, more: bool, newest: bool) -> list[Entry[Any, Any]] | None:
        """Let the first *size* in hand be out; or, if there is to be *more*, the next in line."""
        order, lock, given, keys = self._line_up(), self._lock, False, list[Any]()
        while not given:
            turn = self._turn
            begin, end = (self._line, len(order)) if more else (self._start, self._line)
            keys, place = self._first(order, begin, end, size)
            out = dict.fromkeys(keys)
            _ = lock.take
            try:
                # zone
                if turn == self._turn:
                    if more:
                        self._start = begin
                        self._line = place
                    self._out = out
                    self._turn += 1
                    given = True
                # end
            finally:
                _ = lock.free
        for stored in keys if newest and self._waiting else ():
            self._freshen(stored)
        return self._entries(keys, self._flying, self._flown) or None

    def _first(
        self, order: list[Any], place: int, end: int, size: int | None
    ) -> tuple[list[Any], int]:
        """Return the first *size* held of *order*, between two places, and the place behind."""
        keys, held = list[Any](), self._flying.__contains__
        wanted = end - place if size is None else size
        while len(keys) < wanted and place < end:
            following = order[place : min(end, place + wanted - len(keys))]
            place += len(following)
            keys += filter(held, following)
        return keys, place

    def bury(self, places: Iterable[int] | None = None, /) -> int:
        """Settle these *places* of what was returned last (None: all) as dead-lettered."""
        if places is None:
            return self._settle(self._out, "dead_lettered")
        bad, self._kept = set(places), True
        buried = dict.fromkeys(key for place, key in enumerate(list(self._out)) if place in bad)
        count = self._settle(buried, "dead_lettered")
        self._forget()
        return count

    # --- putting over ----------------------------------------------------------

    def faults(self) -> list[BaseException]:
        faults, self._faults = self._faults, []
        return faults

    def _freshen(self, stored: Any) -> None:
        """Put what waits over what is out."""
        outcome = AGAIN
        while outcome == AGAIN:
            waits = self._waiting.get(stored, MISSING)
            if waits is MISSING:
                return
            try:
                both, weight = self._united(self._flying[stored], waits)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # whatever it is, it must not end the worker
                self._faults.append(error)
                return
            outcome = self._put_over(stored, waits, both, weight)
        if outcome == FULL:
            words = "what merge() made of a retried value and a newer one is more than max_bytes"
            self._faults.append(OverflowError(f"{words} has room for: they stay two"))
        self._serve()

    def _united(self, old: Any, new: Any) -> tuple[Any, int | None]:
        """Return both values in one, and its weight if that is not the newer one's."""
        if self._merge is None:
            return new, None
        both = self._merge(old, new)
        return both, None if self._weigh is None else self._weigh(both)

    def _put_over(self, stored: Any, waits: Any, both: Any, weight: int | None) -> int:
        room, lock = self._room, self._lock
        nothing: list[Any] = [None, 0, 0]
        _ = lock.take
        try:
            # zone
            waiting, marks, flown = self._waiting, self._marks, self._flown
            if stored not in waiting or waiting[stored] is not waits:
                outcome = AGAIN
            else:
                new = marks[stored] if stored in marks else nothing
                old = flown[stored] if stored in flown else nothing
                weighs = new[WEIGHT] if weight is None else weight
                extra = weighs - new[WEIGHT] - old[WEIGHT]
                if room is not None and extra > 0 and room.used_bytes + extra > room.limit_bytes:
                    outcome = FULL
                else:
                    _gone = self._flying[stored]  # until the lock is free
                    self._flying[stored] = both
                    del waiting[stored]
                    if new is not nothing:
                        new[UPDATES] += 1 + old[UPDATES]
                        if new[VERSION] is None:
                            new[UPDATES] = 0
                        new[WEIGHT] = weighs
                        flown[stored] = new
                        del marks[stored]
                    elif old is not nothing:
                        del flown[stored]
                    self._coalesced += 1
                    if room is not None:
                        room.used -= 1
                        room.used_bytes += extra
                    self._turn += 1
                    outcome = MADE
            # end
        finally:
            _ = lock.free
        return outcome
