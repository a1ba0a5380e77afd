"""
A Map's table: what it holds, and how that is settled.

The dicts hold bare values, by what their keys are stored as (see `keys`). Only what has a
version, or a weight, has a *mark* beside it, in a dict of its own.

What the processor has just now is *out*: if that is deleted it cannot be recalled, so it is
hidden from readers, and not tried again.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import repeat
from typing import Any

from .entry import MISSING, Entry
from .keys import unboxed
from .room import Room
from .table import Table

VERSION, UPDATES, WEIGHT = range(3)
"""Of a mark, a list. The version of a plain put is None."""

_entry = partial(tuple.__new__, Entry)  # half the cost of Entry(...)


class MapHeld(Table):
    """All that a Map's table holds."""

    def __init__(
        self,
        room: Room | None = None,
        merge: Callable[[Any, Any], Any] | None = None,
        remember: int = 100_000,
        weigh: Callable[[Any], int] | None = None,
    ) -> None:
        self._merge, self._remember, self._weigh = merge, remember, weigh
        # The first key of a plain dict is slow to find when many before it were deleted.
        self._ordered = room is not None and room.when_full == "drop_oldest"
        super().__init__(room)

    def reset(self) -> None:
        super().reset()
        self._foreign = False  # whether there has ever been a box
        self._births = 0  # how many keys were new
        self._waiting: dict[Any, Any] = OrderedDict() if self._ordered else {}
        self._marks: dict[Any, list[Any]] = {}
        self._flying: dict[Any, Any] = {}
        self._hand: dict[Any, Any] = {}
        self._flown: dict[Any, list[Any]] = {}  # the marks of both
        self._order: list[Any] | None = None  # the keys of what flies, once they are asked for
        self._line = 0  # where in it those begin that are still to be taken
        self._ranks: list[Any] | None = None  # the keys in hand, likewise
        self._rank = 0
        self._out: dict[Any, Any] = {}  # of what is in hand, what was returned last
        self._hidden: dict[Any, None] = {}  # of that, what was deleted since
        self._recent: dict[Any, int] = {}  # versions delivered, in two generations
        self._older: dict[Any, int] = {}
        self._left_over = False  # whether what flies was there at the last swap
        self._faults: list[BaseException] = []

    # --- settling --------------------------------------------------------------

    def acknowledge(self) -> int:
        """Settle what was returned last: it is delivered."""
        return self._settle_out(good=True)

    def bury(self) -> int:
        """Settle what was returned last: it is dead-lettered."""
        return self._settle_out(good=False)

    def keep(self, places: Iterable[int] | None) -> int:
        """Keep these *places* of what was returned last in hand (None: all); count them."""
        out = list(self._out)
        if places is not None:
            kept = set(places)
            self._settle([key for place, key in enumerate(out) if place not in kept], good=True)
        self._forget()
        return sum(stored in self._hand for stored in out)

    def _settle_out(self, *, good: bool) -> int:
        if not self._out:
            return 0
        settled = self._settle_whole(good=good) if self._out is self._hand else 0
        settled = settled or self._settle(list(self._out), good=good)
        self._out = {}
        self._serve()
        return settled

    def _settle_whole(self, *, good: bool) -> int:
        """Settle all that is in hand at once, if that concerns no version; return how much."""
        room, size = self._room, len(self._hand)
        hand: dict[Any, Any] = {}
        hidden: dict[Any, None] = {}
        with self._lock:
            # zone
            gone, also = self._hand, self._hidden
            if self._flown or (good and (self._recent or self._older)):
                size = 0
            else:
                self._hand = self._out = hand
                self._hidden = hidden
                if good:
                    self._delivered += size
                else:
                    self._buried += size
                if room is not None:
                    room.used -= size
                self._turn += 1
            # end
        del gone, also
        return size

    def _settle(self, keys: Sequence[Any], *, good: bool) -> int:
        """Settle those of *keys* that are in hand, one by one; return how many."""
        room, count, remember = self._room, 0, self._remember > 0
        gone: list[Any] = [self._hand.get(stored) for stored in keys]
        with self._lock:
            for stored in keys:
                if good and remember:
                    gone.append(self._make_memory(stored))
                # zone
                if stored in self._hand:
                    mark = self._flown[stored] if stored in self._flown else None
                    del self._hand[stored]
                    weight = 0
                    if mark is not None:
                        weight = mark[WEIGHT]
                        del self._flown[stored]
                    version = None if mark is None else mark[VERSION]
                    hidden = stored in self._hidden
                    if hidden:
                        del self._hidden[stored]
                    if not good:
                        self._buried += 1
                    else:
                        self._delivered += 1
                        if version is not None and remember and not hidden:
                            self._recent[stored] = version
                        else:
                            if stored in self._recent:
                                del self._recent[stored]
                            if stored in self._older:
                                del self._older[stored]
                    if room is not None:
                        room.used -= 1
                        room.used_bytes -= weight
                    count += 1
                    self._turn += 1
                # end
        return count

    def _make_memory(self, stored: Any) -> Any:
        """Begin a new generation of versions if this one is full; return the forgotten one."""
        mark, recent, gone = self._flown.get(stored), self._recent, self._older
        if mark is None or mark[VERSION] is None or stored in self._hidden:
            return None
        if stored in recent or len(recent) < self._remember:
            return None
        fresh: dict[Any, int] = {}
        # zone
        self._older = self._recent
        self._recent = fresh
        # end
        return gone

    def release(self) -> None:
        """Have nothing in hand: it is first in line again."""
        self._forget()
        nothing: dict[Any, Any] = {}
        while self._hand:
            with self._lock:
                turn = self._turn
                flying = {**self._hand, **self._flying}
                # zone
                if turn == self._turn:
                    self._flying = flying
                    self._hand = nothing
                    self._order = self._ranks = None
                    self._turn += 1
                # end

    def _forget(self) -> None:
        """Let nothing be out; what was deleted since it was, is let go."""
        room = self._room
        with self._lock:
            self._out = {}
            gone = [(stored, self._hand.get(stored)) for stored in self._hidden]
            for stored, _ in gone:
                # zone
                del self._hidden[stored]
                if stored in self._hand:
                    del self._hand[stored]
                    weight = 0
                    if stored in self._flown:
                        weight = self._flown[stored][WEIGHT]
                        del self._flown[stored]
                    self._deleted += 1
                    if room is not None:
                        room.used -= 1
                        room.used_bytes -= weight
                    self._turn += 1
                # end
        if gone:
            self._serve()

    def drop_oldest(self) -> bool:
        room = self._room
        with self._lock:
            while room is not None:
                turn = self._turn
                part, marks, stored = self._oldest()
                if stored is MISSING:
                    break
                # zone
                if turn == self._turn and stored in part:
                    gone = part[stored]  # noqa: F841  # until the lock is free
                    del part[stored]
                    weight = 0
                    if stored in marks:
                        weight = marks[stored][WEIGHT]
                        del marks[stored]
                    self._dropped += 1
                    room.used -= 1
                    room.used_bytes -= weight
                    self._turn += 1
                    break
                # end
        return room is not None and stored is not MISSING

    def _oldest(self) -> tuple[dict[Any, Any], dict[Any, list[Any]], Any]:
        """Return where that is which is not in hand and the oldest, and its stored key."""
        if not self._flying:
            return self._waiting, self._marks, next(iter(self._waiting), MISSING)
        order = self._line_up()
        while order[self._line] not in self._flying:  # deleted since
            self._line += 1
        return self._flying, self._flown, order[self._line]

    def _line_up(self) -> list[Any]:
        """Return the keys of what flies, in order, without looking for the first each time."""
        if self._order is None:
            self._order, self._line = list(self._flying), 0
        return self._order

    # --- reading ---------------------------------------------------------------

    def held(self) -> list[Entry[Any, Any]]:
        """Return all that is not settled, oldest first."""
        with self._lock:
            flown = self._entries(self._hand, self._flown)
            flown += self._entries(self._flying, self._flown)
            return flown + self._entries(self._waiting, self._marks)

    def _entries(
        self, values: dict[Any, Any], marks: dict[Any, list[Any]]
    ) -> list[Entry[Any, Any]]:
        if not marks and not self._foreign:
            return list(map(_entry, zip(values, values.values(), repeat(0), repeat(0))))
        return [
            Entry(unboxed(stored), value, mark[VERSION] or 0, mark[UPDATES])
            if (mark := marks.get(stored))
            else Entry(unboxed(stored), value, 0, 0)
            for stored, value in values.items()
        ]

    def _floor(self, stored: Any) -> int | None:
        """Return the version that a key has which does not wait; None if it has none."""
        if stored not in self._hidden and (stored in self._hand or stored in self._flying):
            mark = self._flown.get(stored)
            return mark[VERSION] or 0 if mark else 0
        return self._recent.get(stored, self._older.get(stored))

    def load(self) -> tuple[int, int]:
        with self._lock:
            marks = [*self._marks.values(), *self._flown.values()]
            return sum(self._sizes()), sum(mark[WEIGHT] for mark in marks)

    def _sizes(self) -> tuple[int, int]:
        return len(self._waiting), len(self._flying) + len(self._hand)

    def _keyed(self) -> tuple[dict[Any, Any], ...]:
        """Return all dicts that a key may be in."""
        return self._waiting, self._flying, self._hand, self._recent, self._older
