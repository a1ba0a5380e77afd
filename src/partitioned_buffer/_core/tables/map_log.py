"""
The writers' half of a Map's table: writes go to a log, the log is folded into a dict.

A write that reads, compares and replaces needs a lock; a write that is only
appended to a list needs none. So writers append operations, and whoever needs
the result folds them, in order, under the lock: the worker at a swap, a reader,
or the writer that finds `FOLD_AT` of them, if nobody else is at it.

A version has to beat the one that is waiting, else the one in flight, else the
last one delivered, as far as that is remembered: so that the processor never
sees a key go backwards.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from operator import length_hint
from typing import Any, Generic, TypeVar

from .entry import NEWER, PUT, Entry, Op
from .old_table import Drop, Table
from .versions import Versions

K = TypeVar("K")
V = TypeVar("V")

FOLD_AT = 256
"""Operations in the log that a writer folds: few for the garbage collector, many for the lock."""

BACKLOG, PAUSE = 16 * FOLD_AT, 0.001
"""The log's length at which a writer lets the one who folds catch up, and for how many seconds.
It does not wait for the lock: it may be a finalizer in the middle of another table's fold."""


class MergeFailed(Exception):
    """The user's `merge` raised *error*."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _guarded(merge: Callable[[V, V], V]) -> Callable[[V, V], V]:
    def merged(old: V, new: V) -> V:
        try:
            return merge(old, new)
        except Exception as error:
            raise MergeFailed(error) from error

    return merged


class MapLog(Table[list[Entry[K, V]] | dict[K, Entry[K, V]]], Generic[K, V]):
    """What is written: a log, and the entries it has been folded into."""

    # fmt: off
    __slots__ = (
        "_accepted", "_coalesced", "_counted", "_delete_ops", "_deleted",
        "_entries", "_hand", "_handed", "_hidden", "_in_flight", "_merge", "_plain", "_remember",
        "_removed", "_versions", "limit", "log", "mixed",
    )
    # fmt: on

    def __init__(self, remember: int = 0, merge: Callable[[V, V], V] | None = None) -> None:
        self._remember = remember
        self._merge = None if merge is None else _guarded(merge)
        super().__init__()

    def reset(self) -> None:
        super().reset()
        self.log: list[Op] = []
        self.limit = 0
        self._entries: dict[K, Any] = {}
        self._in_flight: dict[K, Any] = {}
        self._handed: Collection[K] = ()  # keys the processor has
        self._hidden: set[K] = set()  # those of them deleted since
        self._hand: dict[K, None] | None = None  # keys of a batch that failed, still to be settled
        self._versions: Versions[K] = Versions(self._remember)
        # Set by a writer before its first operation that is not a plain put. Until then
        # the dicts hold bare values, and a fold is one `dict.update`.
        self.mixed = self._merge is not None
        self._plain: bool | None = True  # None while that changes, for readers without the lock
        self._accepted = self._coalesced = self._deleted = 0
        self._delete_ops = 0  # in the fold that is going on
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
        # Look, then `with`: an interrupt between acquire() and try would leave the lock locked.
        if not self._busy:
            with self._lock:
                self._fold()
        elif len(self.log) > BACKLOG:
            time.sleep(PAUSE)
        return True

    def _take_back(self, ops: Sequence[Op]) -> bool:
        # The operations of one call are in the log side by side, or folded together.
        for start in range(len(self.log) - len(ops), -1, -1):
            if not ops or self.log[start] is ops[0]:
                del self.log[start : start + len(ops)]
                return True
        return False

    def _fold(self) -> None:
        """Apply the log; in the middle of other work here (from a finalizer) do nothing."""
        if self._busy or self._sealed or not self.log:
            return
        self._busy = True
        try:
            if self.mixed and self._plain:
                self._widen()
            self._fold_log()
        finally:
            self._busy = False
        if self._flush_at is not None and not self._rung and len(self._entries) >= self._flush_at:
            self._rung = True
            self._wake()
        self._watch()
        self._catch_up()

    def _catch_up(self) -> None:
        # Writers that found the table busy did not fold: let the worker look.
        is_watched = self._flush_at is not None and not (self._rung or self.closed)
        if is_watched and len(self.log) >= self.limit:
            self._rung = True
            self._watch()
            self._wake()

    def _fold_log(self) -> None:
        ops = self.log[:]
        rest, drops, left = iter(ops), list[Drop](), 1
        self._delete_ops = 0
        try:
            self._apply_all(rest, drops)
            left = 0
        finally:  # cut short by an interrupt: what was begun last is begun again
            left += length_hint(rest)
            done, dropped, now = max(0, len(ops) - left), len(drops), len(self._entries)
            writes = done - self._delete_ops
            growth = now + self._removed - self._counted
            # No call between these lines, so that no signal handler can part them.
            self._accepted += writes
            self._dropped += dropped
            self._coalesced += writes - dropped - growth
            self._counted = now
            self._removed = 0
            del self.log[:done]
            for drop in drops:
                self._note(drop)

    def _widen(self) -> None:
        """Give up bare values for tuples, which have room for a version."""
        entries = {key: (key, value, 0, 0) for key, value in self._entries.items()}
        in_flight = {key: (key, value, 0, 0) for key, value in self._in_flight.items()}
        # No call between these lines, so that no interrupt leaves one dict wide, one plain.
        self._plain = None
        self._entries, self._in_flight = entries, in_flight
        self._plain = False

    def _apply_all(self, ops: Iterator[Op], drops: list[Drop]) -> None:
        """Apply *ops* in order, except those that raise."""
        while True:
            try:
                self._apply(ops)
            except MergeFailed as error:
                drops.append(Drop(1, "merge failed", error.error))
            except Exception as error:
                drops.append(Drop(1, "key cannot be compared", error))
            else:
                return

    def _apply(self, ops: Iterator[Op]) -> None:
        entries, merge = self._entries, self._merge
        if self._plain:
            entries.update(ops)
            return
        get = entries.get
        rivals = self._in_flight or self._versions  # what an absent key has to beat
        for op in ops:
            if len(op) == PUT:
                if merge is None or (have := get(op[0])) is None:
                    entries[op[0]] = (*op, 0, 0)
                else:
                    entries[op[0]] = (op[0], merge(have[1], op[1]), 0, 0)
                continue
            key, value, version, mark = op
            if mark is NEWER:
                have = get(key)
                if have is None:
                    if not rivals or self._is_new(key, version):
                        entries[key] = op
                elif version > have[2]:
                    newest = value if merge is None else merge(have[1], value)
                    entries[key] = (key, newest, version, (have[3] or 0) + 1)
            else:
                self._delete_ops += 1
                with suppress(Exception):  # the key's own `__eq__`: there is nothing to delete
                    self._delete(key)

    def _is_new(self, key: K, version: int) -> bool:
        """Compare *version* with what is in flight, else with what was delivered."""
        if key in self._in_flight and key not in self._hidden:
            return bool(version > self._in_flight[key][2])
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
                if self._hand:
                    self._hand.pop(key, None)
