"""
A stored Queue's table, the worker's half: what is loaded, in hand, and out.

     chunks           line                  hand               out: of the hand, what was
    ┌───────┐ load  ┌────────────┐ take  ┌─────────────┐            returned last
    │ bytes │ ────► │ 5 6 7 8 9  │ ────► │ 1 3 4 │     │       kept: 1; cursor: 3, say
    └───────┘       └────────────┘       └─────────────┘

Every record knows its position, so what is settled can be told of each: all before the *mark* but
for what is still here, and nothing behind it. Every change is one step (see `tables.step`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from ...tables.step import Lock
from ..room import StoreRoom

Record = tuple[int, Any, int]
"""Position, item, weight."""


class QueueLine:
    """What of a Queue's records is loaded."""

    def __init__(self, room: StoreRoom | None) -> None:
        self._room = room
        self.reset()

    def reset(self) -> None:
        """Be as new, empty and closed: in a forked child, after the room."""
        self._lock = Lock() if self._room is None else self._room.lock
        self._turn = 0
        self.delivered = self._buried = self._dropped = 0
        self._reasons: dict[str, int] = {}  # of what was dropped, but for want of room
        self._start(0)

    def _start(self, position: int) -> None:
        """Have everything before *position* settled, and nothing loaded."""
        self._line: list[Record] = []
        self._at = 0  # where that begins
        self._hand: list[Record] = []
        self._out = 0  # how much of it was returned last
        self._kept = False  # whether more may be in hand than what is out
        self._loaded = position  # what is loaded next
        self._mark = position  # before it there may be gaps

    def _change(self, turn: int, changes: dict[str, Any], gone: Sequence[Record] = ()) -> bool:
        """Make *changes* in one step, unless something has come since that *turn*."""
        room, lock, state = self._room, self._lock, self.__dict__
        size = weight = 0
        if room is not None and gone:
            size, weight = len(gone), sum(record[2] for record in gone)
        changes["_turn"], before = turn + bool(changes), (self._hand, self._line)
        _ = lock.take
        try:
            same = turn == self._turn
            if same:
                state |= changes
                if room is not None:
                    room.used -= size
                    room.used_bytes -= weight
        finally:
            _ = lock.free
        del before  # whose items may have finalizers
        if room is not None and size and same:
            room.look()
        return same

    # --- taking ----------------------------------------------------------------

    def take(self, size: int | None = None, /) -> list[Any] | None:
        """Acknowledge what was returned last; return the next *size* loaded (None: all)."""
        if self._kept:
            self.acknowledge()
            self.release()
        while True:
            turn, at, line, out = self._turn, self._at, self._line, self._out
            batch = line[at:] if size is None else line[at : at + size]
            changes = {"_at": at + len(batch), "_hand": batch, "_out": len(batch)}
            changes["delivered"] = self.delivered + out
            if self._change(turn, changes, self._hand[:out]):
                return _items(batch)

    def again(self, size: int | None = None, newest: bool = True, /) -> list[Any] | None:  # noqa: ARG002  # a Map's
        """Return the first *size* in hand (None: all), anew."""
        while True:
            turn, hand = self._turn, self._hand
            batch = hand[:] if size is None else hand[:size]
            if self._change(turn, {"_kept": True, "_out": len(batch)}):
                return _items(batch)

    # --- settling --------------------------------------------------------------

    def acknowledge(self) -> int:
        """Settle what was returned last: it is delivered."""
        return self._settle(range(self._out), "delivered")

    def bury(self, places: Iterable[int] | None = None, /) -> int:
        """Settle these *places* of what was returned last (None: all) as dead-lettered."""
        count = self._settle(self._chosen(places), "_buried")
        self.again(0)
        return count

    def keep(self, places: Iterable[int] | None = None, /) -> int:
        """Keep these *places* of what was returned last in hand (None: all); count them."""
        kept = self._chosen(places)
        self._settle([place for place in range(self._out) if place not in kept], "delivered")
        self.again(0)
        return len(kept)

    def _chosen(self, places: Iterable[int] | None) -> set[int]:
        out = set(range(self._out))
        return out if places is None else out & set(places)

    def _settle(self, places: Iterable[int], how: str) -> int:
        chosen, changed = set(places), not places
        while not changed:
            turn, hand = self._turn, self._hand
            rest = [record for place, record in enumerate(hand) if place not in chosen]
            changes = {"_hand": rest, "_out": self._out - len(chosen)}
            changes[how] = getattr(self, how) + len(chosen)
            if rest and rest != hand[len(chosen) :]:  # there are gaps between them now
                changes["_mark"] = max(self._mark, hand[-1][0] + 1)
            changed = self._change(turn, changes, [hand[place] for place in chosen])
        return len(chosen)

    def release(self) -> None:
        """Have nothing in hand: it is first in line again."""
        while self._hand or self._kept:
            turn, line = self._turn, self._hand + self._line[self._at :]
            self._change(turn, {"_line": line, "_at": 0, "_hand": [], "_out": 0, "_kept": False})

    def drop_oldest(self) -> bool:
        """Drop what has been here longest and is not in hand; return whether there was any."""
        while True:
            turn, at, line = self._turn, self._at, self._line
            gone = line[at : at + 1]
            if not gone:
                return self._drop_unloaded()
            if self._change(turn, {"_at": at + 1, "_dropped": self._dropped + 1}, gone):
                return True

    def _drop_unloaded(self) -> bool:
        """Drop the first of what is not loaded; return whether there was any."""
        raise NotImplementedError

    # --- what is said of it ----------------------------------------------------

    def cursor(self) -> tuple[int, Sequence[int], int]:
        """Return up to where all is settled but for what is kept; that; and how much is in hand."""
        hand, line, at, mark = self._hand, self._line, self._at, self._mark
        if hand and hand[0][0] >= mark:  # so it is, most often
            return hand[0][0], (), len(hand)
        kept = [record[0] for record in hand if record[0] < mark]
        if len(kept) < len(hand):
            first = hand[len(kept)][0]
        else:
            while at < len(line) and line[at][0] < mark:
                kept.append(line[at][0])
                at += 1
            first = line[at][0] if at < len(line) else self._loaded
        return (mark if kept else max(first, mark)), tuple(kept), len(hand)

    def out(self) -> list[int]:
        """Return the positions of what was returned last."""
        return [record[0] for record in self._hand[: self._out]]


def _items(batch: Sequence[Record]) -> list[Any] | None:
    return [item for _, item, _ in batch] or None
