"""
A stored Queue's table, the worker's half: what is loaded, in hand, and out.

     chunks           line                  hand               out: of the hand, what was
    ┌───────┐ load  ┌────────────┐ take  ┌─────────────┐            returned last
    │ bytes │ ────► │ 5 6 7 8 9  │ ────► │ 1 3 4 │     │       kept: 1; cursor: 3, say
    └───────┘       └────────────┘       └─────────────┘

The position of every record is known, so what is settled can be told of each: all before the *mark*
but for what is still here, and nothing behind it. Every change is one step (see `tables.step`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from ...tables.step import Lock
from ..room import StoreRoom
from .part import Part, cut, from_place, joined, weight_of

Noted = tuple[int, Sequence[int], int]
"""Up to where all is settled but for what is kept; that; and how much is in hand."""

_NOTHING = Part([], range(0), ())
_NONE_GONE = 0, 0
_new = tuple.__new__  # half of what Part(...) takes


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
        self._line = _NOTHING
        self._at = 0  # where that begins
        self._hand = _NOTHING
        self._out = 0  # how much of it was returned last
        self._kept = False  # whether more may be in hand than what is out
        self._loaded = position  # what is loaded next
        self._mark = position  # before it there may be gaps
        self._first_size: int | None = None  # of the first batch: it was in hand at the crash

    def _change(
        self, turn: int, changes: dict[str, Any], gone: tuple[int, int] = _NONE_GONE
    ) -> bool:
        """
        Make *changes* in one step, unless something has come since that *turn*.

        *gone*: how many records are settled by that, and what they weigh.
        """
        room, lock, state, (size, weight) = self._room, self._lock, self.__dict__, gone
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
        if self._kept or self._first_size is not None:
            size = self._ready_for(size)
        room, lock, out, same = self._room, self._lock, 0, False
        batch: list[Any] = []
        while not same:  # `_change` in these very lines: half of what a batch takes
            turn, at, (items, places, weights) = self._turn, self._at, self._line
            before, out = self._hand, self._out
            end = len(items) if size is None else at + size
            hand = _new(Part, (items[at:end], places[at:end], weights[at:end]))
            batch = items[at:end]  # another list: it is the processor's
            count, weight = len(batch), 0 if room is None else sum(before.weights[:out])
            after, delivered = at + count, self.delivered + out
            _ = lock.take
            try:
                same = turn == self._turn
                if same:
                    self._turn = turn + 1
                    self._at = after
                    self._hand = hand
                    self._out = count
                    self.delivered = delivered
                    if room is not None:
                        room.used -= out
                        room.used_bytes -= weight
            finally:
                _ = lock.free
        if room is not None and out:
            room.look()
        return batch or None

    def _ready_for(self, size: int | None) -> int | None:
        """Have nothing in hand but what was returned last; return how many of *size* to take."""
        if self._kept:
            self.acknowledge()
            self.release()
        first, self._first_size = self._first_size, None
        return size if first is None else min(first, size or first)

    def again(self, size: int | None = None, newest: bool = True, /) -> list[Any] | None:  # noqa: ARG002  # a Map's
        """Return the first *size* in hand (None: all), anew."""
        while True:
            turn, items = self._turn, self._hand.items
            batch = items[:] if size is None else items[:size]
            if self._change(turn, {"_kept": True, "_out": len(batch)}):
                return batch or None

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
            kept = [place for place in range(len(hand.items)) if place not in chosen]
            rest = cut(hand, kept)
            changes = {"_hand": rest, "_out": self._out - len(chosen)}
            changes[how] = getattr(self, how) + len(chosen)
            if kept and kept[0] != len(chosen):  # there are gaps between them now
                changes["_mark"] = max(self._mark, hand.places[-1] + 1)
            gone = len(chosen), sum(hand.weights) - sum(rest.weights)
            changed = self._change(turn, changes, gone)
        return len(chosen)

    def release(self) -> None:
        """Have nothing in hand: it is first in line again."""
        while self._hand.items or self._kept:
            turn, line = self._turn, joined([self._hand, from_place(self._line, self._at)])
            changes = {"_line": line, "_at": 0, "_hand": _NOTHING, "_out": 0, "_kept": False}
            self._change(turn, changes)

    def drop_oldest(self) -> bool:
        """Drop what has been here longest and is not in hand; return whether there was any."""
        while True:
            turn, at, line = self._turn, self._at, self._line
            if at >= len(line.items):
                return self._drop_unloaded()
            changes = {"_at": at + 1, "_dropped": self._dropped + 1}
            if self._change(turn, changes, (1, weight_of(line, at))):
                return True

    def _drop_unloaded(self) -> bool:
        """Drop the first of what is not loaded; return whether there was any."""
        raise NotImplementedError

    # --- what is said of it ----------------------------------------------------

    def cursor(self) -> Noted:
        """Return what the store is to know of it."""
        hand, line, at, mark = self._hand.places, self._line.places, self._at, self._mark
        if hand and hand[0] >= mark:  # so it is, most often
            return hand[0], (), len(hand)
        kept = [place for place in hand if place < mark]
        if len(kept) < len(hand):
            first = hand[len(kept)]
        else:
            while at < len(line) and line[at] < mark:
                kept.append(line[at])
                at += 1
            first = line[at] if at < len(line) else self._loaded
        return (mark if kept else max(first, mark)), tuple(kept), len(hand)

    def out(self) -> list[int]:
        """Return the positions of what was returned last."""
        return list(self._hand.places[: self._out])
