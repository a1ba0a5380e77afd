"""
A Map's table: what it holds, and how that is settled.

The dicts hold a tuple of four (see `VALUE`) by what a key is stored as (see `keys`).

What is in flight is in one dict, and its keys in a list in their order:

    settled before │ in hand, of which some are out │ still to be taken
                 start                             line

*Out* is what the processor has just now: if that is deleted it cannot be recalled, so it is
*hidden* from readers, and not tried again. What is *settled* is so from one instant on, and only
then removed, piece by piece.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from itertools import islice
from typing import Any

from .entry import MISSING, Entry, Op
from .keys import Probe, boxed, safe, same, unboxed
from .room import Room
from .step import FREE_THREADED
from .table import Table

VALUE, VERSION, UPDATES, WEIGHT = range(4)
"""Of what is held for a key. The version of a plain put is None."""

Held = tuple[Any, Any, int, int]

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
        # Keeps others from what is one piece with the GIL; nothing of the user's may be in it.
        self._alone: AbstractContextManager[object] = self._lock if FREE_THREADED else nullcontext()
        self._foreign = False  # whether there has ever been a box
        self._simple = self._room is None and self._merge is None  # and there has not
        self._births = 0  # how many keys were new
        self._waiting: dict[Any, Held] = OrderedDict() if self._ordered else {}
        self._flying: dict[Any, Held] = {}
        self._aloft = 0  # how many of these are not settled
        self._order: list[Any] | None = None  # their keys, once somebody asks for them
        self._start = self._line = 0  # places in it: see above
        self._out: dict[Any, None] = {}
        self._hidden: dict[Any, None] = {}
        self._settled: dict[Any, Any] = {}  # with what `_recent` is to say of it; MISSING: as now
        self._left_over = False  # whether what flies was there at the last swap
        self._recent: dict[Any, int] = {}  # versions delivered, in two generations
        self._older: dict[Any, int] = {}

    # --- which stored key a key is ---------------------------------------------

    def _find(self, key: Any) -> tuple[Any, int | None]:
        """Return what *key* is stored as, and when that was so; None: whenever none is in a box."""
        plain = safe(key)
        if plain and not self._foreign:
            return key, None
        births, probe = self._births, Probe(hash(key))
        for part in (self._waiting, self._flying, self._recent, self._older):  # as it wanders
            if plain and key in part:
                return key, births
            _ = probe in part  # collects those of the same hash
        stored = same(key, probe.found, MISSING)
        if stored is MISSING:
            stored = key if plain else boxed(key, probe.hash)
        return stored, births

    def _find_all(self, ops: Sequence[Op]) -> tuple[list[Any], int | None]:
        """Return what all keys are stored as, those that are new once each."""
        if not self._foreign and all(safe(op[0]) for op in ops):
            return [op[0] for op in ops], None
        births, places = self._births, []
        met: dict[int, list[Any]] = {}
        for op in ops:
            stored, _ = self._find(op[0])
            others = met.setdefault(hash(stored), [])
            stored = same(op[0], others, stored)
            others.append(stored)
            places.append(stored)
        return places, births

    # --- settling --------------------------------------------------------------

    def _forget(self) -> int:
        deleted, done = 0, False
        while not done:
            turn = self._turn
            if self._hidden:
                deleted += self._settle(dict(self._hidden), "_deleted")
            else:  # what is deleted by now is out, and hidden
                done = self._change(turn, {"_out": {}})
        self._let_go()
        return deleted

    def _settle(self, given: dict[Any, None], how: str) -> int:
        self._let_go()
        done = not given
        while not done:
            turn, flying, settled = self._turn, self._flying, dict.fromkeys(given, MISSING)
            if how == "delivered":
                without = self._hidden if self._remember else given
                for key in given:
                    version = None if key in without else flying[key][VERSION]
                    if version is not None or key in self._recent or key in self._older:
                        settled[key] = version
            changes = {
                "_settled": settled,
                "_out": {key: None for key in self._out if key not in given},
                "_hidden": {key: None for key in list(self._hidden) if key not in given},
                "_aloft": self._aloft - len(given),
                how: getattr(self, how) + len(given),
            }
            gone = len(given), sum(flying[key][WEIGHT] for key in given) if self._weighed else 0
            done = self._change(turn, changes, None, gone)
        self._let_go()
        self._serve()
        return len(given)

    def _let_go(self) -> None:
        """Remove what is settled; remember its versions, or forget that there was one."""
        noted: dict[Any, Any] = {}  # a delete looks for versions, and removes
        while noted != self._settled:  # which a delete changes
            noted = dict(self._settled)
            for stored, version in noted.items():
                if version is not MISSING:
                    _gone = self._older  # until the lock is free
                    with self._alone:
                        self._note(stored, version)
                with self._alone:  # at last: a key is always found somewhere
                    _flown = self._flying.pop(stored, None)  # which dies when the lock is free
                _flown = None
        while self._settled and not self._change(self._turn, {"_settled": {}}):
            pass

    def _note(self, stored: Any, version: int | None) -> None:
        if version is None:
            self._recent.pop(stored, None)
            self._older.pop(stored, None)
        else:
            while stored not in self._recent and len(self._recent) >= self._remember:
                self._change(self._turn, {"_older": self._recent, "_recent": {}})
            self._recent[stored] = version

    # --- dropping --------------------------------------------------------------

    def drop_oldest(self) -> bool:
        room, lock, dropped = self._room, self._lock, False
        while not dropped:
            turn = self._turn
            part, stored, place = self._oldest()
            if room is None or stored is MISSING:
                return False
            _ = lock.take
            try:
                if turn == self._turn and stored in part:
                    gone = part[stored]  # until the lock is free
                    del part[stored]
                    if place:
                        self._line = place
                        self._aloft -= 1
                    self._dropped += 1
                    room.used -= 1
                    room.used_bytes -= gone[WEIGHT]
                    self._turn += 1
                    dropped = True
            finally:
                _ = lock.free
        return True

    def _oldest(self) -> tuple[dict[Any, Held], Any, int]:
        """Return where that is which is oldest, not in hand; its key, and the place behind it."""
        order, place = self._line_up(), self._line
        while place < len(order):
            place += 1
            if order[place - 1] in self._flying:  # and not deleted since
                return self._flying, order[place - 1], place
        return self._waiting, next(iter(self._first_waiting(1)), MISSING), 0

    def _first_waiting(self, count: int) -> list[Any]:
        first: list[Any] = self._copied(list, lambda: islice(self._waiting, count))
        return first

    def _line_up(self) -> list[Any]:
        """Return the keys of what flies, in order, without looking for the first each time."""
        while (order := self._order) is None:
            turn, order = self._turn, self._copied(list, lambda: self._flying)
            self._change(turn, {"_order": order, "_start": 0, "_line": 0})
        return order

    # --- reading ---------------------------------------------------------------

    def _copied(self, kind: Callable[[Any], Any], source: Callable[[], Any]) -> Any:
        while True:
            with suppress(RuntimeError), self._alone:  # a signal handler has come between: anew
                return kind(source())

    def held(self) -> list[Entry[Any, Any]]:
        """Return all that is not settled, oldest first."""
        flying, waiting = self._stored()
        return self._entries(flying, flying) + self._entries(waiting, waiting)

    def _stored(self) -> tuple[dict[Any, Held], dict[Any, Held]]:
        while True:
            turn, accepted = self._turn, self._accepted
            settled, flying = self._settled, self._copied(dict, lambda: self._flying)
            waiting = self._copied(dict, lambda: self._waiting)
            for stored in settled:  # and not removed yet
                flying.pop(stored, None)
            if self._change(turn, {}, accepted):
                return flying, waiting

    def _entries(self, keys: Iterable[Any], held: dict[Any, Held]) -> list[Entry[Any, Any]]:
        return [
            _entry((unboxed(stored), value, version or 0, updates))
            for stored in keys
            for value, version, updates, _ in (held[stored],)
        ]

    def load(self) -> tuple[int, int]:
        held = [each for part in self._stored() for each in part.values()]
        return len(held), sum(each[WEIGHT] for each in held)

    def _sizes(self) -> tuple[int, int]:
        return len(self._waiting), self._aloft
