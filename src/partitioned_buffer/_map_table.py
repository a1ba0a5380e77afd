"""
The worker's half of a Map's table: what is in flight, and reading it all.

A failed batch stays in flight, and the next swap puts newer entries over it, so
that a retry carries the newest. A delete reaches what is in flight, too, unless
the processor has it; then it is hidden from readers, and not tried again.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

from ._entry import MISSING, Entry, as_entries, key_of
from ._ledger import PartitionStats
from ._map_log import MapLog

K = TypeVar("K")
V = TypeVar("V")
P = ParamSpec("P")
R = TypeVar("R")


def _long(method: Callable[P, R]) -> Callable[P, R]:
    """Hold the lock during *method*, and let writers see that it may take a while."""

    @wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        table: Any = args[0]
        with table._lock:
            table._busy = True
            try:
                return method(*args, **kwargs)
            finally:
                table._busy = False

    return run


class MapTable(MapLog[K, V], Generic[K, V]):
    """Entries by key: the last write wins, or the newest version."""

    __slots__ = ("_delivered", "_order")

    def reset(self) -> None:
        super().reset()
        self._order: list[K] = []  # keys in flight still to be taken, last one first
        self._delivered = 0

    def swap(self, now: float, *, seal: bool = False) -> int:
        with self._lock:
            self._rung = False
            self._fold()
            self._sealed = seal
            self._swap()
            self._since = now
            self._watch()
            return len(self._in_flight)

    @_long
    def _swap(self) -> None:
        self._take_in()
        if self._in_flight:
            self._merge(self._entries)
        else:
            self._in_flight = self._entries
            self._in_flight_since = self._since
        self._entries = {}
        self._counted = 0
        self._order = list(self._in_flight)
        self._order.reverse()

    @_long
    def release(self) -> None:
        self._take_in()

    def _take_in(self) -> None:
        for key in self._hidden:
            del self._in_flight[key]
        self._deleted += len(self._hidden)
        self._hidden.clear()
        self._handed = ()

    def _merge(self, new: dict[K, Any]) -> None:
        """Put *new* over what failed to be delivered: a retry carries the newest."""
        for key, op in new.items():
            try:
                old = self._in_flight.get(key, MISSING)
                self._in_flight[key] = op
            except Exception as error:  # the key's own `__eq__`
                self._dropped += 1
                self._faults.append(error)
                continue
            if old is not MISSING:
                self._coalesced += 1
                if not self._plain and op[3] != 0:  # not a plain put
                    updates = (old[3] or 0) + (op[3] or 0) + 1
                    self._in_flight[key] = (*op[:3], updates)

    @_long
    def take(self, size: int | None) -> list[Entry[K, V]] | dict[K, Entry[K, V]] | None:
        in_flight = self._in_flight
        if size is None:
            self._order.clear()
            self._handed = in_flight
            whole = as_entries(in_flight, in_flight.values(), bool(self._plain))
            return dict(zip(in_flight, whole, strict=True)) or None
        while self._order:
            keys = self._order[: -size - 1 : -1]
            del self._order[-size:]
            held: list[Any] = list(map(in_flight.get, keys))
            if not self._plain:
                held = [op for op in held if op]  # others were deleted since
                keys = list(map(key_of, held))
            if keys:
                self._handed = keys
                return list(as_entries(keys, held, bool(self._plain)))
        return None

    @_long
    def acknowledge(self) -> None:
        self._delivered += len(self._handed)
        if not self._plain:
            self._remember_versions()
        if self._handed is self._in_flight:
            self._in_flight = {}
        else:
            for key in self._handed:
                del self._in_flight[key]
        self._hidden.clear()
        self._handed = ()

    def _remember_versions(self) -> None:
        for key in self._handed:
            op = self._in_flight[key]
            if op[3] != 0 and key not in self._hidden:
                self._versions.set(key, op[2])
            else:
                self._versions.forget(key)

    def get(self, key: K, default: Any) -> Any:
        plain = self._plain
        if plain is not None and not self.log:  # all writes are folded: look without the lock
            held = self._entries.get(key, MISSING)
            if held is not MISSING and plain is self._plain:
                return held if plain else held[1]
        with self._lock:
            self._fold()
            held = self._entries.get(key, MISSING)
            if held is MISSING and key not in self._hidden:
                held = self._in_flight.get(key, MISSING)
            if held is MISSING:
                return default
            return held if self._plain else held[1]

    def faults(self) -> list[Exception]:
        """Return why entries were dropped since the last call."""
        with self._lock:
            faults, self._faults = self._faults, []
            return faults

    def held(self) -> list[Entry[K, V]]:
        with self._lock:
            self._fold()
            parts = (self._in_flight, self._entries)
            return [e for part in parts for e in as_entries(part, part.values(), bool(self._plain))]

    def stats(self, partition: int, restarts: int, now: float) -> PartitionStats:
        with self._lock:
            self._fold()
            return self._stats(
                now,
                len(self._entries),
                len(self._in_flight),
                partition=partition,
                restarts=restarts,
                accepted=self._accepted,
                delivered=self._delivered,
                dropped=self._dropped,
                coalesced=self._coalesced,
                deleted=self._deleted,
            )
