"""
A Map's table: one value by key, the last one written or the newest. The writers' half.

A version has to beat the one that waits, else the one in flight, else the one delivered last,
as far as that is remembered: so that the processor never sees a key go backwards.
"""

from collections.abc import Sequence
from typing import Any

from .entry import MISSING
from .keys import SAFE, Probe, boxed, safe, same
from .map_flight import MapFlight
from .map_held import UPDATES, VERSION, WEIGHT
from .map_plan import Op, Plan
from .step import AGAIN, CLOSED, FULL, MADE

_STALE: Any = object()  # is what no key's value ever is

PATIENCE = 3
"""How often many writes are tried, before others are kept waiting while they are prepared."""


class MapTable(MapFlight):
    """Entries by key: the last write wins, or the newest version."""

    __slots__ = ()

    def put(
        self,
        key: Any,
        value: Any,
        version: int | None = None,
        weight: int = 0,
        first: bool = False,
    ) -> int:
        """Accept *value*, with a *version* only if that is newer; the *first* need not wait."""
        plain, outcome = type(key) in SAFE or safe(key), AGAIN
        if plain and version is None and self._simple:
            outcome = self._put_simply(key, value)
        while outcome == AGAIN:
            stored, births = self._find(key, plain)
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
                    gone = waiting[key]  # noqa: F841  # until the lock is free
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
                gone = waiting[stored] if known else None  # noqa: F841  # until the lock is free
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
                if new is not None or births is not None:
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

    def _find(self, key: Any, plain: bool) -> tuple[Any, int | None]:
        """Return what *key* is stored as, and when that was so; None: whenever none is in a box."""
        if plain and not self._foreign:
            return key, None
        births, probe = self._births, Probe(hash(key))
        for part in self._keyed():
            if plain and key in part:
                return key, births
            probe in part  # noqa: B015  # collects those of the same hash
        stored = same(key, probe.found, MISSING)
        if stored is MISSING:
            stored = key if plain else boxed(key, probe.hash)
        return stored, births

    # --- writes of many --------------------------------------------------------

    def put_all(self, ops: Sequence[Op], first: bool = False) -> int:
        """
        Make all of *ops* in order, or none; nothing is merged, or dropped for them.

        A table that keeps an order, to drop the oldest, has to be written to one by one.
        """
        if self._ordered and ops:
            return CLOSED if self._closed else FULL
        outcome, tries = AGAIN, 0
        while outcome == AGAIN:
            places, births = self._find_all(ops)
            tries += 1
            if tries <= PATIENCE:
                outcome = self._put_all(places, births, ops, first)
            else:
                with self._lock:
                    outcome = self._put_all(places, births, ops, first)
        self._follow(outcome)
        return outcome

    def _put_all(
        self, places: Sequence[Any], births: int | None, ops: Sequence[Op], first: bool
    ) -> int:
        room, lock, size = self._room, self._lock, len(ops)
        turn, accepted = self._turn, self._accepted
        plan = Plan(self, places, ops)
        values, fresh, new, extra = plan.values, plan.marks, plan.new, plan.extra
        _ = lock.take
        try:
            # zone
            if self._closed:
                outcome = CLOSED
            elif turn != self._turn or accepted != self._accepted:
                outcome = AGAIN
            elif self._foreign if births is None else births != self._births:
                outcome = AGAIN
            elif room is not None and (
                (room.line and not first and (new or extra > 0))
                or (new and room.used + new > room.limit)
                or (extra > 0 and room.used_bytes + extra > room.limit_bytes)
            ):
                outcome = FULL
            else:
                waiting, marks = self._waiting, self._marks
                marks |= fresh
                waiting |= values
                self._accepted += size
                self._coalesced += plan.coalesced
                self._births += new
                if births is not None:
                    self._foreign = True
                if fresh or births is not None:
                    self._simple = False
                if room is not None:
                    room.used += new
                    room.used_bytes += extra
                outcome = MADE
            # end
        finally:
            _ = lock.free
        if extra < 0:
            self._serve()
        return outcome

    def needs(self, ops: Sequence[Op]) -> tuple[int, int]:
        """Return how many items and bytes of new room *ops* would take now."""
        places, _ = self._find_all(ops)
        plan = Plan(self, places, ops)
        return plan.new, max(0, plan.extra)

    def _find_all(self, ops: Sequence[Op]) -> tuple[list[Any], int | None]:
        """Return what all keys are stored as, those that are new once each."""
        if not self._foreign and all(type(op[0]) in SAFE or safe(op[0]) for op in ops):
            return [op[0] for op in ops], None
        births, places, met = self._births, [], dict[int, list[Any]]()
        for op in ops:
            stored, _ = self._find(op[0], safe(op[0]))
            others = met.setdefault(hash(stored), [])
            stored = same(op[0], others, stored)
            others.append(stored)
            places.append(stored)
        return places, births

    # --- reading, and forgetting -----------------------------------------------

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value held for *key* until it is settled, else *default*."""
        stored, _ = self._find(key, type(key) in SAFE or safe(key))
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

    def has(self, key: Any) -> bool:
        """Return whether `get` would find *key*."""
        return self.get(key, MISSING) is not MISSING

    def delete(self, key: Any) -> int:
        """Forget *key*: what waits, what is in flight unless the processor has it, its version."""
        plain, outcome = type(key) in SAFE or safe(key), AGAIN
        while outcome == AGAIN:
            outcome = self._delete(*self._find(key, plain))
        self._serve()
        self._follow(outcome)
        return outcome

    def _delete(self, stored: Any, births: int | None) -> int:
        room, lock, gone, old, count, weight = self._room, self._lock, None, None, 0, 0
        _ = lock.take
        try:
            # zone
            if self._closed:
                outcome = CLOSED
            elif self._foreign if births is None else births != self._births:
                outcome = AGAIN
            else:
                if stored in self._waiting:
                    gone = self._waiting[stored]  # noqa: F841  # until the lock is free
                    del self._waiting[stored]
                    count = 1
                    if stored in self._marks:
                        weight = self._marks[stored][WEIGHT]
                        del self._marks[stored]
                if stored in self._flying and stored not in self._settled:
                    if stored in self._out:
                        self._hidden[stored] = None
                    else:
                        old = self._flying[stored]  # noqa: F841  # likewise
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
