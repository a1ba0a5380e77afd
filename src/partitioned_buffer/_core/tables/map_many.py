"""
A Map's table: which stored key a key is, and writes of many keys in one step.
"""

from collections.abc import Sequence
from typing import Any

from .entry import MISSING
from .keys import SAFE, Probe, boxed, safe, same
from .map_flight import MapFlight
from .map_held import UPDATES, VERSION, WEIGHT, MapHeld
from .step import AGAIN, CLOSED, FULL, MADE

Op = tuple[Any, Any, int | None, int]
"""A write: key, value, version or None, weight."""

PATIENCE = 3
"""How often many writes are tried, before others are kept waiting while they are prepared."""


class Plan:
    """What many writes come to, worked out on the side, for a step that makes them all."""

    def __init__(self, table: MapHeld, places: Sequence[Any], ops: Sequence[Op]) -> None:
        self.values: dict[Any, Any] = {}
        self.marks: dict[Any, list[Any]] = {}
        self.coalesced = self.new = self.extra = 0
        for stored, (_, value, version, weight) in zip(places, ops, strict=True):
            self._add(table, stored, value, version, weight)
        self.replaced = [table._waiting.get(stored) for stored in self.values]

    def _add(
        self, table: MapHeld, stored: Any, value: Any, version: int | None, weight: int
    ) -> None:
        mark = self.marks.get(stored) or table._marks.get(stored)
        known = stored in self.values or stored in table._waiting
        floor = (mark[VERSION] or 0 if mark else 0) if known else table._floor(stored)
        if version is not None and floor is not None and version <= floor:
            self.coalesced += 1
            return
        if known:
            self.coalesced += 1
        else:
            self.new += 1
        self.extra += weight - (mark[WEIGHT] if mark else 0)
        if mark or version is not None or table._weighed:
            updates = (mark[UPDATES] if mark else 0) + 1 if known and version is not None else 0
            self.marks[stored] = [version, updates, weight]
        self.values[stored] = value


class MapMany(MapFlight):
    """All together, or none."""

    __slots__ = ()

    def _find(self, key: Any, plain: bool) -> tuple[Any, int | None]:
        """Return what *key* is stored as, and when that was so; None: whenever none is in a box."""
        if plain and not self._foreign:
            return key, None
        births, probe = self._births, Probe(hash(key))
        for part in self._keyed():
            if plain and key in part:
                return key, births
            _ = probe in part  # collects those of the same hash
        stored = same(key, probe.found, MISSING)
        if stored is MISSING:
            stored = key if plain else boxed(key, probe.hash)
        return stored, births

    def put_all(self, ops: Sequence[Op], first: bool = False, /) -> int:
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

    def needs(self, ops: Sequence[Op], /) -> tuple[int, int]:
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
