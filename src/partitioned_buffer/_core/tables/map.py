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


class MapTable(MapFlight):
    """Entries by key: the last write wins, or the newest version."""

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
        while outcome == AGAIN:
            stored, births = key, None
            if self._foreign or not plain:
                stored, births = self._resolve(key)
            if self._merge is None:
                outcome = self._put(stored, births, MISSING, value, version, weight, first)
            else:
                expected, both, weighs = self._merged(stored, value, version, weight)
                outcome = self._put(stored, births, expected, both, version, weighs, first)
            if outcome == FULL:
                outcome = self._make_room(1, weight)
        if self._bell is not None or self.observer is not None:
            self._follow(outcome)
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
        room, merging = self._room, self._merge is not None
        new = [version, 0, weight] if version is not None or self._weighed else None
        extra = 0
        try:
            self._enter()
            # zone
            waiting, marks, floor = self._waiting, self._marks, None
            mark = marks[stored] if stored in marks else None
            known = stored in waiting
            if version is None:
                floor = None
            elif known:
                floor = 0 if mark is None else mark[VERSION] or 0
            elif (stored in self._hand or stored in self._flying) and stored not in self._hidden:
                floor = self._flown[stored][VERSION] or 0 if stored in self._flown else 0
            elif stored in self._recent:
                floor = self._recent[stored]
            elif stored in self._older:
                floor = self._older[stored]
            extra = weight if mark is None else weight - mark[WEIGHT]
            if self._closed:
                outcome = CLOSED
            elif self._foreign if births is None else births != self._births:
                outcome = AGAIN
            elif floor is not None and version <= floor:
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
                if new is None:
                    if mark is not None:
                        del marks[stored]
                elif mark is None:
                    new[UPDATES] = 1 if known and version is not None else 0
                    marks[stored] = new
                else:
                    mark[UPDATES] = 0 if version is None else mark[UPDATES] + 1
                    mark[VERSION] = version
                    mark[WEIGHT] = weight
                if known:
                    gone = waiting[stored]
                    self._coalesced += 1
                else:
                    gone = None
                    self._births += 1
                    if births is not None:
                        self._foreign = True
                    if room is not None:
                        room.used += 1
                if room is not None:
                    room.used_bytes += extra
                waiting[stored] = value
                self._accepted += 1
                outcome = MADE
            # end
        except BaseException:
            try:  # noqa: SIM105  # as in a Queue's push
                self._leave()
            except RuntimeError:
                pass
            raise
        self._leave()
        if extra < 0:
            self._serve()
        return outcome

    def _merged(
        self, stored: Any, value: Any, version: int | None, weight: int
    ) -> tuple[Any, Any, int]:
        """Return what waits, and what that and *value* make together. Runs user code."""
        with self._lock:
            # zone
            waits = self._waiting[stored] if stored in self._waiting else MISSING
            floor = self._marks[stored][VERSION] or 0 if stored in self._marks else 0
            # end
        if waits is MISSING or self._merge is None:
            return waits, value, weight
        if version is not None and version <= floor:
            return _STALE, value, weight
        both = self._merge(waits, value)
        return waits, both, weight if self._weigh is None else self._weigh(both)

    def _resolve(self, key: Any) -> tuple[Any, int]:
        """Return what *key* is stored as, and when that was so. Runs user code."""
        plain, probe = safe(key), Probe(hash(key))
        with self._lock:
            births = self._births
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
        """Make all of *ops* in order, or none; nothing is merged, or dropped for them."""
        if self._ordered:
            return self._put_each(ops, first)
        outcome = AGAIN
        while outcome == AGAIN:
            places, births = self._resolve_all(ops)
            outcome = self._put_all(places, births, ops, first)
        self._follow(outcome)
        return outcome

    def _put_all(
        self, places: Sequence[Any], births: int | None, ops: Sequence[Op], first: bool
    ) -> int:
        room, size = self._room, len(ops)
        with self._lock:
            turn, accepted = self._turn, self._accepted
            plan = Plan(self, places, ops)
            values, fresh = plan.values, plan.marks
            # zone
            if self._closed:
                outcome = CLOSED
            elif turn != self._turn or accepted != self._accepted:
                outcome = AGAIN
            elif self._foreign if births is None else births != self._births:
                outcome = AGAIN
            elif room is not None and (
                (room.line and not first and (plan.new or plan.extra > 0))
                or (plan.new and room.used + plan.new > room.limit)
                or (plan.extra > 0 and room.used_bytes + plan.extra > room.limit_bytes)
            ):
                outcome = FULL
            else:
                waiting, marks = self._waiting, self._marks
                marks |= fresh
                waiting |= values
                self._accepted += size
                self._coalesced += plan.coalesced
                self._births += plan.new
                if births is not None:
                    self._foreign = True
                if room is not None:
                    room.used += plan.new
                    room.used_bytes += plan.extra
                outcome = MADE
            # end
        if outcome == MADE and plan.extra < 0:
            self._serve()
        return outcome

    def _put_each(self, ops: Sequence[Op], first: bool) -> int:
        """Make *ops* one by one, if there is room for all: for a table that keeps an order."""
        if self._room is not None and not self._room.has(*self.needs(ops)):
            return CLOSED if self._closed else FULL
        outcome = CLOSED if self._closed else MADE
        for key, value, version, weight in ops:
            outcome = self.put(key, value, version, weight, first)
        return outcome

    def needs(self, ops: Sequence[Op]) -> tuple[int, int]:
        """Return how many items and bytes of new room *ops* would take now."""
        places, _ = self._resolve_all(ops)
        with self._lock:
            plan = Plan(self, places, ops)
        return plan.new, max(0, plan.extra)

    def _resolve_all(self, ops: Sequence[Op]) -> tuple[list[Any], int | None]:
        """Return what all keys are stored as, those that are new once each."""
        if not self._foreign and all(type(op[0]) in SAFE or safe(op[0]) for op in ops):
            return [op[0] for op in ops], None
        births, places, met = self._births, [], dict[int, list[Any]]()
        for op in ops:
            stored, _ = self._resolve(op[0])
            others = met.setdefault(hash(stored), [])
            stored = same(op[0], others, stored)
            others.append(stored)
            places.append(stored)
        return places, births

    # --- reading, and forgetting -----------------------------------------------

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value held for *key* until it is settled, else *default*."""
        stored = key
        if self._foreign or not (type(key) in SAFE or safe(key)):
            stored, _ = self._resolve(key)
        try:
            self._enter()
            # zone
            if stored in self._waiting:
                value = self._waiting[stored]
            elif stored in self._hidden:
                value = default
            elif stored in self._hand:
                value = self._hand[stored]
            elif stored in self._flying:
                value = self._flying[stored]
            else:
                value = default
            # end
        except BaseException:
            try:  # noqa: SIM105  # as in a Queue's push
                self._leave()
            except RuntimeError:
                pass
            raise
        self._leave()
        return value

    def has(self, key: Any) -> bool:
        """Return whether `get` would find *key*."""
        return self.get(key, MISSING) is not MISSING

    def delete(self, key: Any) -> int:
        """Forget *key*: what waits, what is in flight unless the processor has it, its version."""
        room, plain, outcome = self._room, type(key) in SAFE or safe(key), AGAIN
        while outcome == AGAIN:
            stored, births = key, None
            if self._foreign or not plain:
                stored, births = self._resolve(key)
            with self._lock:
                # zone
                count, weight = 0, 0
                mark = flown = gone = old = None
                if self._closed:
                    outcome = CLOSED
                elif self._foreign if births is None else births != self._births:
                    outcome = AGAIN
                else:
                    if stored in self._waiting:
                        gone = self._waiting[stored]
                        del self._waiting[stored]
                        count = 1
                        if stored in self._marks:
                            mark = self._marks[stored]
                            weight = mark[WEIGHT]
                            del self._marks[stored]
                    if stored in self._hand and stored in self._out:
                        self._hidden[stored] = None
                    elif stored in self._hand or stored in self._flying:
                        part = self._hand if stored in self._hand else self._flying
                        old = part[stored]  # noqa: F841  # as `gone`
                        del part[stored]
                        count += 1
                        if stored in self._flown:
                            flown = self._flown[stored]
                            weight += flown[WEIGHT]
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
        if outcome == MADE:
            self._serve()
        self._follow(outcome)
        return outcome
