"""
A stored Queue's table, the committer's half: what is committed lands here.

It waits as bytes, so many at most; beyond, chunks are only counted, and read back by range.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ....abc import Chunk, Store
from ...tables.step import CLOSED, MADE
from ..room import StoreRoom
from .hashes import with_hashes
from .line import QueueLine
from .part import Part, cut, joined
from .records import QueuePiece, Records, weight_from


class Committing(Protocol):
    """Who commits for a table, as far as it is asked: see `committer`, and `queue_window`."""

    @property
    def is_awaited(self) -> bool:
        """Whether writers wait, so that who is busy had better give way."""
        ...

    def catch_up(self) -> None:
        """Wait until what is being committed has landed."""

    def reclaim(self) -> None:
        """Give back room when there is time for it."""


class QueueLanding(QueueLine):
    """Of partition *index*; what of it is in memory takes as much as the store says."""

    note_waits, lands_once = False, True
    kind_of_records = Records

    def __init__(self, index: int, room: StoreRoom | None) -> None:
        self.index = index
        self._gate = threading.RLock()  # of who loads, and who drops
        super().__init__(room)

    def reset(self) -> None:
        super().reset()
        self.closed = True
        self._gate = threading.RLock()
        self._store: Any = None
        self._committer: Committing = None  # type: ignore[assignment]  # until it begins
        self._wake: Callable[[], object] = lambda: None
        self._flush_at: int | None = None
        self._rung = False
        self._accepted = self._recovered = 0
        self._begin(0, 0)

    def _begin(self, cursor: int, end: int) -> None:
        self._start(cursor)
        self._end, self._goal = end, cursor
        self._chunks: deque[Chunk] = deque()
        self._landed_bytes = self._gone_bytes = 0  # what has come to these chunks, and has left
        self._spilled = end > cursor  # whether there is more than what `_chunks` has
        self._is_whole = True  # whether what is settled of the next chunk counts as held, too
        self.told: dict[str, int] = {}  # of `reasons()`
        self.left_over = False  # whether what is in line is the last cycle's
        self._noted: object = None
        self.unnoted: Exception | None = None  # why the store does not take note now
        self._reclaimed = cursor

    def begin(self, store: Store, committer: Committing) -> None:
        """Begin with what *store* holds."""
        self.reset()
        self._store, self._committer = store, committer
        weighed = self._room is not None and self._room.bytes is not None
        self._records = self.kind_of_records(store, self.index, weighed=weighed)
        now, end = store.cursor(self.index), store.end(self.index)
        self._begin(now.cursor, end)
        kept = self._recover_kept(now.kept)
        count = len(kept.items)
        held = count + end - now.cursor
        self._line, self._recovered, self._accepted = kept, held, held
        lost = len(now.kept) - count
        self._first_size = max(0, now.hand - lost) or count or None
        if self._room is not None:
            weight = self._store.weight(self.index) if self._room.bytes else 0
            self._room.add(held, sum(kept.weights) + weight)

    def _recover_kept(self, positions: Sequence[int]) -> Part:
        wanted, behind = set(positions), -1
        found: list[Part] = []
        for position in positions:
            if position >= behind:
                for chunk in self._store.read(self.index, position, 1)[:1]:
                    part, behind = self._records.of(chunk, position), chunk.start + chunk.count
                    which = [at for at, place in enumerate(part.places) if place in wanted]
                    found.append(cut(part, which))
        return joined(found)

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
        join = self._store.codec.join
        if len(pieces) == 1:
            ((_, records_of, hashes_of, packed),) = pieces
            data = join(records_of) if packed is None else packed
            return [(len(hashes_of), with_hashes(data, hashes_of))]
        made: list[tuple[int, bytes]] = []
        records: list[bytes] = []
        hashes: list[int] = []
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

    def landed(
        self, starts: Sequence[int], chunks: Sequence[tuple[int, bytes]], pieces: Sequence[Any], /
    ) -> None:
        """Have what was committed, in order: in one step, and once, however often it is said."""
        made: list[Chunk] = []
        end = count = size = frame = 0
        for start, (number, data) in zip(starts, chunks, strict=True):
            made.append(Chunk(start, number, data))
            end, count, size = start + number, count + number, size + len(data)
        if self._room is not None and self._room.bytes is not None:
            frame = size - sum(len(record) for piece in pieces for record in piece.records)
        while True:
            turn, landed = self._turn, self._landed_bytes
            if self._end >= end or self._store is None:
                break
            fitting, kept = ([], 0) if self._spilled else (made, size)
            if landed - self._gone_bytes + kept > self._store.window:
                fitting, kept = self._fitting(made)
            changes = {"_accepted": self._accepted + count, "_end": end}
            changes["_landed_bytes"] = landed + kept
            if len(fitting) < len(made):
                changes["_spilled"] = True
            self._land(turn, changes, fitting, frame)
        if self._flush_at:
            self._look()

    def _fitting(self, chunks: Sequence[Chunk]) -> tuple[list[Chunk], int]:
        """Return the first of *chunks*, as many as may be in memory, too, and their bytes."""
        left = self._store.window - self._landed_bytes + self._gone_bytes
        fitting: list[Chunk] = []
        room = left
        for chunk in chunks:
            if len(chunk.data or b"") > left:
                break
            left -= len(chunk.data or b"")
            fitting.append(chunk)
        return fitting, room - left

    def _land(
        self, turn: int, changes: dict[str, Any], fitting: Sequence[Chunk], frame: int
    ) -> None:
        """Make *changes* in one step, with what fits, unless anything came since that *turn*."""
        room, lock, state, waiting = self._room, self._lock, self.__dict__, self._chunks
        changes["_turn"] = turn + 1
        _ = lock.take
        try:
            if turn == self._turn:
                state |= changes
                waiting += fitting
                if frame and room is not None:
                    room.used_bytes += frame
        finally:
            _ = lock.free

    def _look(self) -> None:
        """Wake the worker, once per swap, if enough waits."""
        if self._flush_at and not self._rung and self._end - self._goal >= self._flush_at:
            self._wake()  # first: who is interrupted in here does it again
            self._rung = True

    def drop(self, count: int, /) -> int:
        """Count so many writes as accepted and dropped."""
        while not self.closed:
            turn, accepted, dropped = self._turn, self._accepted, self._dropped
            more = {"_accepted": accepted + count, "_dropped": dropped + count}
            if self._change(turn, more):
                return MADE
        return CLOSED

    def _drop_unloaded(self) -> bool:
        while True:
            turn, loaded = self._turn, self._loaded
            if loaded >= self._end:
                return False
            weight = 0
            if self._room is not None and self._room.bytes is not None:
                weight = self._weight_of_next(loaded)
            changes = {"_loaded": loaded + 1, "_dropped": self._dropped + 1, "_is_whole": False}
            changes["_goal"] = max(self._goal, loaded + 1)
            if self._change(turn, changes, (1, weight)):
                return True

    def _weight_of_next(self, loaded: int) -> int:
        """Return what goes with the record at *loaded*: its bytes, and such as are settled."""
        whole = self._is_whole
        with self._gate:
            while self._chunks and sum(self._chunks[0][:2]) <= loaded:
                self._gone_bytes += len(self._chunks.popleft().data or b"")
            if not self._chunks or self._chunks[0].start > loaded:  # it waits on the disk alone
                for chunk in self._store.read(self.index, loaded, 1)[:1]:
                    self._chunks.appendleft(chunk)
                    self._gone_bytes -= len(chunk.data or b"")
            if not self._chunks:  # it was loaded meanwhile, settled, and is gone
                return 0
            chunk = self._chunks[0]
        return weight_from(chunk, 0 if whole else loaded) - weight_from(chunk, loaded + 1)
