"""
A Map's table: one value by key, the last one written or the newest. The writers' half.

A version has to beat the one that waits, else the one in flight, else the one delivered last,
as far as that is remembered: so that the processor never sees a key go backwards.
"""

from typing import Any

from .entry import MISSING
from .keys import SAFE, safe
from .map_held import UPDATES, VERSION, WEIGHT
from .map_many import MapMany
from .step import AGAIN, CLOSED, FULL, MADE

_STALE: Any = object()  # is what no key's value ever is


class MapTable(MapMany):
    """Entries by key: the last write wins, or the newest version."""

    __slots__ = ()

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
        plain, outcome = type(key) in SAFE or safe(key), AGAIN
        if plain and version is None and self._simple:
            outcome = self._put_simply(key, value)
        while outcome == AGAIN:
            simply = plain and not self._foreign
            stored, births = (key, None) if simply else self._find(key, plain)
            expected, both, weighs = MISSING, value, weight
            if self._merge is not None:
                expected, both, weighs = self._merged(stored, value, version, weight)
            outcome = self._put(stored, births, expected, both, version, weighs, first)
            if outcome == FULL:
                outcome = self._make_room(1, weight)
        if self._bell is not None or self.observer is not None:
            self._follow(outcome)
        return outcome

    def _put_simply(self, key: Any, value: Any) -> int:
        lock = self._lock
        _ = lock.take
        try:
            # zone
            if self._closed:
                outcome = CLOSED
            elif not self._simple:
                outcome = AGAIN
            else:
                waiting = self._waiting
                if key in waiting:
                    _gone = waiting[key]  # until the lock is free
                    self._coalesced += 1
                else:
                    self._births += 1
                waiting[key] = value
                self._accepted += 1
                outcome = MADE
            # end
        finally:
            _ = lock.free
        return outcome

    def _put(
        self,
        stored: Any,
        births: int | None,
        expected: Any,
        value: Any,
        version: int | None,
        weight: int,
        first: bool,
    ) -> int:
        room, lock, merging, extra, floor = self._room, self._lock, self._merge is not None, 0, None
        new = [version, 0, weight] if version is not None or self._weighed else None
        _ = lock.take
        try:
            # zone
            waiting, marks = self._waiting, self._marks
            mark = marks[stored] if stored in marks else None
            known = stored in waiting
            extra = weight if mark is None else weight - mark[WEIGHT]
            if known:
                floor = 0 if mark is None else mark[VERSION] or 0
            elif stored in self._flying and not (stored in self._hidden or stored in self._settled):
                floor = self._flown[stored][VERSION] or 0 if stored in self._flown else 0
            elif stored in self._recent:
                floor = self._recent[stored]
            elif stored in self._older:
                floor = self._older[stored]
            if self._closed:
                outcome = CLOSED
            elif self._foreign if births is None else births != self._births:
                outcome = AGAIN
            elif version is not None and floor is not None and version <= floor:
                self._accepted += 1
                self._coalesced += 1
                outcome = MADE
            elif merging and (waiting[stored] if known else MISSING) is not expected:
                outcome = AGAIN
            elif room is not None and (
                (room.line and not first and (extra > 0 or not known))
                or (not known and room.used >= room.limit)
                or (extra > 0 and room.used_bytes + extra > room.limit_bytes)
            ):
                outcome = FULL
            else:
                _gone = waiting[stored] if known else None  # until the lock is free
                if new is not None:
                    if known and version is not None:
                        new[UPDATES] = 1 if mark is None else mark[UPDATES] + 1
                    marks[stored] = new
                elif mark is not None:
                    del marks[stored]
                if known:
                    self._coalesced += 1
                else:
                    self._births += 1
                if births is not None:
                    self._foreign = True
                self._simple = False
                if room is not None:
                    room.used += 0 if known else 1
                    room.used_bytes += extra
                waiting[stored] = value
                self._accepted += 1
                outcome = MADE
            # end
        finally:
            _ = lock.free
        if extra < 0:
            self._serve()
        return outcome

    def _merged(
        self, stored: Any, value: Any, version: int | None, weight: int
    ) -> tuple[Any, Any, int]:
        """Return what waits, and what that and *value* make together. Runs user code."""
        mark, waits = self._marks.get(stored), self._waiting.get(stored, MISSING)
        if waits is MISSING or self._merge is None:
            return waits, value, weight
        if version is not None and version <= (mark[VERSION] or 0 if mark else 0):
            return _STALE, value, weight
        both = self._merge(waits, value)
        return waits, both, weight if self._weigh is None else self._weigh(both)

    # --- reading, and forgetting -----------------------------------------------

    def get(self, key: Any, default: Any = None, /) -> Any:
        """Return the value held for *key* until it is settled, else *default*."""
        stored, plain = key, type(key) in SAFE or safe(key)
        if self._foreign or not plain:
            stored, _ = self._find(key, plain)
        lock = self._lock
        _ = lock.take
        try:
            # zone
            if stored in self._waiting:
                value = self._waiting[stored]
            elif stored in self._hidden or stored in self._settled:
                value = default
            elif stored in self._flying:
                value = self._flying[stored]
            else:
                value = default
            # end
        finally:
            _ = lock.free
        return value

    def has(self, key: Any, /) -> bool:
        """Return whether `get` would find *key*."""
        return self.get(key, MISSING) is not MISSING

    def delete(self, key: Any, /) -> int:
        """Forget *key*: what waits, what is in flight unless the processor has it, its version."""
        plain, outcome = type(key) in SAFE or safe(key), AGAIN
        while outcome == AGAIN:
            outcome = self._delete(*self._find(key, plain))
        self._serve()
        self._follow(outcome)
        return outcome

    def _delete(self, stored: Any, births: int | None) -> int:
        room, lock, count, weight = self._room, self._lock, 0, 0
        _ = lock.take
        try:
            # zone
            if self._closed:
                outcome = CLOSED
            elif self._foreign if births is None else births != self._births:
                outcome = AGAIN
            else:
                if stored in self._waiting:
                    _gone = self._waiting[stored]  # until the lock is free
                    del self._waiting[stored]
                    count = 1
                    if stored in self._marks:
                        weight = self._marks[stored][WEIGHT]
                        del self._marks[stored]
                if stored in self._flying and stored not in self._settled:
                    if stored in self._out:
                        self._hidden[stored] = None
                    else:
                        _old = self._flying[stored]  # likewise
                        del self._flying[stored]
                        count += 1
                        self._aloft -= 1
                        if stored in self._flown:
                            weight += self._flown[stored][WEIGHT]
                            del self._flown[stored]
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
            # end
        finally:
            _ = lock.free
        return outcome
