"""
The worker's half of a Map's table: what is in flight, and reading it all.

A failed batch stays in flight, and newer entries are put over it, so that a retry
carries the newest. A delete reaches what is in flight, too, unless the processor
has it; then it is hidden from readers, and not tried again.
"""

from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from typing import Any, Generic, TypeVar

from .entry import MISSING, Entry, as_entries, key_of
from .map_log import MapLog, MergeFailed
from .old_table import Drop, busily

K = TypeVar("K")
V = TypeVar("V")


class MapTable(MapLog[K, V], Generic[K, V]):
    """Entries by key: the last write wins, or the newest version."""

    __slots__ = ("_buried", "_delivered", "_order", "_whole")

    def reset(self) -> None:
        super().reset()
        self._order: list[K] = []  # keys in flight still to be taken, last one first
        self._whole = False  # whether the processor takes dicts
        self._delivered = self._buried = 0

    @property
    def delivered(self) -> int:
        return self._delivered

    def swap(self, now: float, *, seal: bool = False) -> int:
        with self._lock:
            self._rung = True  # nobody needs to wake who is here
            self._fold()
            self._sealed = seal
            self._swap()
            self._since = now
            self._rung = False
            self._watch()
            self._catch_up()  # with those who looked at the limit that was
            return len(self._in_flight)

    @busily
    def _swap(self) -> None:
        self._hand = None
        self._take_in()
        if self._in_flight:
            for key, op in self._entries.items():
                self._put_over(key, op)
        else:
            self._in_flight = self._entries
            self._in_flight_since = self._since
        self._entries = {}
        self._counted = 0
        self._line_up()

    @busily
    def release(self) -> None:
        self._hand = None
        self._take_in()
        self._line_up()

    def _line_up(self) -> None:
        self._order = list(self._in_flight)
        self._order.reverse()

    def _take_in(self) -> None:
        for key in self._hidden:
            del self._in_flight[key]
        self._deleted += len(self._hidden)
        self._hidden.clear()
        self._handed = ()

    def _put_over(self, key: K, new: Any) -> None:
        """Put a newer entry over what failed to be delivered: a retry carries the newest."""
        old, fault = MISSING, None
        try:
            old = self._in_flight.get(key, MISSING)
            if old is not MISSING and not self._plain:
                new, fault = self._united(old, new)
            self._in_flight[key] = new
        except Exception as error:  # the key's own `__eq__`
            fault = Drop(1, "key cannot be compared", error)
        if fault is not None:
            self._drop(fault)
        elif old is not MISSING:
            self._coalesced += 1

    def _united(self, old: Any, new: Any) -> tuple[Any, Drop | None]:
        key, value, version, updates = new
        fault = None
        if self._merge is not None:
            try:
                value = self._merge(old[1], value)
            except MergeFailed as error:  # then the newer one alone, rather than none
                fault = Drop(1, "merge failed", error.error)
        if updates != 0:  # not a plain put
            updates = (old[3] or 0) + (updates or 0) + 1
        return (key, value, version, updates), fault

    @busily
    def take(self, size: int | None) -> list[Entry[K, V]] | dict[K, Entry[K, V]] | None:
        in_flight = self._in_flight
        self._whole = size is None
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

    @busily
    def acknowledge(self) -> None:
        self._delivered += self._settle()

    @busily
    def bury(self) -> None:
        self._buried += self._settle()

    def _settle(self) -> int:
        """Let go of what the processor had; return how much that was."""
        settled = len(self._handed)
        if not self._plain:
            self._remember_versions()
        if self._handed is self._in_flight:
            self._in_flight = {}
        else:
            for key in self._handed:
                del self._in_flight[key]
        if self._hand:
            for key in self._handed:
                self._hand.pop(key, None)
        self._hidden.clear()
        self._handed = ()
        return settled

    @busily
    def keep(self, failed: Iterable[Any] | None) -> int:
        keys = dict.fromkeys(self._handed)
        if self._hand is None:
            self._hand = dict.fromkeys(keys)
        if failed is not None:
            named = dict.fromkeys(f.key if isinstance(f, Entry) else f for f in failed)
            if named.keys() <= keys.keys():
                self._handed = keys.keys() - named.keys()
                self._hidden, hidden = self._hidden - named.keys(), self._hidden & named.keys()
                self._delivered += self._settle()
                self._hidden, keys = hidden, dict.fromkeys(k for k in keys if k in named)
        for key in self._hidden:
            del keys[key]
            del self._hand[key]
        self._take_in()
        return len(keys)

    def again(self, size: int | None, *, newest: bool = True) -> Any:
        with self._lock:
            self._fold()
            return self._again(size, newest)

    @busily
    def _again(self, size: int | None, newest: bool) -> Any:
        keys = list(islice(self._hand or (), size))
        for key in keys if newest else ():
            with suppress(Exception):  # a waiting key's own `__eq__`: its time will come
                new = self._entries.pop(key, MISSING)
                if new is not MISSING:
                    self._counted -= 1
                    self._put_over(key, new)
        if not keys:
            return None
        self._handed = keys
        batch = list(as_entries(keys, map(self._in_flight.get, keys), bool(self._plain)))
        return dict(zip(keys, batch, strict=True)) if self._whole else batch

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

    def held(self) -> list[Entry[K, V]]:
        with self._lock:
            self._fold()
            parts = (self._in_flight, self._entries)
            return [e for part in parts for e in as_entries(part, part.values(), bool(self._plain))]

    def counts(self, now: float) -> dict[str, Any]:
        with self._lock:
            self._fold()
            return self._ages(now, len(self._entries), len(self._in_flight)) | {
                "accepted": self._accepted,
                "delivered": self._delivered,
                "dead_lettered": self._buried,
                "dropped": self._dropped,
                "drop_reasons": dict(self._drop_reasons),
                "coalesced": self._coalesced,
                "deleted": self._deleted,
            }
