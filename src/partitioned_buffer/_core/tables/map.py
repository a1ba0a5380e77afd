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

Seen = tuple[int | None, int, int | None, Any, Held | None]
"""What a write was prepared for: births, or None if no key is in a box; turn; how many were
accepted, or None if that is all the same; what a key is stored as, and what waits for it."""

Plan = tuple[Any, int, int]
"""What will wait after a write, None for nothing new, or after many of them, by what the keys are
stored as; and how many new items and bytes that is."""

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
        outcome = AGAIN
        while outcome == AGAIN:
            simply = type(key) in SAFE and not self._foreign
            stored, births = (key, None) if simply else self._find(key)
            turn, old = self._turn, self._waiting.get(stored)
            new: Held | None = value
            if value[VERSION] is not None or self._merge is not None:
                new = self._next(stored, old, value)
            born = 1 if old is None and new is not None else 0
            extra = 0 if new is None else new[WEIGHT] - (old[WEIGHT] if old else 0)
            seen = births, turn, None, stored, old
            outcome = self._write(seen, (new, born, extra), 1, first)
            if outcome == FULL:
                outcome = self._make_room(1, value[WEIGHT])
        if self._bell or self.observer is not None:
            self._follow(outcome)
        return outcome

    def _write(self, seen: Seen, plan: Plan, size: int, first: bool) -> int:
        """Make *size* writes, if what was *seen* is so still; nobody calls what they replace."""
        births, turn, written, stored, old = seen
        value, new, extra = plan
        room, lock, coalesced = self._room, self._lock, size - new
        line, line_bytes = (0, 0) if first or room is None else (room.line, room.line_bytes)
        _ = lock.take
        try:
            waiting = self._waiting
            if self.closed:
                outcome = CLOSED
            elif self._foreign if births is None else births != self._births:
                outcome = AGAIN
            elif (waiting[stored] if stored in waiting else None) is not old:
                outcome = AGAIN
            elif old is None and turn != self._turn:
                outcome = AGAIN
            elif written is not None and written != self._accepted:
                outcome = AGAIN
            elif room is not None and (
                (new and room.used + new + line > room.limit)
                or (extra > 0 and room.used_bytes + extra + line_bytes > room.limit_bytes)
            ):
                outcome = FULL
            else:
                if written is not None:
                    waiting |= value
                elif value is not None:
                    waiting[stored] = value
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
        return outcome

    def _next(
        self, stored: Any, old: Held | None, new: Held, *, merging: bool = True
    ) -> Held | None:
        """Return what *new* comes to, over what is *old*, and waits; None if it is not newer."""
        version, settled, beaten = new[VERSION], self._settled, old
        if version is not None:
            if old is None and stored not in self._hidden and stored not in settled:
                beaten = self._flying.get(stored)  # which what is settled leaves first
            if beaten is not None:
                floor = beaten[VERSION] or 0
            elif (floor := settled.get(stored, MISSING)) is MISSING:
                floor = self._recent.get(stored, self._older.get(stored))
            if floor is not None and version <= floor:
                return None
        return new if old is None else self._over(old, new, merging=merging)

    # --- many, all together or none --------------------------------------------

    def put_all(self, ops: Sequence[Op], first: bool = False, /) -> int:
        """
        Make all of *ops* in order, or none; nothing is merged, or dropped for them.

        A table that keeps an order, to drop the oldest, has to be written to one by one.
        """
        if self._ordered and ops:
            return CLOSED if self.closed else FULL
        outcome, tries = AGAIN, 0
        while outcome == AGAIN:
            tries += 1
            places, births = self._find_all(ops)
            with self._lock if tries > PATIENCE else nullcontext():
                turn, accepted = self._turn, self._accepted
                plan = self._plan(places, ops)
                _gone = [*map(self._waiting.get, plan[0])]  # until the lock is free
                seen = births, turn, accepted, MISSING, None
                outcome = self._write(seen, plan, len(ops), first)
        self._follow(outcome)
        return outcome

    def _plan(self, places: Sequence[Any], ops: Sequence[Op]) -> Plan:
        values, items, extra = dict[Any, Held](), 0, 0
        for stored, (_, value, version, weight) in zip(places, ops, strict=True):
            old = values.get(stored) or self._waiting.get(stored)
            new = self._next(stored, old, (value, version, 0, weight), merging=False)
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
        outcome = AGAIN
        while outcome == AGAIN:
            outcome = self._delete(*self._find(key))
        self._serve()
        self._follow(outcome)
        return outcome

    def _delete(self, stored: Any, births: int | None) -> int:
        room, lock, count, weight = self._room, self._lock, 0, 0
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
        return outcome
