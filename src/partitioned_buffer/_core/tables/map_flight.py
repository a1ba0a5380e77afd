"""
A Map's table: what is in flight, taken and given back. The worker's half.

What is in hand can be given to the processor again, in parts. Newer values are put over what was
left over, or has failed: one by one, with `merge` called without a lock. Where that goes wrong
both stay, and the older goes first.
"""

from collections import OrderedDict
from contextlib import suppress
from itertools import islice
from typing import Any

from .entry import Entry
from .keys import Box
from .map_held import UPDATES, VALUE, WEIGHT, Held, MapHeld
from .step import AGAIN, FULL, MADE

GONE = object()
"""Where in the order a key was that has another place by now."""


class MapFlight(MapHeld):
    """What becomes of what is in flight."""

    def swap(self) -> int:
        """Put in flight what waits, if nothing is; return how much is."""
        self.release()
        fresh: dict[Any, Any] = OrderedDict() if self._ordered else {}
        self._left_over = swapped = self._aloft > 0
        while not swapped:
            turn, accepted, waiting = self._turn, self._accepted, self._waiting
            changes = {"_flying": waiting, "_waiting": fresh, "_aloft": len(waiting)}
            changes |= {"_order": None, "_bell": self._flush_at}
            swapped = self._change(turn, changes, accepted)
        return self._aloft

    def release(self) -> None:
        """Have nothing in hand: it is first in line again."""
        self._forget()
        self._kept = False
        while not self._change(self._turn, {"_line": self._start}):
            pass

    def take(self, size: int | None = None, /) -> list[Entry[Any, Any]] | None:
        """Acknowledge what was returned last; return the next *size* in flight (None: all)."""
        self.acknowledge()  # and what an acknowledgement that was interrupted has settled
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
        order, reached = self._line_up(), 0
        for stored in self._first_waiting(count + len(self._flying)):
            if stored not in self._flying and reached < count:
                with suppress(ValueError):  # it has a place if it was here, and settled or deleted
                    order[order.index(stored, self._start)] = GONE
                reached += self._lift(stored)
        return reached

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
        order, given = self._line_up(), False
        keys: list[Any] = []
        while not given:
            turn = self._turn
            begin, end = (self._line, len(order)) if more else (self._start, self._line)
            each = map(order.__getitem__, range(begin, end))
            keys = list(islice(filter(self._flying.__contains__, each), size))
            place = order.index(keys[-1], begin) + 1 if len(keys) == size else end
            places = {"_start": begin, "_line": place} if more else {}
            given = self._change(turn, {"_out": dict.fromkeys(keys)} | places)
        for stored in keys if newest and self._waiting else ():
            self._lift(stored)
        return self._entries(keys, self._flying) or None

    # --- putting over ----------------------------------------------------------

    def _over(self, old: Held, new: Held, merging: bool = True) -> Held:
        """Return what *new* is when it is put over what is *old*. Runs user code if *merging*."""
        value, version, updates, weight = new
        if merging and self._merge is not None:
            value = self._merge(old[VALUE], value)
            weight = weight if self._weigh is None else self._weigh(value)
        return value, version, 0 if version is None else updates + 1 + old[UPDATES], weight

    def _lift(self, stored: Any) -> bool:
        """Put what waits over what is in flight, or behind all that is; return whether it was."""
        outcome = AGAIN
        while outcome == AGAIN:
            waits, old = self._waiting.get(stored), self._flying.get(stored)
            if waits is None or stored in self._hidden:  # what was deleted, and is out, ends there
                return False
            try:
                new = waits if old is None else self._over(old, waits)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # whatever it is, it must not end the worker
                self._faults.append(error)
                return False
            outcome = self._move(stored, waits, old, new)
            if outcome == FULL:
                words = f"merge() made {new[WEIGHT]} bytes, more than there is room for"
                self._faults.append(OverflowError(words))
        self._serve()
        return outcome == MADE

    def _move(self, stored: Any, waits: Held, old: Held | None, new: Held) -> int:
        room, lock, order, one = self._room, self._lock, self._line_up(), [stored]
        extra = new[WEIGHT] - waits[WEIGHT] - (old[WEIGHT] if old else 0)
        _ = lock.take
        try:
            waiting, flying = self._waiting, self._flying
            if (waiting[stored] if stored in waiting else None) is not waits:
                outcome = AGAIN
            elif (flying[stored] if stored in flying else None) is not old:
                outcome = AGAIN
            elif stored in self._hidden:
                outcome = AGAIN
            elif room is not None and extra > 0 and room.used_bytes + extra > room.limit_bytes:
                outcome = FULL
            else:
                flying[stored] = new
                del waiting[stored]
                if old is None:
                    order += one
                    self._aloft += 1
                else:
                    self._coalesced += 1
                    if room is not None:
                        room.used -= 1
                        room.used_bytes += extra
                self._turn += 1
                outcome = MADE
        finally:
            _ = lock.free
        return outcome
