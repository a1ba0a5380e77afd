"""
A Map's table: one value by key, the last one written or the newest. The writers' half.

A version has to beat the one that waits, else the one in flight, else the one delivered last,
as far as that is remembered: so that the processor never sees a key go backwards.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from .entry import MISSING, Op
from .keys import SAFE, safe
from .map_flight import MapFlight
from .map_held import VALUE, VERSION, WEIGHT, Held
from .step import AGAIN, CLOSED, FULL, MADE

PATIENCE = 3
"""How often many writes are tried, before others are kept waiting while they are prepared."""


class MapTable(MapFlight):
    """Entries by key: the last write wins, or the newest version."""

    def put(
        self,
        key: Any,
        value: Any,
        version: int | None = None,
        weight: int = 0,
        first: bool = False,
        /,
    ) -> int:
        """Accept *value*, with a *version* only if that is newer; the *first* need not wait."""
        if version is not None or not self._simple or not (type(key) in SAFE or safe(key)):
            return self._put(key, (value, version, 0, weight), first)
        new: Held = (value, None, 0, 0)
        lock = self._lock
        _ = lock.take
        try:
            waiting = self._waiting
            if self.closed:
                outcome = CLOSED
            elif not self._simple:
                outcome = AGAIN
            else:
                if key in waiting:
                    _gone = waiting[key]  # until the lock is free
                    self._coalesced += 1
                else:
                    self._births += 1
                waiting[key] = new
                self._accepted += 1
                outcome = MADE
        finally:
            _ = lock.free
        if outcome == AGAIN:
            return self._put(key, new, first)
        if self._bell or self.observer is not None:
            self._follow(outcome)
        return outcome

    def _put(self, key: Any, value: Held, first: bool) -> int:
        """Do as `put`, where there are bounds, versions, a `merge`, or keys in boxes."""
        room, outcome, line, line_bytes, extra = self._room, AGAIN, 0, 0, 0
        while outcome == AGAIN:
            if room is not None and not first:
                line, line_bytes = room.line, room.line_bytes
            stored, births, turn, seen, extra = key, None, None, None, 0
            old = waiting = None  # of the try before: that dies here
            new: Held | None = value
            if type(key) not in SAFE or self._foreign:
                stored, births = self._find(key)
            if value[VERSION] is not None or self._merge is not None:
                turn, seen = self._turn, self._waiting.get(stored)
                new = self._next(stored, seen, value)
            lock = self._lock
            _ = lock.take
            try:
                waiting = self._waiting
                old = waiting[stored] if stored in waiting else None  # until the lock is free
                born = old is None and new is not None
                if room is not None and new is not None:
                    extra = new[WEIGHT] if old is None else new[WEIGHT] - old[WEIGHT]
                if self.closed:
                    outcome = CLOSED
                elif self._foreign if births is None else births != self._births:
                    outcome = AGAIN
                elif turn is not None and (old is not seen or (old is None and turn != self._turn)):
                    outcome = AGAIN
                elif room is not None and (
                    (born and room.used + line >= room.limit)
                    or (extra > 0 and room.used_bytes + extra + line_bytes > room.limit_bytes)
                ):
                    outcome = FULL
                else:
                    if new is not None:
                        waiting[stored] = new
                    if born:
                        self._births += 1
                        if births is not None:
                            self._foreign = True
                            self._simple = False
                        if room is not None:
                            room.used += 1
                    else:
                        self._coalesced += 1
                    if room is not None:
                        room.used_bytes += extra
                    self._accepted += 1
                    outcome = MADE
            finally:
                _ = lock.free
            if outcome == FULL:
                outcome = self._make_room(1, value[WEIGHT])
        if extra < 0:
            self._serve()
        if self._bell or self.observer is not None:
            self._follow(outcome)
        return outcome

    def _next(self, stored: Any, old: Held | None, new: Held, merging: bool = True) -> Held | None:
        """Return what *new* comes to, over what is *old*, and waits; None if it is not newer."""
        version = new[VERSION]
        if version is not None:
            floor = self._version(stored) if old is None else old[VERSION] or 0
            if floor is not None and version <= floor:
                return None
        return new if old is None else self._over(old, new, merging)

    def _version(self, stored: Any) -> int | None:
        """Return which version of what does not wait has to be beaten; None if none has."""
        settled, flown = self._settled, None
        if stored not in self._hidden and stored not in settled:
            flown = self._flying.get(stored)  # which what is settled leaves first
        if flown is not None:
            return flown[VERSION] or 0
        noted: int | None = settled.get(stored, MISSING)
        return self._recent.get(stored, self._older.get(stored)) if noted is MISSING else noted

    # --- many, all together or none --------------------------------------------

    def put_all(self, ops: Sequence[Op], first: bool = False, /) -> int:
        """
        Make all of *ops* in order, or none; nothing is merged, or dropped for them.

        A table that keeps an order, to drop the oldest, has to be written to one by one.
        """
        if self._ordered and ops:
            return CLOSED if self.closed else FULL
        room, outcome, tries, extra = self._room, AGAIN, 0, 0
        line, line_bytes = (0, 0) if first or room is None else (room.line, room.line_bytes)
        while outcome == AGAIN:
            tries += 1
            places, births = self._find_all(ops)
            _gone = values = waiting = None  # of the try before: that dies here
            with self._lock if tries > PATIENCE else nullcontext():
                turn, accepted = self._turn, self._accepted
                values, new, extra = self._plan(places, ops)
                _gone = [*map(self._waiting.get, values)]  # until the lock is free
                coalesced, size, lock = len(ops) - new, len(ops), self._lock
                _ = lock.take
                try:
                    waiting = self._waiting
                    if self.closed:
                        outcome = CLOSED
                    elif self._foreign if births is None else births != self._births:
                        outcome = AGAIN
                    elif turn != self._turn or accepted != self._accepted:
                        outcome = AGAIN
                    elif room is not None and (
                        (new and room.used + new + line > room.limit)
                        or (extra > 0 and room.used_bytes + extra + line_bytes > room.limit_bytes)
                    ):
                        outcome = FULL
                    else:
                        waiting |= values
                        self._births += new
                        if births is not None:
                            self._foreign = True
                            self._simple = False
                        if room is not None:
                            room.used += new
                            room.used_bytes += extra
                        self._coalesced += coalesced
                        self._accepted += size
                        outcome = MADE
                finally:
                    _ = lock.free
        if extra < 0:
            self._serve()
        self._follow(outcome)
        return outcome

    def _plan(self, places: Sequence[Any], ops: Sequence[Op]) -> tuple[dict[Any, Held], int, int]:
        """Return what will wait, by what keys are stored as; how many new items and bytes."""
        items, extra = 0, 0
        values: dict[Any, Held] = {}
        for stored, (_, value, version, weight) in zip(places, ops, strict=True):
            old = values.get(stored) or self._waiting.get(stored)
            new = self._next(stored, old, (value, version, 0, weight), False)
            if new is not None:
                values[stored] = new
                items += old is None
                extra += new[WEIGHT] - (old[WEIGHT] if old else 0)
        return values, items, extra

    def needs(self, ops: Sequence[Op], /) -> tuple[int, int]:
        """Return how many items and bytes of new room *ops* would take now."""
        places, _ = self._find_all(ops)
        _, items, extra = self._plan(places, ops)
        return items, max(0, extra)

    # --- reading, and forgetting -----------------------------------------------

    def get(self, key: Any, default: Any = None, /) -> Any:
        """Return the value held for *key* until it is settled, else *default*."""
        stored = key if type(key) in SAFE and not self._foreign else self._find(key)[0]
        lock, held = self._lock, None
        _ = lock.take
        try:
            if stored in self._waiting:
                held = self._waiting[stored]
            elif stored not in self._hidden and stored not in self._settled:
                held = self._flying[stored] if stored in self._flying else None
        finally:
            _ = lock.free
        return default if held is None else held[VALUE]

    def has(self, key: Any, /) -> bool:
        """Return whether `get` would find *key*."""
        return self.get(key, MISSING) is not MISSING

    def delete(self, key: Any, /) -> int:
        """Forget *key*: what waits, what is in flight unless the processor has it, its version."""
        room, outcome = self._room, AGAIN
        while outcome == AGAIN:
            stored, births, count, weight = key, None, 0, 0
            if type(key) not in SAFE or self._foreign:
                stored, births = self._find(key)
            lock = self._lock
            _ = lock.take
            try:
                if self.closed:
                    outcome = CLOSED
                elif self._foreign if births is None else births != self._births:
                    outcome = AGAIN
                else:
                    if stored in self._waiting:
                        gone = self._waiting[stored]  # until the lock is free
                        del self._waiting[stored]
                        count = 1
                        weight = gone[WEIGHT]
                    if stored in self._settled:
                        self._settled[stored] = None
                    elif stored in self._flying and stored in self._out:
                        self._hidden[stored] = None
                    elif stored in self._flying:
                        flown = self._flying[stored]  # likewise
                        del self._flying[stored]
                        count += 1
                        weight += flown[WEIGHT]
                        self._aloft -= 1
                    if stored in self._recent:
                        del self._recent[stored]
                    if stored in self._older:
                        del self._older[stored]
                    self._deleted += count
                    if room is not None:
                        room.used -= count
                        room.used_bytes -= weight
                    self._turn += 1
                    outcome = MADE
            finally:
                _ = lock.free
        self._serve()
        if self._bell or self.observer is not None:
            self._follow(outcome)
        return outcome
