"""
A Map's table: what it holds, and how that is settled.

The dicts hold bare values, by what their keys are stored as (see `keys`). Only what has a
version, or a weight, has a *mark* beside it, in a dict of its own.

What is in flight is in one dict, and its keys in a list in their order:

    settled before │ in hand, of which some are out │ still to be taken
                 start                             line

*Out* is what the processor has just now: if that is deleted it cannot be recalled, so it is
*hidden* from readers, and not tried again. What is *settled* is so from one instant on, and only
then removed, piece by piece.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
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

    # fmt: off
    __slots__ = (
        "_aloft", "_births", "_faults", "_flown", "_flying", "_foreign", "_hidden", "_kept",
        "_left_over", "_line", "_marks", "_merge", "_older", "_order", "_ordered", "_out",
        "_recent", "_remember", "_settled", "_simple", "_start", "_waiting", "_weigh",
    )
    # fmt: on

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
        # Whether there has never been anything but plain puts of keys without one.
        self._simple = self._room is None and self._merge is None
        self._births = 0  # how many keys were new
        self._waiting: dict[Any, Any] = OrderedDict() if self._ordered else {}
        self._marks: dict[Any, list[Any]] = {}
        self._flying: dict[Any, Any] = {}
        self._flown: dict[Any, list[Any]] = {}  # the marks of those
        self._aloft = 0  # how many of these are not settled
        self._order: list[Any] | None = None  # their keys, once somebody asks for them
        self._start = self._line = 0  # places in it: see above
        self._kept = False  # whether more may be in hand than what is out
        self._out: dict[Any, None] = {}
        self._hidden: dict[Any, None] = {}
        self._settled: dict[Any, None] = {}
        self._left_over = False  # whether what flies was there at the last swap
        self._recent: dict[Any, int | None] = {}  # versions delivered, in two generations;
        self._older: dict[Any, int | None] = {}  # None: forgotten
        self._faults: list[BaseException] = []

    # --- settling --------------------------------------------------------------

    def acknowledge(self) -> int:
        """Settle what was returned last: it is delivered."""
        return self._settle(self._out, "delivered")

    def keep(self, places: Iterable[int] | None = None, /) -> int:
        """Keep these *places* of what was returned last in hand (None: all); count them."""
        out, self._kept = list(self._out), True
        if places is not None:
            kept = set(places)
            good = dict.fromkeys(key for place, key in enumerate(out) if place not in kept)
            self._settle(good, "delivered")
        self._forget()
        return sum(map(self._flying.__contains__, out))

    def _forget(self) -> None:
        """Let nothing be out; what was deleted since it was, is let go."""
        while self._hidden:
            self._settle(dict(self._hidden), "deleted")
        self._out = {}
        self._let_go()

    def _settle(self, keys: dict[Any, None], how: str) -> int:
        """Settle *keys*, which are out, in one step; return how many."""
        if not keys:
            return 0
        self._let_go()
        room, lock, count, done = self._room, self._lock, len(keys), False
        good, deleted = how == "delivered", how == "deleted"
        versions: dict[Any, int | None] = {}
        while not done:
            turn = self._turn
            hidden = {key: None for key in list(self._hidden) if key not in keys}
            rest = {key: None for key in self._out if key not in keys}
            weight = sum(self._flown[key][WEIGHT] for key in keys) if self._weighed else 0
            versions, recent, older = self._memory(keys if good else {})
            _ = lock.take
            try:
                # zone
                if turn == self._turn:
                    _gone = self._recent  # until the lock is free
                    _also = self._older
                    recent |= versions
                    self._recent = recent
                    self._older = older
                    self._settled = keys
                    self._out = rest
                    self._hidden = hidden
                    self._aloft -= count
                    if good:
                        self._delivered += count
                    elif deleted:
                        self._deleted += count
                    else:
                        self._buried += count
                    if room is not None:
                        room.used -= count
                        room.used_bytes -= weight
                    self._turn += 1
                    done = True
                # end
            finally:
                _ = lock.free
        self._let_go(versions)
        self._serve()
        return count

    def _let_go(self, versions: dict[Any, int | None] | None = None) -> None:
        """Remove what is settled, and what of *versions* is to be forgotten."""
        for part in (self._flying, self._flown):
            if part:
                deque(map(part.pop, self._settled, repeat(None)), maxlen=0)
        self._settled = {}
        for stored in [key for key, version in (versions or {}).items() if version is None]:
            self._recent.pop(stored, None)
            self._older.pop(stored, None)

    def _memory(
        self, keys: dict[Any, None]
    ) -> tuple[dict[Any, int | None], dict[Any, int | None], dict[Any, int | None]]:
        """Return which versions to note when *keys* are delivered (None: to forget), and where."""
        recent, older, versions = self._recent, self._older, dict[Any, int | None]()
        if not (self._flown or recent or older):
            return versions, recent, older
        for stored in keys:
            mark = self._flown.get(stored)
            noted = mark is not None and self._remember and stored not in self._hidden
            version = mark[VERSION] if mark is not None and noted else None
            if version is not None or stored in recent or stored in older:
                versions[stored] = version
        new = sum(version is not None and key not in recent for key, version in versions.items())
        if not new or len(recent) + new <= self._remember:
            return versions, recent, older
        return {}, *self._new_generation(versions)

    def _new_generation(
        self, versions: dict[Any, int | None]
    ) -> tuple[dict[Any, int | None], dict[Any, int | None]]:
        recent, older = dict(self._recent), dict(self._older)
        for stored, version in versions.items():
            if version is None:
                recent.pop(stored, None)
                older.pop(stored, None)
                continue
            if stored not in recent and len(recent) >= self._remember:
                recent, older = {}, recent
            recent[stored] = version
        return recent, older

    # --- dropping --------------------------------------------------------------

    def drop_oldest(self) -> bool:
        room, lock, dropped = self._room, self._lock, False
        while not dropped:
            turn = self._turn
            part, marks, stored, place = self._oldest()
            if room is None or stored is MISSING:
                return False
            _ = lock.take
            try:
                # zone
                if turn == self._turn and stored in part:
                    _gone = part[stored]  # until the lock is free
                    del part[stored]
                    weight = 0
                    if stored in marks:
                        weight = marks[stored][WEIGHT]
                        del marks[stored]
                    if place:
                        self._line = place
                        self._aloft -= 1
                    self._dropped += 1
                    room.used -= 1
                    room.used_bytes -= weight
                    self._turn += 1
                    dropped = True
                # end
            finally:
                _ = lock.free
        return True

    def _oldest(self) -> tuple[dict[Any, Any], dict[Any, list[Any]], Any, int]:
        """Return where that is which is oldest, not in hand; its key, and the place behind it."""
        order, place = self._line_up(), self._line
        while place < len(order):
            place += 1
            if order[place - 1] in self._flying:  # and not deleted since
                return self._flying, self._flown, order[place - 1], place
        try:
            return self._waiting, self._marks, next(iter(self._waiting), MISSING), 0
        except RuntimeError:  # changed in between: look again
            return self._waiting, self._marks, None, 0

    def _line_up(self) -> list[Any]:
        """Return the keys of what flies, in order, without looking for the first each time."""
        lock, order = self._lock, self._order
        while order is None:
            turn, keys = self._turn, list(self._flying)
            _ = lock.take
            try:
                # zone
                if turn == self._turn:
                    if self._order is None:
                        self._order = keys
                        self._start = 0
                        self._line = 0
                    order = self._order
                # end
            finally:
                _ = lock.free
        return order

    # --- reading ---------------------------------------------------------------

    def held(self) -> list[Entry[Any, Any]]:
        """Return all that is not settled, oldest first."""
        while True:
            turn = self._turn, self._accepted
            flying, waiting = dict(self._flying), dict(self._waiting)
            for stored in self._settled:
                flying.pop(stored, None)
            held = self._entries(flying, flying, self._flown)
            held += self._entries(waiting, waiting, self._marks)
            if turn == (self._turn, self._accepted):
                return held

    def _entries(
        self, keys: Iterable[Any], values: dict[Any, Any], marks: dict[Any, list[Any]]
    ) -> list[Entry[Any, Any]]:
        if not marks and not self._foreign:
            each = map(values.__getitem__, keys)
            return list(map(_entry, zip(keys, each, repeat(0), repeat(0), strict=False)))
        plain: Any = (None, 0)
        noted = ((stored, marks.get(stored) or plain) for stored in keys)
        return [Entry(unboxed(s), values[s], m[VERSION] or 0, m[UPDATES]) for s, m in noted]

    def _floor(self, stored: Any) -> int | None:
        """Return the version that a key has which does not wait; None if it has none."""
        if stored in self._flying and stored not in self._hidden and stored not in self._settled:
            mark = self._flown.get(stored)
            return mark[VERSION] or 0 if mark else 0
        return self._recent.get(stored, self._older.get(stored))

    def load(self) -> tuple[int, int]:
        flown = dict(self._flown)
        for stored in self._settled:  # and not removed yet
            flown.pop(stored, None)
        marks = [*self._marks.values(), *flown.values()]
        return sum(self._sizes()), sum(mark[WEIGHT] for mark in marks)

    def _sizes(self) -> tuple[int, int]:
        return len(self._waiting), self._aloft

    def _keyed(self) -> tuple[dict[Any, Any], ...]:
        """Return all dicts that a key may be in, as it wanders through them."""
        return self._waiting, self._flying, self._recent, self._older
