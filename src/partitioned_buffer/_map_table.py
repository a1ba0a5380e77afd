"""
The Map's table: writes go to a log, and the log is folded into a dict.

A write that reads, compares and replaces needs a lock; a write that is only
appended to a list needs none. So writers append operations, and whoever needs
the result folds them, in order, under the lock: the worker at a swap, a reader,
or the writer that finds `FOLD_AT` of them, if nobody else is at it.

A version has to beat the one that is waiting, else the one in flight, else the
last one delivered, as far as that is remembered: so that the processor never
sees a key go backwards.
"""

from collections.abc import Collection, Sequence
from typing import Any, Generic, TypeVar

from ._entry import DELETED, NEWER, Entry, Op, as_entries, key_of
from ._ledger import PartitionStats
from ._tables import Table
from ._versions import Versions

K = TypeVar("K")
V = TypeVar("V")

FOLD_AT = 256
"""Operations in the log that a writer folds: few for the garbage collector, many for the lock."""

BACKLOG, PATIENCE = 16 * FOLD_AT, 0.01
"""The log's length at which a writer waits for the one who folds, and for how many seconds;
not for ever, as it may be a finalizer in the middle of another table's fold."""


class MapTable(Table["list[Entry[K, V]] | dict[K, Entry[K, V]]"], Generic[K, V]):
    """Entries by key: the last write wins, or the newest version."""

    # fmt: off
    __slots__ = (
        "_accepted", "_coalesced", "_counted", "_deleted", "_delivered", "_dropped",
        "_entries", "_faults", "_folding", "_handed", "_hidden", "_in_flight", "_order",
        "_removed", "_versions", "limit", "log", "mixed",
    )
    # fmt: on

    def __init__(self, remember: int = 0) -> None:
        super().__init__()
        self.log: list[Op] = []
        self.limit = 0
        self._entries: dict[K, Op] = {}
        self._in_flight: dict[K, Op] = {}
        self._order: list[K] = []  # keys in flight still to be taken, last one first
        self._handed: Collection[K] = ()  # keys the processor has
        self._hidden: set[K] = set()  # those of them deleted since
        self._versions: Versions[K] = Versions(remember)
        # Set by a writer before its first operation that is not a plain put;
        # until then a fold is one `dict.update`.
        self.mixed = False
        self._folding = False
        self._faults: list[Exception] = []
        self._accepted = self._delivered = self._coalesced = self._deleted = self._dropped = 0
        self._counted = 0  # len(_entries) when it was last accounted for
        self._removed = 0  # entries deleted from _entries since then

    def _watch(self) -> None:
        if self.closed:
            self.limit = 0
        elif self._flush_at is None or self._rung:
            self.limit = FOLD_AT
        else:
            self.limit = max(1, min(FOLD_AT, self._flush_at - len(self._entries)))

    def write(self, ops: list[Op], /) -> bool:
        self.log.extend(ops)
        return len(self.log) < self.limit or self.attend(ops)

    def attend(self, ops: Sequence[Op]) -> bool:
        """Do what a writer has to at `limit`; return whether the write stands."""
        if self.closed:
            with self._lock:
                return not self._take_back(ops)
        if self._lock.acquire(timeout=PATIENCE if len(self.log) > BACKLOG else 0):
            try:
                self._fold()
            finally:
                self._lock.release()
        return True

    def _take_back(self, ops: Sequence[Op]) -> bool:
        # The operations of one call are in the log side by side, or folded together.
        for start in range(len(self.log) - len(ops), -1, -1):
            if not ops or self.log[start] is ops[0]:
                del self.log[start : start + len(ops)]
                return True
        return False

    def _fold(self) -> None:
        """Apply the log; in the middle of another fold (from a finalizer) do nothing."""
        if self._folding or self._sealed or not self.log:
            return
        self._folding = True
        try:
            ops = self.log[:]
            faults: list[Exception] = []
            try:
                deletes = self._apply(ops)
            except Exception:
                deletes = self._apply_singly(ops, faults)
            done, dropped, now = len(ops), len(faults), len(self._entries)
            growth = now + self._removed - self._counted
            # No call between these lines, so that no signal handler can part them.
            self._accepted += done - deletes
            self._dropped += dropped
            self._coalesced += done - deletes - dropped - growth
            self._counted = now
            self._removed = 0
            self._faults += faults
            del self.log[:done]
        finally:
            self._folding = False
        if self._flush_at is not None and not self._rung and now >= self._flush_at:
            self._rung = True
            self._wake()
        self._watch()

    def _apply(self, ops: list[Op]) -> int:
        """Apply *ops* in order; return how many of them were deletes."""
        entries = self._entries
        if not self.mixed:
            entries.update(zip(map(key_of, ops), ops, strict=True))
            return 0
        get, deletes = entries.get, 0
        rivals = self._in_flight or self._versions  # what an absent key has to beat
        for op in ops:
            key, value, version, mark = op
            if mark is NEWER:
                have = get(key)
                if have is None:
                    if not rivals or self._is_new(key, version):
                        entries[key] = op
                elif version > have[2]:
                    entries[key] = (key, value, version, (have[3] or 0) + 1)
            elif mark is DELETED:
                deletes += 1
                self._delete(key)
            else:
                entries[key] = op
        return deletes

    def _apply_singly(self, ops: list[Op], faults: list[Exception]) -> int:
        """Apply what can be applied, where a key's own `__eq__` raised."""
        deletes = 0
        for op in ops:
            try:
                deletes += self._apply([op])
            except Exception as error:
                if op[3] is DELETED:
                    deletes += 1
                else:
                    faults.append(error)
        return deletes

    def _is_new(self, key: K, version: int) -> bool:
        """Compare *version* with what is in flight, else with what was delivered."""
        if key in self._in_flight and key not in self._hidden:
            return version > self._in_flight[key][2]
        seen = self._versions.get(key)
        return seen is None or version > seen

    def _delete(self, key: K) -> None:
        self._versions.forget(key)
        if key in self._entries:
            del self._entries[key]
            self._deleted += 1
            self._removed += 1
        if key in self._in_flight:
            if key in self._handed:  # beyond recall, but a retry need not carry it
                self._hidden.add(key)
            else:
                del self._in_flight[key]
                self._deleted += 1

    def swap(self, now: float, *, seal: bool = False) -> int:
        with self._lock:
            self.release()
            self._rung = False
            self._fold()
            self._sealed = seal
            if self._in_flight:
                self._merge(self._entries)
            else:
                self._in_flight = self._entries
                self._in_flight_since = self._since
            self._entries = {}
            self._counted = 0
            self._order = list(self._in_flight)
            self._order.reverse()
            self._since = now
            self._watch()
            return len(self._in_flight)

    def release(self) -> None:
        with self._lock:
            for key in self._hidden:
                del self._in_flight[key]
            self._deleted += len(self._hidden)
            self._hidden.clear()
            self._handed = ()

    def _merge(self, new: dict[K, Op]) -> None:
        """Put *new* over what failed to be delivered: a retry carries the newest."""
        for key, op in new.items():
            try:
                old = self._in_flight.get(key)
                self._in_flight[key] = op
            except Exception as error:  # the key's own `__eq__`
                self._dropped += 1
                self._faults.append(error)
                continue
            if old is not None:
                self._coalesced += 1
                if op[3] != 0:  # not a plain put
                    updates = (old[3] or 0) + (op[3] or 0) + 1
                    self._in_flight[key] = (*op[:3], updates)

    def take(self, size: int | None) -> "list[Entry[K, V]] | dict[K, Entry[K, V]] | None":
        with self._lock:
            in_flight = self._in_flight
            if size is None:
                self._order.clear()
                self._handed = in_flight
                whole = as_entries(in_flight.values(), self.mixed)
                return dict(zip(in_flight, whole, strict=True)) or None
            while self._order:
                keys = self._order[: -size - 1 : -1]
                del self._order[-size:]
                ops = [op for op in map(in_flight.get, keys) if op]  # others were deleted since
                if ops:
                    self._handed = list(map(key_of, ops))
                    return list(as_entries(ops, self.mixed))
            return None

    def acknowledge(self) -> None:
        with self._lock:
            self._delivered += len(self._handed)
            if self.mixed:
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
        if not self.log and (op := self._entries.get(key)):
            return op[1]  # all writes are folded, and an entry is only ever replaced
        with self._lock:
            self._fold()
            op = self._entries.get(key)
            if not op and key not in self._hidden:
                op = self._in_flight.get(key)
            return op[1] if op else default

    def faults(self) -> list[Exception]:
        """Return why entries were dropped since the last call."""
        with self._lock:
            faults, self._faults = self._faults, []
            return faults

    def held(self) -> list[Entry[K, V]]:
        with self._lock:
            self._fold()
            ops = [*self._in_flight.values(), *self._entries.values()]
            return list(as_entries(ops, self.mixed))

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
