"""
A stored Queue's table: what is committed lands here, and waits as bytes, or only on the disk.

            committer            worker, off the loop
               │ land               │ fill
               ▼                    ▼
     ┌────────────────────┐      ┌──────┐
     │ chunks, so many    │ ───► │ line │ ───► see `queue_line`
     │ bytes; then counts │      └──────┘
     └────────────────────┘
      read back by range

Positions say what is where: *end* is behind all that was committed, *goal* behind what the present
cycle is to deliver.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, repeat
from typing import Any, NamedTuple

from ...abc import Chunk, Store
from ...errors import Undecodable
from ..tables.step import CLOSED, MADE
from .hashes import with_hashes, without_hashes
from .queue_line import QueueLine, Record
from .room import StoreRoom

LOADED = 1 << 20
"""How many bytes are decoded at a time."""

SETTLED = 2000
"""After how many settled records room is given back."""


class QueuePiece(NamedTuple):
    """What a write brings to one table: records, or many of them packed."""

    table: "StoredQueueTable"
    records: Sequence[bytes]
    hashes: Sequence[int]
    packed: bytes | None = None

    @property
    def error(self) -> None:
        """What went wrong where it landed: nothing can."""

    def load(self) -> tuple[int, int]:
        """Return how many items and bytes it is."""
        return len(self.hashes), sum(map(len, self.records))

    def singles(self) -> "list[QueuePiece]":
        """Return it item by item."""
        each = zip(self.records, self.hashes, strict=True)
        return [QueuePiece(self.table, [record], [hashed]) for record, hashed in each]


class StoredQueueTable(QueueLine):
    """Of partition *index*; what of it is in memory takes as much as the store says."""

    def __init__(self, index: int, room: StoreRoom | None) -> None:
        self.index = index
        self._gate = threading.RLock()  # of who lands, and who loads
        super().__init__(room)

    def reset(self) -> None:
        super().reset()
        self.closed = True
        self._gate = threading.RLock()
        self._store: Any = None
        self._committer: Any = None
        self._wake: Callable[[], object] = lambda: None
        self._flush_at: int | None = None
        self._rung = False
        self._accepted = self._recovered = 0
        self._begin(0, 0)

    def _begin(self, cursor: int, end: int) -> None:
        self._start(cursor)
        self._end, self._goal = end, cursor
        self._chunks: deque[Chunk] = deque()
        self._kept_bytes = 0
        self._spilled = end > cursor  # whether there is more than what `_chunks` has
        self._first_size: int | None = None  # of the first batch: it was in hand at the crash
        self.left_over = False  # whether what is in line is the last cycle's
        self._noted: object = None
        self._unreclaimed = 0

    def recover(self, store: Store, committer: Any) -> None:
        """Begin with what *store* holds."""
        self.reset()
        self._store, self._committer = store, committer
        now, end = store.cursor(self.index), store.end(self.index)
        self._begin(now.cursor, end)
        kept = self._recover_kept(now.kept)
        held = len(kept) + end - now.cursor
        self._line, self._recovered, self._accepted = kept, held, held
        self._first_size = len(kept) or now.hand or None
        if self._room is not None:
            kept_weight = sum(record[2] for record in kept)
            weight = kept_weight + (self._store.weight(self.index) if self._room.bytes else 0)
            self._room.add(held, weight)

    def _recover_kept(self, positions: Sequence[int]) -> list[Record]:
        found: dict[int, Record] = {}
        for position in positions:
            if position not in found:
                for chunk in self._store.read(self.index, position, 1)[:1]:
                    found |= {record[0]: record for record in self._decoded(chunk, position)}
        return [found[position] for position in positions if position in found]

    # --- the two ends of a life ------------------------------------------------

    def open(self, wake: Callable[[], object], flush_at: int | None, /) -> None:
        """Let writers in; `wake` is called once per swap, when `flush_at` wait."""
        self._wake, self._flush_at, self.closed = wake, flush_at, False

    def close(self) -> None:
        """Refuse what is not being committed already."""
        self.closed = True

    def rewire(self, wake: Callable[[], object], /) -> None:
        """Let another worker be woken."""
        self._wake = wake

    def retune(self, flush_at: int | None, /) -> None:
        """Change how many waiting items wake the worker; look how many there are."""
        self._flush_at, self._rung = flush_at, False
        self._look()

    # --- the committer's half --------------------------------------------------

    def chunks(self, pieces: Sequence[QueuePiece], /) -> list[tuple[int, bytes]]:
        """Return *pieces* as chunks: records together, and what is packed by itself."""
        made: list[tuple[int, bytes]] = []
        records: list[bytes] = []
        hashes: list[int] = []
        join = self._store.codec.join
        for piece in pieces:
            if piece.packed is None:
                records += piece.records
                hashes += piece.hashes
                continue
            if records:
                made.append((len(records), with_hashes(join(records), hashes)))
                records, hashes = [], []
            made.append((len(piece.hashes), with_hashes(piece.packed, piece.hashes)))
        if records:
            made.append((len(records), with_hashes(join(records), hashes)))
        return made

    def land(
        self, starts: Sequence[int], chunks: Sequence[tuple[int, bytes]], pieces: Sequence[Any], /
    ) -> None:
        """Have what was committed, in order."""
        count = sum(size for size, _ in chunks)
        if self._room is not None and self._room.bytes is not None:
            taken = sum(len(record) for piece in pieces for record in piece.records)
            self._room.add(0, sum(len(data) for _, data in chunks) - taken)
        with self._gate:
            for start, (size, data) in zip(starts, chunks, strict=True):
                if not self._spilled and self._kept_bytes + len(data) <= self._store.window:
                    self._chunks.append(Chunk(start, size, data))
                    self._kept_bytes += len(data)
                else:
                    self._spilled = True
            end = starts[-1] + chunks[-1][0]
            while not self._change(self._turn, {"_accepted": self._accepted + count, "_end": end}):
                pass
        self._look()

    def _look(self) -> None:
        """Wake the worker, once per swap, if enough waits."""
        if self._flush_at and not self._rung and self._end - self._goal >= self._flush_at:
            self._rung = True
            self._wake()

    def drop(self, count: int, /) -> int:
        """Count so many writes as accepted and dropped."""
        while not self.closed:
            more = {"_accepted": self._accepted + count, "_dropped": self._dropped + count}
            if self._change(self._turn, more):
                return MADE
        return CLOSED

    def _drop_unloaded(self) -> bool:
        while True:
            turn, loaded = self._turn, self._loaded
            if loaded >= self._end:
                return False
            changes = {"_loaded": loaded + 1, "_dropped": self._dropped + 1}
            changes["_goal"] = max(self._goal, loaded + 1)
            # What it weighed is known when its chunk is loaded: until then it is counted.
            if self._change(turn, changes, [(loaded, None, 0)]):
                return True

    # --- the worker's half -----------------------------------------------------

    @property
    def more(self) -> bool:
        """Whether the present cycle has more to load."""
        return self._loaded < self._goal

    def fill(self) -> None:
        """Load what the cycle delivers next, unless something is left over. May read the disk."""
        if self.closed:
            self._committer.catch_up()
        self.left_over = bool(self._hand) or self._at < len(self._line)
        if self.left_over:
            return
        if not self.more:
            self._goal, self._rung = self._end, False
        while self.more and self._at == len(self._line):
            self._load(self._next_chunks(self._goal - self._loaded))

    def swap(self) -> int:
        """Return how much is loaded; nothing is in hand."""
        self.release()
        return len(self._line) - self._at

    def reach(self, count: int, /) -> int:
        """Put up to *count* of what waits in memory behind what is in flight; return how many."""
        before = self._loaded
        with self._gate:
            if self._chunks:
                self._load(self._next_chunks(count))
        self._goal = max(self._goal, self._loaded)
        return self._loaded - before

    def take(self, size: int | None = None, /) -> list[Any] | None:
        first, self._first_size = self._first_size, None
        return super().take(size if first is None else min(first, size or first))

    def _next_chunks(self, count: int) -> list[Chunk]:
        """Return what comes next: up to so many records, of so many bytes, or a chunk at least."""
        with self._gate:
            found, size, wanted = list[Chunk](), 0, self._loaded + count
            while self._chunks and (not found or (size < LOADED and found[-1].start < wanted)):
                chunk = self._chunks.popleft()
                size += len(chunk.data or b"")
                found.append(chunk)
            self._kept_bytes -= size
        return found or self._read()

    def _read(self) -> list[Chunk]:
        found = list(self._store.read(self.index, self._loaded, LOADED))
        with self._gate:
            if not found or found[-1].start + found[-1].count >= self._end:
                self._spilled = False
        return found

    def _load(self, chunks: Sequence[Chunk]) -> None:
        """Put the records of *chunks* in line."""
        decoded = [(chunk, self._decoded(chunk, self._loaded)) for chunk in chunks]
        while True:
            turn, dropped = self._turn, self._dropped
            mine, loaded, lost = self._unloaded(decoded)
            line, missing = self._line[self._at :] + mine, sum(lost.values())
            changes: dict[str, Any] = {"_line": line, "_at": 0, "_loaded": loaded}
            changes["_goal"] = max(self._goal, loaded)
            if missing:
                reasons = {why: self._reasons.get(why, 0) + lost[why] for why in lost}
                changes |= {"_dropped": dropped + missing, "_reasons": self._reasons | reasons}
            if self._change(turn, changes, [(0, None, 0)] * missing):
                break
        if self._room is not None and self._room.bytes is not None:
            size = sum(len(chunk.data or b"") for chunk in chunks)
            self._room.give_back(0, size - sum(record[2] for record in mine))

    def _unloaded(
        self, decoded: Sequence[tuple[Chunk, list[Record]]]
    ) -> tuple[list[Record], int, Counter[str]]:
        """Return what is to be loaded, up to where, and how much of it is lost for which reason."""
        loaded, mine, lost = self._loaded, list[Record](), Counter[str]()
        for (start, count, data), records in decoded:
            part = records
            if loaded > start:  # recovered in the middle of it, or dropped since
                part = [record for record in records if record[0] >= loaded]
            end = max(loaded, start + count)
            if missing := end - max(loaded, start) - len(part):
                lost["damaged" if data is None else "undecodable"] += missing
            mine += part
            loaded = end
        return mine, loaded, lost

    def _decoded(self, chunk: Chunk, position: int) -> list[Record]:
        """Return the records of *chunk* from *position* on, as far as they decode."""
        start, count, data = chunk
        if data is None:
            return []
        records, codec = without_hashes(data), self._store.codec
        try:
            items = codec.decode(records, count)
        except Undecodable as error:
            return self._decoded_each(chunk, records, position, error)
        size = len(data)
        weights: Any = repeat(0)
        if self._room is not None and self._room.bytes is not None:
            ends = [size * place // count for place in range(count + 1)]
            weights = [end - begin for begin, end in pairwise(ends)]
        made = list(zip(range(start, start + count), items, weights, strict=False))
        return made if position <= start else made[position - start :]

    def _decoded_each(
        self, chunk: Chunk, records: bytes, position: int, error: Undecodable
    ) -> list[Record]:
        """Set aside, as given up, what does not decode; return what does."""
        try:
            each = self._store.codec.decode_each(records, chunk.count)
        except Undecodable:
            self._store.bury(self.index, records, chunk.count, str(error), 0)
            return []
        for place, record, why in each.failed:
            if chunk.start + place >= position:
                self._store.bury(self.index, self._store.codec.join([record]), 1, str(why), 0)
        made = [(chunk.start + place, item, 0) for place, item in each.items]
        return [record for record in made if record[0] >= position]

    def note(self) -> None:
        """Have the store know what is settled."""
        cursor, kept, hand = noted = self.cursor()
        if noted != self._noted and self._store is not None:
            self._store.settle(self.index, cursor, kept, hand)
            before, self._noted = self._noted, noted
            self._unreclaimed += cursor - (before[0] if isinstance(before, tuple) else cursor)
            if self._unreclaimed >= SETTLED or (cursor == self._end and not kept):
                self._unreclaimed = 0
                self._committer.reclaim()

    # --- the numbers -----------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Return the table's part of the ledger, at one instant."""
        while True:
            turn, goal, loaded = self._turn, self._goal, self._loaded
            here = len(self._hand) + len(self._line) - self._at
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

    def stored(self) -> Iterator[Any]:
        """Yield what the store holds, from the disk, as it is asked for."""
        now = self._store.cursor(self.index)
        for chunk in self._store.records(self.index):
            for position, item, _ in self._decoded(chunk, 0):
                if position >= now.cursor or position in now.kept:
                    yield item

    def faults(self) -> list[BaseException]:
        """Return none: nothing is merged."""
        return []
