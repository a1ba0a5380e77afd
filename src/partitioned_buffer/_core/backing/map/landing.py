"""
A stored Map's table: what is held in memory, and how what was committed to the log gets there.

    writers ─► log ─► land ─► the inner table ─► worker
                        │ marks                    │
                        └──────── log ◄── settled ─┘

The inner table, of any kind, holds pairs of a value and its mark, so whatever is taken says up to
which position of the log it goes. Whether a version is newer is known from the marks alone, which
change with the log and nothing else: the same decisions are made when it is read again. The inner
table is told the position as the version, which always is newer; so it counts updates, too.

`land`, `recover` and `snapshot` are for one thread at a time, the committer's. No lock is held
while anything of the user's is called.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Protocol

from ...tables import implementation
from ...tables.entry import MISSING, Entry
from .log import BURIED, DELETE, KEPT, SETTLED, VOID, WRITES
from .marks import FIRST, POSITION, VERSION, Mark, Marks
from .replay import Replayed
from .snapshot import Kept, known

Landing = tuple[int, Any, Any, int | None, int]
"""
What is landed: kind, key, value, version, weight. Of what is `settled()`, the value is the position
up to which that goes.
"""

_BYTES = 1 << 62
"""More than any table holds: a room that has a bound counts bytes."""


class Bound(Protocol):
    """Where room was taken before the commit: of one item and its weight, for each write."""

    def give_back(self, size: int, weight: int, /) -> object:
        """Take back room; less than none of bytes, where `merge` made more of them."""
        ...


def _stamping(merge: Callable[[Any, Any], Any] | None) -> Callable[[Any, Any], Any] | None:
    if merge is None:
        return None
    return lambda old, new: (merge(old[0], new[0]), new[1])


def _inside(weigh: Callable[[Any], int] | None) -> Callable[[Any], int] | None:
    return None if weigh is None else lambda stamped: weigh(stamped[0])


def _stamp(mark: Mark) -> int | None:
    """Return the version that the inner table is told."""
    return None if mark[VERSION] is None else mark[POSITION] + 1  # more than 0, as any


class MapLanding:
    """The committer's half."""

    def __init__(
        self,
        *,
        merge: Callable[[Any, Any], Any] | None = None,
        remember: int = 100_000,
        weigh: Callable[[Any], int] | None = None,
        bound: Bound | None = None,
        made: Any = implementation,
    ) -> None:
        self._remember, self._weigh, self._bound = remember, weigh, bound
        self._room = None if bound is None else made.Room(None, _BYTES, "block")
        # It remembers no versions: those that it is told are positions.
        self._inner = made.MapTable(self._room, _stamping(merge), 0, _inside(weigh))
        self._giving = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Be as new, empty and closed."""
        if self._room is not None:
            self._room.reset()
        self._inner.reset()
        self._inner.open(lambda: None, None)  # what was committed lands, closed or not
        self.closed = True
        """Whether it takes no writes."""
        self.recovered = 0
        """How many entries were there from the start; they count as accepted."""
        self.unmerged = 0
        """How many values of the log `merge` refused when it was read again."""
        self._marks = Marks(self._remember)
        self._stale = self._united = 0  # writes that were not newer; that recovery merged
        self._settled: deque[Landing] = deque()  # what the log is to be told
        self._leaving: dict[int, Entry[Any, Any]] = {}  # settled, and the log does not say so yet
        self._landed, self._given = (0, 0), (0, 0)  # items and bytes: room taken, and given back
        self._asked = False  # to give back room

    # --- from the log ----------------------------------------------------------

    def land(self, position: int, ops: Sequence[Landing], /) -> list[BaseException | None]:
        """
        Do what *ops* say, which were committed from that *position* on; in the order of the log.

        Returns what each of them raised, None if nothing: it came to nothing then, which is the
        last of what is `settled()`. That has to be committed before any writer of these, or of
        later ones, is answered: read without it, the log could say that another was not newer.
        """
        weights, count = 0, 0
        raised: list[BaseException | None] = []
        for at, op in enumerate(ops, position):
            error = None
            if op[0] in WRITES:
                count, weights = count + 1, weights + op[4]
            try:
                self._do(at, op)
            except BaseException as caught:
                error = caught
                self._settled.append((VOID, op[1], at, None, 0))
            raised.append(error)
        size, total = self._landed
        self._landed = size + count, total + weights
        self._give_back(grown=True)
        return raised

    def _do(self, at: int, op: Landing) -> None:
        kind, key, value, version, weight = op
        if kind in WRITES:
            mark = self._marks.next(key, version, at)
            if mark is None:
                self._stale += 1
            else:
                self._place(key, value, mark, weight)
        elif kind == DELETE:
            self._inner.delete(key)
            self._marks.delete(key)
        elif kind in (SETTLED, BURIED):
            self._leaving.pop(value, None)
            self._marks.settle(key, value, version, buried=kind == BURIED)

    def _place(self, key: Any, value: Any, mark: Mark, weight: int) -> None:
        self._inner.put(key, (value, mark), _stamp(mark), weight)
        self._marks.held[key] = mark

    def recover(self, replayed: Replayed, /) -> None:
        """
        Hold what a log came to, before anything else. What *bound* has room for is not told.

        What `merge` refuses is left out, and counted as `unmerged`.
        """
        self._marks = Marks(self._remember)
        self._marks.recent, self._marks.older = (
            dict(replayed.marks.recent),
            dict(replayed.marks.older),
        )
        if replayed.merges or self._weigh is not None:
            self._recover_each(replayed)
        else:
            self._recover_all(replayed.values, replayed.marks.held)
        self._united = self._inner.counts()["coalesced"]
        self.recovered = len(self._inner)
        self._landed = self._inner_use()

    def _recover_all(self, values: dict[Any, Any], held: dict[Any, Mark]) -> None:
        """Do so by thousands: a Map may have millions of keys."""
        marks = iter(held.items())
        while part := list(islice(marks, 1000)):
            # As `_stamp` has it, without a call for each.
            self._inner.put_all(
                [
                    (key, (values[key], m), None if m[VERSION] is None else m[POSITION] + 1, 0)
                    for key, m in part
                ]
            )
        self._marks.held = held

    def _recover_each(self, replayed: Replayed) -> None:
        weigh = self._weigh
        for key, value, mark in replayed.entries():
            try:
                self._place(key, value, mark, 0 if weigh is None else weigh(value))
            except Exception:
                self.unmerged += 1
                self._settled.append((VOID, key, mark[POSITION], None, 0))

    # --- and back --------------------------------------------------------------

    def settled(self) -> list[Landing]:
        """
        Return what has been settled since the last call: to be committed to the log, and landed.

        Each is a kind, a key, the position up to which that goes, a version to remember, and 0.
        """
        return [self._settled.popleft() for _ in range(len(self._settled))]

    def unsettle(self, ops: Sequence[Landing], /) -> None:
        """Have *ops* returned by the next `settled()` again: they were not committed."""
        self._settled.extendleft(reversed(ops))

    def snapshot(self) -> list[Kept]:
        """Return all that the log comes to: what is held by it, and remembered."""
        inner = self._inner.held()  # before what is leaving, so that it is found here or there
        here = {mark[POSITION] for _, (_, mark), _, _ in inner}
        left = [each for at, each in list(self._leaving.items()) if at not in here]
        held = self._marks.held
        kept: list[Kept] = []
        for key, (value, mark), _, _ in [*left, *inner]:  # of each key the older one first
            now, at = held.get(key), mark[POSITION]
            if now is not None and at >= now[FIRST]:  # and not deleted since
                kept.append((KEPT, key, value, mark[VERSION], at))
        return kept + known(self._marks)

    # --- room ------------------------------------------------------------------

    def _inner_use(self) -> tuple[int, int]:
        return (0, 0) if self._room is None else (self._room.used, self._room.used_bytes)

    def _give_back(self, *, grown: bool = False) -> None:
        """
        Give back the room that was taken and is not used.

        What is used is counted by the inner table, so it does not matter who frees it: what was
        taken, less that, less what was given back before, is what is owed. Who finds another in
        the middle of this leaves it to him. While writes are landing they are in use already, and
        not yet counted as taken; so what is negative counts only when all have landed.
        """
        bound = self._bound
        self._asked = bound is not None
        while bound is not None and self._asked and self._giving.acquire(blocking=False):
            try:
                self._asked = False
                (landed, weights), (size, weight) = self._landed, self._given
                used, used_bytes = self._inner_use()
                owed, owed_bytes = landed - used - size, weights - used_bytes - weight
                if not grown:
                    owed, owed_bytes = max(0, owed), max(0, owed_bytes)
                self._given = size + owed, weight + owed_bytes
            finally:
                self._giving.release()
            if owed or owed_bytes:
                bound.give_back(owed, owed_bytes)

    # --- reading ---------------------------------------------------------------

    def get(self, key: Any, default: Any = None, /) -> Any:
        """Return the value held for *key* until it is settled, else *default*."""
        found = self._inner.get(key, MISSING)
        return default if found is MISSING else found[0]

    def has(self, key: Any, /) -> bool:
        """Return whether `get` would find *key*."""
        return bool(self._inner.has(key))

    def all_wait(self, keys: Sequence[Any], /) -> bool:
        """Return whether all *keys* wait, so that writes of them take no room beside."""
        size, _ = self._inner.needs([(key, None, None, 0) for key in keys])
        return int(size) == 0

    def load(self) -> tuple[int, int]:
        """Return how many entries are held, and how many bytes."""
        size, weight = self._inner.load()
        return int(size), int(weight)

    def counts(self) -> dict[str, int]:
        """Return the table's part of the ledger, at one instant."""
        counts: dict[str, int] = self._inner.counts()
        more = self._stale - self._united
        counts["accepted"] += more
        counts["coalesced"] += more
        return counts

    def __len__(self) -> int:
        return len(self._inner)
