"""
A Map's table: what is in flight, taken and given back. The worker's half.

What is in hand can be given to the processor again, in parts. Newer values are put over what was
left over, or has failed: one by one, with `merge` called outside the lock. Where that goes wrong
both stay, and the older goes first.
"""

from collections import OrderedDict
from typing import Any

from .entry import MISSING, Entry
from .keys import Box
from .map_held import UPDATES, VERSION, WEIGHT, MapHeld
from .step import AGAIN, FULL, MADE


class MapFlight(MapHeld):
    """What becomes of what is in flight."""

    def swap(self) -> int:
        """Put in flight what waits, if nothing is; return how much is."""
        self.release()
        fresh: dict[Any, Any] = OrderedDict() if self._ordered else {}
        marks: dict[Any, list[Any]] = {}
        with self._lock:
            # zone
            self._left_over = True
            if not self._flying:
                gone = self._flying  # noqa: F841  # until the lock is free
                self._flying, self._waiting = self._waiting, fresh
                self._flown, self._marks = self._marks, marks
                self._order = None
                self._left_over = False
                self._bell = self._flush_at
                self._turn += 1
            # end
            return len(self._flying)

    def take(self, size: int | None) -> list[Entry[Any, Any]] | None:
        """Acknowledge what was returned last; return the next *size* in flight (None: all)."""
        self.acknowledge()
        if self._hand:
            self.release()
        if size is None:
            self._take_all()
        else:
            self._take(size)
        return self._return(self._hand, newest=self._left_over)

    def take_table(self) -> dict[Any, Entry[Any, Any]] | list[Entry[Any, Any]] | None:
        """Do as `take(None)`, but return a dict if that takes no hash or `==` of the user's."""
        entries = self.take(None)
        if entries is None or (self._foreign and any(type(s) is Box for s in self._hand)):
            return entries
        return dict(zip(self._hand, entries, strict=True))

    def _take_all(self) -> None:
        nothing: dict[Any, Any] = {}
        with self._lock:
            # zone
            self._hand = self._flying
            self._flying = nothing
            self._order = self._ranks = None
            self._turn += 1
            # end

    def _take(self, size: int) -> None:
        hand: dict[Any, Any] = {}
        with self._lock:
            order = self._line_up()
            end, left = len(order), size
            self._hand, self._ranks = hand, None
            while left and self._line < end:
                # zone
                stored = order[self._line]
                self._line += 1
                if stored in self._flying:
                    hand[stored] = self._flying[stored]
                    del self._flying[stored]
                    left -= 1
                    self._turn += 1
                # end

    def again(self, size: int | None, newest: bool = True) -> list[Entry[Any, Any]] | None:
        """Return the first *size* in hand (None: all), anew; with the *newest* values."""
        self._forget()
        with self._lock:
            whole = size is None or size >= len(self._hand)
            out = self._hand if whole else self._first(size or 0)
        return self._return(out, newest=newest)

    def _first(self, size: int) -> dict[Any, Any]:
        hand = self._hand
        if self._ranks is None:
            self._ranks, self._rank = list(hand), 0
        ranks, place, out = self._ranks, self._rank, dict[Any, Any]()
        while len(out) < size and place < len(ranks):
            if ranks[place] in hand:
                out[ranks[place]] = None
            elif not out:
                self._rank = place + 1  # nobody needs to look there again
            place += 1
        return out

    def _return(self, out: dict[Any, Any], *, newest: bool) -> list[Entry[Any, Any]] | None:
        """Give out *out*, which is in hand."""
        self._out, hand = out, self._hand
        if newest and self._waiting:
            for stored in list(out):
                self._freshen(stored)
        values = hand if out is hand else {stored: hand[stored] for stored in out}
        return self._entries(values, self._flown) or None

    # --- putting over ----------------------------------------------------------

    def faults(self) -> list[BaseException]:
        """Return what went wrong in putting values over older ones since the last call."""
        faults, self._faults = self._faults, []
        return faults

    def _freshen(self, stored: Any) -> None:
        """Put what waits over what is in hand."""
        outcome = AGAIN
        while outcome == AGAIN:
            with self._lock:
                waits = self._waiting.get(stored, MISSING)
            if waits is MISSING:
                return
            try:
                both, weight = self._united(self._hand[stored], waits)
            except (Exception, SystemExit) as error:  # whatever it is, it must not end the worker
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
        room, nothing = self._room, [None, 0, 0]
        with self._lock:
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
                    gone = self._hand[stored]  # noqa: F841  # until the lock is free
                    self._hand[stored] = both
                    del waiting[stored]
                    if new is not nothing:
                        new[UPDATES] = (
                            0 if new[VERSION] is None else new[UPDATES] + old[UPDATES] + 1
                        )
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
        return outcome
