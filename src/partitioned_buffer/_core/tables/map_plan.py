"""
What many writes to a Map would come to: worked out on the side, for a step that makes them all.
"""

from collections.abc import Sequence
from typing import Any

from .map_held import UPDATES, VERSION, WEIGHT, MapHeld

Op = tuple[Any, Any, int | None, int]
"""A write: key, value, version or None, weight."""


class Plan:
    """The values and marks that there will be, and the numbers that change."""

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
