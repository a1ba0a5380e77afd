"""
A stored Queue's table: what is committed lands here, and waits as bytes, or only on the disk.

            committer            worker, off the loop
               │ land               │ fill
               ▼                    ▼
     ┌────────────────────┐      ┌──────┐
     │ chunks, so many    │ ───► │ line │ ───► see `line`
     │ bytes; then counts │      └──────┘
     └────────────────────┘
      read back by range

Positions say what is where: *end* is behind all that was committed, *goal* behind what the present
cycle is to deliver.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ....abc import Chunk, Store
from .landing import QueueLanding
from .part import Part, from_place, from_position, joined
from .records import weight_from

LOADED = 1 << 20
"""How many bytes are decoded at a time."""

SETTLED = 2000
"""After how many settled records room is given back."""


class StoredQueueTable(QueueLanding):
    """Of one partition."""

    # --- the worker's half -----------------------------------------------------

    @property
    def identity(self) -> str:
        """What its store is told by."""
        return self._store.identity  # type: ignore[no-any-return]

    @property
    def more(self) -> bool:
        """Whether the present cycle has more to load."""
        return self._loaded < self._goal

    def fill(self) -> None:
        """Load what the cycle delivers next, unless something is left over. May read the disk."""
        if self.closed:
            self._committer.catch_up()
        here, least = self._here(), self._first_size or 1  # what was in hand at a crash comes again
        self.left_over = here > 0
        if self.left_over and here >= least:
            return
        if not self.more:
            self._goal, self._rung = self._end, False
        while self.more and self._in_line() < least:
            self._load(self._next_chunks(self._goal - self._loaded))

    def swap(self) -> int:
        """Return how much is loaded; nothing is in hand."""
        self.release()
        return self._in_line()

    def _in_line(self) -> int:
        """Return how much is loaded, and not in hand."""
        return len(self._line.items) - self._at

    def _here(self) -> int:
        """Return how much is loaded."""
        return len(self._hand.items) + self._in_line()

    def reach(self, count: int, /) -> int:
        """Put up to *count* of what waits in memory behind what is in flight; return how many."""
        before = self._loaded
        if self._chunks:  # nobody else takes any
            self._load(self._next_chunks(count))
        self._goal = max(self._goal, self._loaded)
        return self._loaded - before

    def _next_chunks(self, count: int) -> list[Chunk]:
        """Return what comes next: up to so many records, of so many bytes, or a chunk at least."""
        with self._gate:
            size, wanted = 0, self._loaded + count
            found: list[Chunk] = []
            while self._chunks and (not found or (size < LOADED and found[-1].start < wanted)):
                chunk = self._chunks.popleft()
                size += len(chunk.data or b"")
                found.append(chunk)
            self._gone_bytes += size
        return found or self._read()

    def _read(self) -> list[Chunk]:
        turn, end = self._turn, self._end  # what is committed behind it has yet to land
        found = self._store.read(self.index, self._loaded, LOADED)
        found = [chunk for chunk in found if chunk.start < end]
        if not found or found[-1].start + found[-1].count >= end:
            self._change(turn, {"_spilled": False})  # unless something has come
        return found

    def _load(self, chunks: Sequence[Chunk]) -> None:
        """Put the records of *chunks* in line."""
        decoded = [(chunk, self._records.of(chunk, self._loaded)) for chunk in chunks]
        while True:
            turn, dropped, at = self._turn, self._dropped, self._loaded
            held = sum(weight_from(chunk, 0 if self._is_whole else at) for chunk in chunks)
            mine, loaded, lost = self._unloaded(decoded)
            line, missing = joined([from_place(self._line, self._at), mine]), sum(lost.values())
            changes: dict[str, Any] = {"_line": line, "_at": 0, "_loaded": loaded}
            changes |= {"_goal": max(self._goal, loaded), "_is_whole": False}
            if missing:
                reasons = {why: self._reasons.get(why, 0) + lost[why] for why in lost}
                changes |= {"_dropped": dropped + missing, "_reasons": self._reasons | reasons}
            if self._change(turn, changes, (missing, 0)):
                break
        if self._room is not None and self._room.bytes is not None:
            self._room.give_back(0, held - sum(mine.weights))

    def _unloaded(self, decoded: Sequence[tuple[Chunk, Part]]) -> tuple[Part, int, Counter[str]]:
        """Return what is to be loaded, up to where, and how much of it is lost for which reason."""
        loaded, lost = self._loaded, Counter[str]()
        mine: list[Part] = []
        for (start, count, data), records in decoded:
            part = records
            if loaded > start:  # recovered in the middle of it, or dropped since
                part = from_position(records, loaded)
            end = max(loaded, start + count)
            if missing := end - max(loaded, start) - len(part.items):
                lost["damaged" if data is None else "undecodable"] += missing
            mine.append(part)
            loaded = end
        return joined(mine), loaded, lost

    def note(self) -> None:
        """Have the store know what is settled."""
        now = self.cursor()
        if now != self._noted and self._store is not None:
            cursor, kept, hand = now
            self._store.settle(self.index, cursor, kept, hand)
            self._noted, self.unnoted = now, None
            if self._committer.is_awaited:
                time.sleep(0)  # it does not get the interpreter by itself, for 5 ms each time
            if cursor - self._reclaimed >= SETTLED or (cursor == self._end and not kept):
                self._reclaimed = cursor
                self._committer.reclaim()

    # --- the numbers -----------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Return the table's part of the ledger, at one instant."""
        while True:
            turn, goal, loaded = self._turn, self._goal, self._loaded
            here = self._here()
            counts = {
                "accepted": self._accepted,
                "recovered": self._recovered,
                "delivered": self.delivered,
                "dead_lettered": self._buried,
                "dropped": self._dropped,
                "coalesced": 0,
                "deleted": 0,
                "waiting": self._end - max(goal, loaded),
                "in_flight": max(goal, loaded) - loaded + here,
            }
            if self._change(turn, {}):
                return counts

    def reasons(self) -> dict[str, int]:
        """Return how many were dropped for which reason."""
        reasons = dict(self._reasons)
        full = self._dropped - sum(reasons.values())
        return reasons | ({"full": full} if full else {})

    def __len__(self) -> int:
        counts = self.counts()
        return counts["waiting"] + counts["in_flight"]

    def stored(self, store: Store) -> Iterator[Any]:
        """Yield what *store* holds of it, from the disk, as it is asked for."""
        now = store.cursor(self.index)
        records = self.kind_of_records(store, self.index, weighed=False)
        for chunk in store.records(self.index):
            part = records.of(chunk, 0, keep=False)
            for position, item in zip(part.places, part.items, strict=True):
                if position >= now.cursor or position in now.kept:
                    yield item

    def keep_dead(self, items: list[Any], error: BaseException, attempts: int) -> None:
        """Keep what was given up in the store: the dead letter handler, unless one is given."""
        said = f"{type(error).__name__}: {error}"
        data = self._store.codec.pack(items)
        self._store.bury(self.index, data, len(items), said, attempts)

    def faults(self) -> list[BaseException]:
        """Return none: nothing is merged."""
        return []
